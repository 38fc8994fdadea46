#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod agent;
pub mod hooktool;
pub mod juju;
pub mod target_directory;
