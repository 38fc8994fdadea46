//! Rung 3: the real binary against a real kube-apiserver with the real definitions of Seldon and Istio. What their
//! controllers would do is done by the test, as data; Juju is the site's stand-in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and takes its data as it is written"
)]

mod applies;
mod calls;
mod converges;
mod deaf_watchers;
mod diagnoses;
mod endpoints;
mod fixture;
mod gateway_api;
mod gateways;
mod http_routes;
mod impostors;
mod judges;
mod observability;
mod owns;
mod plans;
mod pods;
mod proxy;
mod releases;
mod removes;
mod rights;
mod secret_reads;
mod secrets;
mod shapes;
mod silence;
mod tells;
mod trouble;
mod upgrades;
mod watches;
mod weather;

#[path = "../support/mod.rs"]
mod support;
