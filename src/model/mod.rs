//! The relational transformer: attention over typed relations, and up and down the hierarchy.
//!
//! A [`Batch`](crate::tokens::Batch) goes in; the states of the tokens that it asks for come out, and from them numbers
//! or scores of categories. Each block holds attention layers, one a kind (see [`AttentionKind`](crate::task::AttentionKind)),
//! and a gated feed-forward layer (SwiGLU, <https://arxiv.org/abs/2002.05202>); each is added to what goes in, after a
//! root-mean-square norm (<https://arxiv.org/abs/1910.07467>).
//!
//! Tokens say whose they are, and each column has vectors and answers of its own; or both go by the values' semantic types, as in
//! RT-v1 (see [`Tokens`](crate::task::Tokens)).
//!
//! **Invariant:** a model sees tensors and places, never nodes, keys or files.

mod attention;
mod dense;
mod embedding;
mod feed_forward;
mod fused;
mod init;
pub mod losses;
mod transformer;
mod typed;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub use embedding::Start;
pub(crate) use fused::on_processor;
pub use transformer::{RelationalTransformer, Shape};
pub use typed::TypedColumns;

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Places, as a tensor of shape `[places]`.
fn indices(places: &[u32], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

/// A tensor's numbers, row-major.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("models compute with 32-bit floats on every device of this module")
}

/// The device that models compute on: burn's Flex backend, or LibTorch where `RELATA_BACKEND=tch` and the feature is there.
///
/// # Errors
/// When the variable names a backend that is not there.
pub fn device() -> crate::Result<Device> {
    let known = if cfg!(feature = "tch") { "`flex` or `tch`" } else { "`flex` (`tch` needs a build with `--features tch`)" };
    match std::env::var("RELATA_BACKEND").as_deref() {
        Err(_) | Ok("" | "flex") => Ok(Device::flex()),
        #[cfg(feature = "tch")]
        #[allow(deprecated, reason = "burn will drop burn-tch; until then LibTorch is the second backend")]
        Ok("tch") => Ok(Device::libtorch()),
        Ok(other) => Err(crate::Error::Setting {
            setting: "RELATA_BACKEND".to_owned(),
            found: format!("`{other}`"),
            expected: known.to_owned(),
        }),
    }
}
