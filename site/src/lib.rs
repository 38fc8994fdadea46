//! The edge site in a box.

pub mod agent;
pub mod apiserver;
pub mod assets;
pub mod bundle;
pub mod full;
pub mod hooktool;
pub mod images;
pub mod juju;
pub mod node;
mod port;
mod process;
mod space;
