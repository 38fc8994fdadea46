//! The tests that need no site with models, in three rooms. `cargo test --test it -- pure::` runs one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and takes its data as it is written"
)]

mod cluster;
mod hooks;
mod pure;
#[path = "../support/mod.rs"]
mod support;
