//! Products of matrices, by the library that burn's backend for processors uses.

use std::ops::Range;

use rayon::prelude::*;

use super::Shared;

/// Columns of a weight's gradient that a task computes.
const PART: usize = 128;

/// A matrix whose rows and columns are so many numbers apart.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub(super) fn of(numbers: &'a [f32], columns: usize) -> Self {
        debug_assert_eq!(numbers.len() % columns, 0);
        Self { numbers, rows: numbers.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        let Self { numbers, rows, columns, row_stride, column_stride } = self;
        Self { numbers, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    /// Some of its rows.
    fn rows(self, rows: Range<usize>) -> Self {
        assert!(rows.end <= self.rows);
        Self { numbers: &self.numbers[rows.start * self.row_stride..], rows: rows.len(), ..self }
    }

    /// Some of its columns.
    fn columns(self, columns: Range<usize>) -> Self {
        assert!(columns.end <= self.columns);
        Self { numbers: &self.numbers[columns.start * self.column_stride..], columns: columns.len(), ..self }
    }
}

/// `to = one × other`, or `to += one × other`; `to` row after row.
pub(super) fn multiply(one: Matrix<'_>, other: Matrix<'_>, to: &mut [f32], adds: bool) {
    assert_eq!(to.len(), one.rows * other.columns);
    let to = Shared(to.as_mut_ptr());
    // SAFETY: `to` has as many rows and columns.
    unsafe { multiply_into(one, other, to, other.columns, adds) };
}

/// # Safety
/// `to` has room for the product, its rows `stride` numbers apart, and no other thread touches that.
unsafe fn multiply_into(one: Matrix<'_>, other: Matrix<'_>, to: Shared, stride: usize, adds: bool) {
    assert_eq!(one.columns, other.rows);
    if one.rows == 0 || other.columns == 0 {
        return;
    }
    // SAFETY: the matrices' numbers are there, as their constructors check; the rest is the caller's.
    unsafe {
        gemm::gemm(
            one.rows,
            other.columns,
            one.columns,
            to.0,
            1,
            stride as isize,
            adds,
            one.numbers.as_ptr(),
            one.column_stride as isize,
            one.row_stride as isize,
            other.numbers.as_ptr(),
            other.column_stride as isize,
            other.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A part of a weight's gradient, `inputsᵀ × outputs`.
pub(super) struct WeightGradient<'a> {
    pub(super) inputs: Matrix<'a>,
    pub(super) outputs: Matrix<'a>,
    pub(super) to: &'a mut [f32],
}

/// Computes some weights' gradients, cut in parts for threads; each sum goes through the rows in their order.
pub(super) fn weight_gradients(gradients: &mut [WeightGradient<'_>]) {
    let tasks: Vec<(Matrix<'_>, Matrix<'_>, Shared, usize)> = gradients
        .iter_mut()
        .flat_map(|gradient| {
            let (rows, columns) = (gradient.inputs.columns, gradient.outputs.columns);
            assert_eq!(gradient.to.len(), rows * columns);
            let to = Shared(gradient.to.as_mut_ptr());
            let (inputs, outputs) = (gradient.inputs.transposed(), gradient.outputs);
            let parts = |length: usize| (0..length).step_by(PART).map(move |start| start..(start + PART).min(length));
            // The longer side is cut.
            let tasks: Vec<_> = if rows > columns {
                parts(rows).map(|part| (inputs.rows(part.clone()), outputs, to.at(part.start * columns), columns)).collect()
            } else {
                parts(columns).map(|part| (inputs, outputs.columns(part.clone()), to.at(part.start), columns)).collect()
            };
            tasks
        })
        .collect();
    tasks.into_par_iter().for_each(|(inputs, outputs, to, stride)| {
        if inputs.columns == 0 {
            for row in 0..inputs.rows {
                // SAFETY: as below.
                unsafe { std::slice::from_raw_parts_mut(to.at(row * stride).0, outputs.columns).fill(0.0) };
            }
            return;
        }
        // SAFETY: parts of a gradient do not overlap.
        unsafe { multiply_into(inputs, outputs, to, stride, false) };
    });
}
