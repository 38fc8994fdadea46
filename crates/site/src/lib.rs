//! The edge site in a box: what joins the simulated Juju and the real Kubernetes.

pub mod bundle;
pub mod full;
pub mod programs;
