//! The documentation: its commands work, its links have targets, its index lists every page, and the README is short.
//!
//! Pages that need models that answer are run by `tests/e2e/docs.rs`.

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
mod readme;
mod relations;
mod typed;
