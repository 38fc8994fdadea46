//! The documentation is true: what it has its readers type works, its links lead somewhere, and its index knows every page.
//!
//! What needs models that answer is in `tests/e2e/docs.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/console.rs"]
mod console;
mod links;
mod typed;
