//! Juju's controller, unit agent and hook tools, simulated. A charm's real binary runs under them, hook by hook.

pub mod agent;
pub mod hooktool;
pub mod juju;
pub mod target_directory;
