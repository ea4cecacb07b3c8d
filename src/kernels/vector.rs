//! Sixteen numbers at a time, on processors with wide registers and without.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// How many numbers a [`Vector`] holds.
pub(super) const LANES: usize = 16;

/// Sixteen 32-bit numbers.
///
/// # Safety
/// The methods may use instructions of the processor that [`dispatch`] chose the type for, so they are to be called only
/// within [`Task::run`]. Pointers need no alignment, but sixteen numbers behind them.
pub(super) trait Vector: Copy {
    /// Whether the processor has registers for few of them only.
    const FEW: bool;

    unsafe fn splat(number: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self × by + plus`, in one rounding where the processor can.
    unsafe fn mul_add(self, by: Self, plus: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn div(self, by: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// The numbers whose bit is set in `mask`, of the others `other`'s.
    unsafe fn keep(self, mask: u16, other: Self) -> Self;
    /// `self × 2^n`, where `n` are whole numbers from -126 to 127 plus 1.5 × 2^23, so that their lowest bits are `n`.
    unsafe fn times_two_to(self, shifted: Self) -> Self;
    /// Sixteen rows of sixteen numbers, `stride` apart, as columns.
    unsafe fn transposed(from: *const f32, stride: usize) -> [Self; LANES];
    /// Sixteen rows of sixteen numbers, to be put as columns.
    unsafe fn transpose_to(rows: &[Self; LANES], to: *mut f32, stride: usize);

    /// 2 to the power of numbers from -126 to 127; below that 2^-126. Off by 2e-7 of itself at most.
    #[inline(always)]
    unsafe fn exp2(self) -> Self {
        // 1.5 × 2^23: adding it leaves no bits after the point.
        const SHIFT: f32 = 12_582_912.0;
        // ln(2)^n / n!
        const SERIES: [f32; 7] =
            [1.525_273_4e-5, 1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 2.402_265e-1, 6.931_472e-1];
        unsafe {
            let bounded = self.max(Self::splat(-126.0));
            let shifted = bounded.add(Self::splat(SHIFT));
            let rest = bounded.sub(shifted.sub(Self::splat(SHIFT)));
            let mut sum = Self::splat(SERIES[0]);
            for term in &SERIES[1..] {
                sum = sum.mul_add(rest, Self::splat(*term));
            }
            sum.mul_add(rest, Self::splat(1.0)).times_two_to(shifted)
        }
    }
}

/// Something to be done with the widest vectors that the processor has.
pub(super) trait Task {
    type Output;
    /// To be `#[inline(always)]`, as all that it calls with `V`.
    ///
    /// # Safety
    /// The processor has the instructions that `V` uses.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// Does it.
pub(super) fn dispatch<T: Task>(task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,fma,lzcnt,popcnt")]
        unsafe fn widest<T: Task>(task: T) -> T::Output {
            unsafe { task.run::<__m512>() }
        }
        #[target_feature(enable = "avx2,bmi1,bmi2,fma,lzcnt,popcnt")]
        unsafe fn wide<T: Task>(task: T) -> T::Output {
            unsafe { task.run::<[__m256; 2]>() }
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("bmi2")
        {
            // SAFETY: the processor has them.
            return unsafe { widest(task) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("bmi2") {
            // SAFETY: the processor has them.
            return unsafe { wide(task) };
        }
    }
    // SAFETY: arrays need no particular instructions.
    unsafe { task.run::<[f32; LANES]>() }
}

#[cfg(target_arch = "x86_64")]
impl Vector for __m512 {
    const FEW: bool = false;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        unsafe { _mm512_set1_ps(number) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, by: Self, plus: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, by, plus) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { _mm512_max_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { _mm512_min_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn div(self, by: Self) -> Self {
        unsafe { _mm512_div_ps(self, by) }
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        unsafe { _mm512_sqrt_ps(self) }
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16, other: Self) -> Self {
        unsafe { _mm512_mask_blend_ps(mask, other, self) }
    }
    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        unsafe {
            let exponents = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self), exponents))
        }
    }
    #[inline(always)]
    unsafe fn transposed(from: *const f32, stride: usize) -> [Self; LANES] {
        unsafe {
            let mut rows = [_mm512_setzero_ps(); LANES];
            for (at, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(from.add(at * stride));
            }
            transpose(&rows)
        }
    }
    #[inline(always)]
    unsafe fn transpose_to(rows: &[Self; LANES], to: *mut f32, stride: usize) {
        unsafe {
            for (at, column) in transpose(rows).into_iter().enumerate() {
                _mm512_storeu_ps(to.add(at * stride), column);
            }
        }
    }
}

/// Pairs of numbers, of pairs, of quarters and of halves change places.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose(rows: &[__m512; LANES]) -> [__m512; LANES] {
    unsafe {
        let mut a = *rows;
        for at in 0..8 {
            a[2 * at] = _mm512_unpacklo_ps(rows[2 * at], rows[2 * at + 1]);
            a[2 * at + 1] = _mm512_unpackhi_ps(rows[2 * at], rows[2 * at + 1]);
        }
        let mut b = a;
        for at in 0..4 {
            let [w, x, y, z] = [a[4 * at], a[4 * at + 1], a[4 * at + 2], a[4 * at + 3]].map(|v| _mm512_castps_pd(v));
            b[4 * at] = _mm512_castpd_ps(_mm512_unpacklo_pd(w, y));
            b[4 * at + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(w, y));
            b[4 * at + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, z));
            b[4 * at + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, z));
        }
        let mut columns = b;
        for at in 0..4 {
            let low = _mm512_shuffle_f32x4::<0x88>(b[at], b[4 + at]);
            let high = _mm512_shuffle_f32x4::<0xdd>(b[at], b[4 + at]);
            let low_after = _mm512_shuffle_f32x4::<0x88>(b[8 + at], b[12 + at]);
            let high_after = _mm512_shuffle_f32x4::<0xdd>(b[8 + at], b[12 + at]);
            columns[at] = _mm512_shuffle_f32x4::<0x88>(low, low_after);
            columns[4 + at] = _mm512_shuffle_f32x4::<0x88>(high, high_after);
            columns[8 + at] = _mm512_shuffle_f32x4::<0xdd>(low, low_after);
            columns[12 + at] = _mm512_shuffle_f32x4::<0xdd>(high, high_after);
        }
        columns
    }
}

