//! The charm that puts machine-learning models on an edge site: what `dispatch` does, as a library.
//!
//! Every hook takes the same way, from the event to one status:
//!
//! ```text
//! event, options, relations, secrets  ->  Inputs     what is wanted         inputs, config
//! the cluster                         ->  Observed   what there is          observed, cluster
//! Inputs + Observed                   ->  Plan       pure                   plan
//! Plan - Observed                     ->  ChangeSet  pure                   changes
//! ChangeSet                           ->  the cluster                       cluster
//! Plan + Observed                     ->  Report     pure, all messages     status
//! Report                              ->  status-set, last, once            hook
//! ```
//!
//! [`reconcile`] is that sequence, [`hook`] chooses between it, [`actions`] and removal. Below, a module takes only from those
//! before it (`tests/it/pure/layers.rs`); from [`juju_hooks`] takes whoever talks to Juju.

// What everything else may name.
pub mod labels;
pub mod shell;
pub mod text;

pub mod identity;

// The kinds of others, and what gateways of either kind have in common.
pub mod api;
pub mod gateway;

// What is wanted.
pub mod config;
pub mod permissions;

pub mod api_error;
pub mod inputs;

// What there is.
pub mod observed;

// Decisions: pure.
pub mod plan;

pub mod changes;

pub mod status;

// Effects.
pub mod cluster;

pub mod reconcile;

pub mod integrations;

pub mod actions;

pub mod watcher;

pub mod hook;
