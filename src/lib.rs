//! The charm that puts a machine-learning model on an edge site: what `dispatch` does, as a library.
//!
//! Every hook goes the same way: environment and hook tools ([`juju`], [`config`]) to a plan ([`plan`]), the plan to
//! the cluster ([`cluster`]), what the cluster makes of it to a status ([`status`]). [`reconcile`] is that sequence.

pub mod actions;
pub mod api;
pub mod api_error;
pub mod changes;
pub mod cluster;
pub mod config;
pub mod gateway;
pub mod hook;
pub mod identity;
pub mod inputs;
pub mod integrations;
pub mod juju;
pub mod labels;
pub mod observed;
pub mod permissions;
pub mod plan;
pub mod reconcile;
pub mod shell;
pub mod status;
pub mod subprocess;
pub mod watcher;
