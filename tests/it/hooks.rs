//! Level 2: the real binary with simulated hook tools, and no cluster to reach.

mod action_parameters;
mod hanging_tools;
mod secrets;
mod statuses;
