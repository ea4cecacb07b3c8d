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
mod heads;
mod init;
pub mod losses;
mod precision;
mod transformer;
mod typed;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub use embedding::Start;
pub(crate) use fused::{from_processor, on_processor};
pub use heads::Loss;
pub use transformer::{AskedShape, RelationalTransformer, Shape};
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

/// The device that models compute on: burn's Flex backend, or what `RELATA_BACKEND` names, where the program was built with it:
/// `tch` for LibTorch on the processor, `tch-cuda` for LibTorch on the first card, `cuda` for burn's own kernels there.
///
/// # Errors
/// When the variable names a backend that is not there.
pub fn device() -> crate::Result<Device> {
    let found = std::env::var("RELATA_BACKEND").unwrap_or_default();
    match found.as_str() {
        "" | "flex" => Ok(Device::flex()),
        #[cfg(feature = "tch")]
        #[allow(deprecated, reason = "burn will drop burn-tch; until then LibTorch is the second backend")]
        "tch" => Ok(Device::libtorch()),
        #[cfg(feature = "tch")]
        #[allow(deprecated, reason = "as above")]
        "tch-cuda" => Ok(Device::libtorch_cuda(0)),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        other => {
            let (tch, cuda) = (cfg!(feature = "tch"), cfg!(feature = "cuda"));
            let known = |is: bool, name: &'static str, feature: &str| match is {
                true => format!("`{name}`"),
                false => format!("`{name}` (needs a build with `--features {feature}`)"),
            };
            let known =
                ["`flex`".to_owned(), known(tch, "tch", "tch"), known(tch, "tch-cuda", "tch"), known(cuda, "cuda", "cuda")];
            Err(crate::Error::setting("RELATA_BACKEND", format!("`{other}`"), known.join(", ")))
        }
    }
}
