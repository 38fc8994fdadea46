//! A real, small Kubernetes: etcd and kube-apiserver alone, or with a node and images for its pods.

pub mod apiserver;
pub mod assets;
pub mod build_plan;
mod digest;
pub mod images;
pub mod node;
pub mod port;
mod process;
mod space;
