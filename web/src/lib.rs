//! Stub.

pub mod demo;
