//! The kinds that the charm uses, with only the fields it needs.

pub mod gateway_api;
pub mod istio;
pub mod istio_security;
pub mod pods;
pub mod seldon;
