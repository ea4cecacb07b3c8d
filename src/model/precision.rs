//! Products of matrices in fewer bits than the rest.

use burn::tensor::{DType, Tensor};

use super::fused::is_fused;
use crate::task::Precision;

/// `one · other`, in a precision; what goes in and comes out has 32 bits. Where there are [kernels](crate::kernels), it has 32
/// bits between, too.
///
/// Source: Micikevicius et al. 2018, "Mixed precision training", <https://arxiv.org/abs/1710.03740>.
pub(super) fn product<const D: usize>(one: Tensor<D>, other: Tensor<D>, precision: Precision) -> Tensor<D> {
    match precision {
        Precision::Bf16 if !is_fused(&one) => one.cast(DType::BF16).matmul(other.cast(DType::BF16)).cast(DType::F32),
        _ => one.matmul(other),
    }
}
