//! Level 1: no process of the charm and no cluster. Snapshots of plans, properties over random input, and the layout of the
//! repository.

mod access;
mod fixture;
mod layers;
mod observability;
mod picture;
mod plan;
mod plan_properties;
mod pods;
mod reference;
mod terraform;
mod traffic;
