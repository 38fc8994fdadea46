//! Level 3: the real binary against a real kube-apiserver with the real definitions of Seldon and Istio. The test does, as data,
//! what their controllers would do; Juju is simulated.

mod access;
mod black_hole;
mod convergence;
mod diagnose;
mod endpoints;
mod events_and_version;
mod faults;
mod fixture;
mod fleet;
mod forged_objects;
mod gateway_api;
mod gateways;
mod grpc;
mod hardened_mesh;
mod http_routes;
mod manifest_types;
mod manifests;
mod observability;
mod ownership;
mod permissions;
mod plan;
mod pods;
mod proxy;
mod reconcile;
mod refresh;
mod releases;
mod removal;
mod report;
mod secret_reads;
mod secrets;
mod served;
mod status;
mod unavailable;
mod watcher;
mod watcher_faults;
