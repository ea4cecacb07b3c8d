//! The whole application, on a small store that each test can read for itself.

mod answers;
mod mistakes;
mod port;
mod program;
mod sample;
mod small;
mod swap;
