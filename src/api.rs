//! The kinds of Kubernetes, Seldon, Istio and the Gateway API that the charm touches: only the fields it uses.

pub mod gateway_api;
pub mod istio;
pub mod pods;
pub mod seldon;
