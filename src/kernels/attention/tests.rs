//! Beside plain attention: 64-bit loops over every pair that is seen, and gradients by the chain rule, straight from the
//! definitions.

use super::*;
use crate::kernels::PatternBuilder;
use crate::sampler::random::{Key, Random};

/// A case: who sees whom, and the numbers.
struct Case {
    pattern: Pattern,
    heads: usize,
    dim: usize,
    is_normed: bool,
    is_counted: bool,
    scales: Option<Vec<f32>>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    grad: Vec<f32>,
}

struct Outcome {
    out: Vec<f64>,
    query: Vec<f64>,
    key: Vec<f64>,
    value: Vec<f64>,
    scales: Vec<f64>,
    /// The largest sum that the gradients by scales are of, were all terms of one sign: rounding grows with it.
    scales_size: f64,
}

fn numbers(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.below(4001) as f32 / 2000.0 - 1.0).collect()
}

/// Below one of these.
fn up_to(random: &mut Random, bounds: &[u64]) -> usize {
    let bound = bounds[random.below(bounds.len() as u64) as usize];
    random.below(bound) as usize
}

/// Ranges that do not overlap: none, one key, all keys, one range, or a few.
fn ranges(random: &mut Random, keys: u32) -> Vec<std::ops::Range<u32>> {
    let place = |random: &mut Random| random.below(u64::from(keys)) as u32;
    match random.below(6) {
        0 => Vec::new(),
        1 => {
            let key = place(random);
            std::iter::once(key..key + 1).collect()
        }
        2 => std::iter::once(0..keys).collect(),
        3 => {
            let (one, other) = (place(random), place(random));
            std::iter::once(one.min(other)..one.max(other) + 1).collect()
        }
        _ => {
            let mut cuts: Vec<u32> = (0..2 * random.below(8)).map(|_| place(random)).collect();
            cuts.sort_unstable();
            cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).rev().collect()
        }
    }
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let keys = 1 + up_to(random, &[4, 40, 300]);
        let mut builder = PatternBuilder::default();
        for _ in 0..random.below(12) {
            let alike = 1 + up_to(random, &[3, 50]);
            builder.push_alike(alike, &ranges(random, keys as u32));
            if random.below(4) == 0 {
                builder.close();
            }
        }
        let pattern = builder.finish(keys);
        let heads = 1 + random.below(4) as usize;
        let dim = [1, 2, 5, 16, 17, 32, 48][random.below(7) as usize];
        let (width, queries) = (heads * dim, pattern.queries());
        let scales = (random.below(2) == 0).then(|| numbers(random, heads));
        Self {
            heads,
            dim,
            is_normed: random.below(2) == 0,
            is_counted: random.below(3) == 0,
            scales,
            query: numbers(random, queries * width),
            key: numbers(random, keys * width),
            value: numbers(random, keys * width),
            grad: numbers(random, queries * width),
            pattern,
        }
    }

    fn attention(&self) -> Attention<'_> {
        Attention {
            pattern: &self.pattern,
            heads: self.heads,
            dim: self.dim,
            is_normed: self.is_normed,
            is_counted: self.is_counted,
            scales: self.scales.as_deref(),
        }
    }

    fn computed(&self) -> Outcome {
        let attention = self.attention();
        let mut out = vec![f32::NAN; self.query.len()];
        let mut sums = vec![f32::NAN; self.pattern.queries() * self.heads];
        attend(&attention, &self.query, &self.key, &self.value, &mut out, &mut sums);
        let mut to_query = vec![f32::NAN; self.query.len()];
        let mut to_key = vec![f32::NAN; self.key.len()];
        let mut to_value = vec![f32::NAN; self.key.len()];
        let mut scales = vec![f32::NAN; self.heads];
        let to = Gradients { query: &mut to_query, key: &mut to_key, value: &mut to_value, scales: &mut scales };
        attend_backward(&attention, &self.query, &self.key, &self.value, &out, &sums, &self.grad, to);
        let wide = |numbers: &[f32]| numbers.iter().map(|&number| f64::from(number)).collect();
        Outcome {
            out: wide(&out),
            query: wide(&to_query),
            key: wide(&to_key),
            value: wide(&to_value),
            scales: wide(&scales),
            scales_size: 1.0,
        }
    }

    fn plain(&self) -> Outcome {
        let (heads, dim) = (self.heads, self.dim);
        let row = |numbers: &[f32], row: usize, head: usize| -> Vec<f64> {
            let start = (row * heads + head) * dim;
            numbers[start..start + dim].iter().map(|&number| f64::from(number)).collect()
        };
        let mean_square = |row: &[f64]| {
            if self.is_normed { row.iter().map(|x| x * x).sum::<f64>() / dim as f64 + f64::from(EPSILON) } else { 1.0 }
        };
        let normed = |row: &[f64]| -> Vec<f64> { row.iter().map(|x| x / mean_square(row).sqrt()).collect() };
        // Of x / √(mean x² + ε): δ/rms − x ⟨x, δ⟩ / (n rms³).
        let through = |row: &[f64], to: &[f64]| -> Vec<f64> {
            if !self.is_normed {
                return to.to_vec();
            }
            let rms = mean_square(row).sqrt();
            let product = dot(row, to);
            row.iter().zip(to).map(|(x, to)| to / rms - x * product / (dim as f64 * rms.powi(3))).collect()
        };
        let mut outcome = Outcome {
            out: vec![0.0; self.query.len()],
            query: vec![0.0; self.query.len()],
            key: vec![0.0; self.key.len()],
            value: vec![0.0; self.key.len()],
            scales: vec![0.0; heads],
            scales_size: 1.0,
        };
        let mut sizes = vec![0.0; heads];
        let add = |to: &mut [f64], at: usize, head: usize, by: &[f64], times: f64| {
            let start = (at * heads + head) * dim;
            to[start..start + dim].iter_mut().zip(by).for_each(|(to, by)| *to += by * times);
        };
        for (query, seen) in self.pattern.lists().iter().enumerate() {
            for head in 0..heads {
                let own = row(&self.query, query, head);
                let mut fixed = (dim as f64).sqrt().recip();
                if self.is_counted {
                    fixed *= (seen.len().max(1) as f64).ln();
                }
                let factor = fixed * self.scales.as_ref().map_or(1.0, |scales| f64::from(scales[head]));
                let own_normed = normed(&own);
                let keys: Vec<Vec<f64>> = seen.iter().map(|&key| row(&self.key, key as usize, head)).collect();
                let values: Vec<Vec<f64>> = seen.iter().map(|&key| row(&self.value, key as usize, head)).collect();
                let products: Vec<f64> = keys.iter().map(|key| dot(&own_normed, &normed(key))).collect();
                let highest = products.iter().map(|product| product * factor).fold(f64::NEG_INFINITY, f64::max);
                let exponentials: Vec<f64> = products.iter().map(|product| (product * factor - highest).exp()).collect();
                let sum: f64 = exponentials.iter().sum();
                let grad = row(&self.grad, query, head);
                let weights: Vec<f64> = exponentials.iter().map(|exponential| exponential / sum).collect();
                let shares: Vec<f64> = values.iter().map(|value| dot(value, &grad)).collect();
                let mean = dot(&weights, &shares);
                let mut to_own = vec![0.0; dim];
                for (at, &key) in seen.iter().enumerate() {
                    let key = key as usize;
                    add(&mut outcome.out, query, head, &values[at], weights[at]);
                    add(&mut outcome.value, key, head, &grad, weights[at]);
                    let to_score = weights[at] * (shares[at] - mean);
                    outcome.scales[head] += to_score * products[at] * fixed;
                    sizes[head] += (to_score * products[at] * fixed).abs();
                    let to_key: Vec<f64> = own_normed.iter().map(|x| x * to_score * factor).collect();
                    add(&mut outcome.key, key, head, &through(&keys[at], &to_key), 1.0);
                    to_own.iter_mut().zip(normed(&keys[at])).for_each(|(to, x)| *to += x * to_score * factor);
                }
                add(&mut outcome.query, query, head, &through(&own, &to_own), 1.0);
            }
        }
        if self.scales.is_none() {
            outcome.scales.fill(0.0);
        }
        outcome.scales_size = sizes.iter().fold(1.0, |largest, &size| size.max(largest));
        outcome
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// The largest difference, as a share of the largest number or of `size`, where that is larger.
fn difference(found: &[f64], expected: &[f64], size: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(size, |largest, number| largest.max(number.abs()));
    // Of what is no number, the largest.
    let far = |(one, other): (&f64, &f64)| if one.is_nan() { f64::INFINITY } else { (one - other).abs() };
    found.iter().zip(expected).map(far).fold(0.0, f64::max) / largest
}

#[test]
fn attention_and_its_gradients_equal_the_plain_ones() {
    for round in 0..1000 {
        let case = Case::random(&mut Key::new("attention tests", round).random());
        let (found, plain) = (case.computed(), case.plain());
        for (what, found, expected, size) in [
            ("out", &found.out, &plain.out, 1.0),
            ("query", &found.query, &plain.query, 1.0),
            ("key", &found.key, &plain.key, 1.0),
            ("value", &found.value, &plain.value, 1.0),
            ("scales", &found.scales, &plain.scales, plain.scales_size),
        ] {
            let difference = difference(found, expected, size);
            assert!(difference < 1e-5, "round {round}, {what}: off by {difference}, heads {} × {}", case.heads, case.dim);
        }
    }
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    for round in 0..20 {
        let case = Case::random(&mut Key::new("attention threads", round).random());
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let outcome = pool.install(|| case.computed());
            (outcome.out, outcome.query, outcome.key, outcome.value, outcome.scales)
        };
        let one = on(1);
        assert_eq!(one, on(2), "round {round}");
        assert_eq!(one, on(5), "round {round}");
    }
}

