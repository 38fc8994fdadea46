//! The edge site in a box.

pub mod agent;
pub mod apiserver;
pub mod assets;
pub mod bundle;
pub mod hooktool;
pub mod images;
pub mod juju;
