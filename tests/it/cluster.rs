//! Level 3: the real binary against a real kube-apiserver with the real definitions of Seldon and Istio. The test does, as data,
//! what their controllers would do; Juju is simulated.

mod applies;
mod calls;
mod converges;
mod deaf_watchers;
mod diagnoses;
mod endpoints;
mod fixture;
mod gateway_api;
mod gateways;
mod http_routes;
mod impostors;
mod judges;
mod observability;
mod owns;
mod plans;
mod pods;
mod proxy;
mod releases;
mod removes;
mod rights;
mod secret_reads;
mod secrets;
mod shapes;
mod silence;
mod tells;
mod trouble;
mod upgrades;
mod watches;
mod weather;