/// Vectors of other processors give the same, up to rounding, forward and backward.
#[test]
fn every_kind_of_vector_gives_the_same() {
    for round in 0..40 {
        let case = Case::random(&mut Key::new("attention vectors", round).random());
        let plain = case.plain();
        let equal = |kind: &str, [out, query, key, value]: [Vec<f32>; 4]| {
            let all = [(out, &plain.out), (query, &plain.query), (key, &plain.key), (value, &plain.value)];
            for (what, (found, plain)) in ["out", "query", "key", "value"].into_iter().zip(all) {
                let found: Vec<f64> = found.iter().map(|&number| f64::from(number)).collect();
                assert!(difference(&found, plain, 1.0) < 1e-5, "round {round}, {kind}, {what}");
            }
        };
        // SAFETY: arrays need no particular instructions.
        equal("arrays", unsafe { case.computed_with::<[f32; LANES]>() });
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has them.
            equal("256 bits", unsafe { case.computed_with::<[std::arch::x86_64::__m256; 2]>() });
        }
    }
}

impl Case {
    /// The result, and the gradients by queries, keys and values, all on this thread.
    ///
    /// # Safety
    /// See [`Vector`].
    unsafe fn computed_with<V: Vector>(&self) -> [Vec<f32>; 4] {
        let attention = &self.attention();
        let (query, grad) = (&self.query[..], &self.grad[..]);
        let mut out = vec![0.0; query.len()];
        let mut sums = vec![0.0; self.pattern.queries() * self.heads];
        let [mut to_query, mut to_key, mut to_value] = [query, &self.key, &self.value].map(|numbers| vec![0.0; numbers.len()]);
        let pieces = || {
            let all = self.pattern.segments.iter().flat_map(|segment| (0..self.heads).map(move |head| (segment, head)));
            all.map(|(segment, head)| Piece { attention, segment, head, key: &self.key, value: &self.value })
        };
        with_scratch(|scratch| {
            for piece in pieces() {
                let (out, sums) = (Shared(out.as_mut_ptr()), Shared(sums.as_mut_ptr()));
                let scratch = &mut *scratch;
                // SAFETY: the caller's.
                unsafe { Work { piece, tiles: Forward { query, out, sums }, scratch }.run::<V>() };
            }
            for piece in pieces() {
                let [to_query, to_key, to_value] = [&mut to_query, &mut to_key, &mut to_value].map(|to| Shared(to.as_mut_ptr()));
                let (out, sums, scratch) = (&out[..], &sums[..], &mut *scratch);
                let tiles = Backward { query, out, sums, grad, to_query, to_key, to_value, to_scale: 0.0 };
                // SAFETY: the caller's.
                unsafe { Work { piece, tiles, scratch }.run::<V>() };
            }
        });
        [out, to_query, to_key, to_value]
    }
}
