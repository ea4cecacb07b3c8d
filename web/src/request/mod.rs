//! What a request brings, taken apart: every mistake in it becomes an [`ApiError`](crate::ApiError) that names the
//! parameter.

mod body;
mod parameters;
mod segments;

pub use body::{BODY_LIMIT, Body};
pub use parameters::Parameters;
pub use segments::Segments;