#[cfg(target_arch = "x86_64")]
impl Vector for [__m256; 2] {
    const FEW: bool = true;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        unsafe { [_mm256_set1_ps(number); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self[0]);
            _mm256_storeu_ps(to.add(8), self[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { [_mm256_add_ps(self[0], other[0]), _mm256_add_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { [_mm256_sub_ps(self[0], other[0]), _mm256_sub_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn mul_add(self, by: Self, plus: Self) -> Self {
        unsafe { [_mm256_fmadd_ps(self[0], by[0], plus[0]), _mm256_fmadd_ps(self[1], by[1], plus[1])] }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { [_mm256_max_ps(self[0], other[0]), _mm256_max_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { [_mm256_min_ps(self[0], other[0]), _mm256_min_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn div(self, by: Self) -> Self {
        unsafe { [_mm256_div_ps(self[0], by[0]), _mm256_div_ps(self[1], by[1])] }
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        unsafe { self.map(|half| _mm256_sqrt_ps(half)) }
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16, other: Self) -> Self {
        unsafe {
            let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let is_set =
                |mask: i32| _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask), bits), bits));
            [
                _mm256_blendv_ps(other[0], self[0], is_set(i32::from(mask & 0xff))),
                _mm256_blendv_ps(other[1], self[1], is_set(i32::from(mask >> 8))),
            ]
        }
    }
    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        let one = |number: __m256, shifted: __m256| unsafe {
            let exponents = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(number), exponents))
        };
        [one(self[0], shifted[0]), one(self[1], shifted[1])]
    }
    #[inline(always)]
    unsafe fn transposed(from: *const f32, stride: usize) -> [Self; LANES] {
        unsafe {
            let mut columns = [Self::splat(0.0); LANES];
            let to = columns.as_mut_ptr().cast::<f32>();
            for row in 0..LANES {
                for column in 0..LANES {
                    *to.add(column * LANES + row) = *from.add(row * stride + column);
                }
            }
            columns
        }
    }
    #[inline(always)]
    unsafe fn transpose_to(rows: &[Self; LANES], to: *mut f32, stride: usize) {
        unsafe {
            let from = rows.as_ptr().cast::<f32>();
            for row in 0..LANES {
                for column in 0..LANES {
                    *to.add(column * stride + row) = *from.add(row * LANES + column);
                }
            }
        }
    }
}

impl Vector for [f32; LANES] {
    const FEW: bool = true;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        [number; LANES]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|at| self[at] + other[at])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        std::array::from_fn(|at| self[at] - other[at])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        std::array::from_fn(|at| self[at] * other[at])
    }
    #[inline(always)]
    unsafe fn mul_add(self, by: Self, plus: Self) -> Self {
        std::array::from_fn(|at| self[at] * by[at] + plus[at])
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        std::array::from_fn(|at| if self[at] > other[at] { self[at] } else { other[at] })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        std::array::from_fn(|at| if self[at] < other[at] { self[at] } else { other[at] })
    }
    #[inline(always)]
    unsafe fn div(self, by: Self) -> Self {
        std::array::from_fn(|at| self[at] / by[at])
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16, other: Self) -> Self {
        std::array::from_fn(|at| if mask >> at & 1 == 1 { self[at] } else { other[at] })
    }
    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        std::array::from_fn(|at| f32::from_bits(self[at].to_bits().wrapping_add(shifted[at].to_bits() << 23)))
    }
    #[inline(always)]
    unsafe fn transposed(from: *const f32, stride: usize) -> [Self; LANES] {
        std::array::from_fn(|column| std::array::from_fn(|row| unsafe { *from.add(row * stride + column) }))
    }
    #[inline(always)]
    unsafe fn transpose_to(rows: &[Self; LANES], to: *mut f32, stride: usize) {
        for (row, numbers) in rows.iter().enumerate() {
            for (column, number) in numbers.iter().enumerate() {
                unsafe { *to.add(column * stride + row) = *number };
            }
        }
    }
}
