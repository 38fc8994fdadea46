//! The documentation: its commands work, its links have targets, and its index lists every page.
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
mod typed;
