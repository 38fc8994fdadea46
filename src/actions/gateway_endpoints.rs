//! At which addresses and ports the pods of a gateway take requests.
//!
//! A Gateway names pods by their labels, and one or several Services lead to those.

mod observe;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use crate::gateway::hosts::hosts_overlap;
use crate::gateway::listeners::{Listener, Listeners};

pub use observe::{find, services};
pub use read::{node, pod, service};

/// A Service, as far as it leads to pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// `ClusterIP`, `NodePort` or `LoadBalancer`.
    pub kind: String,
    /// Its address in the cluster, if it has one.
    pub cluster_address: Option<String>,
    /// The addresses that a load balancer gave it, and those that somebody leads to it.
    pub outside: Vec<String>,
    /// Whether a node takes only requests for pods of its own (`externalTrafficPolicy: Local`).
    pub own_pods_only: bool,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// The port of the pods, where it is said by its number.
    pub target: Option<u16>,
    /// The port of every node.
    pub node: Option<u16>,
}

/// A pod, as far as it takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The node that it runs on.
    pub node: String,
    /// That node's address.
    pub host: Option<String>,
    /// Whether it takes requests.
    pub ready: bool,
    /// Its ports that are ports of its node too: by the pod's, the node's.
    pub host_ports: BTreeMap<u16, u16>,
    /// Whether all of its ports are its node's.
    pub on_host: bool,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its address: the outer one if it has one.
    pub address: Option<String>,
    /// Whether it is up.
    pub ready: bool,
}

/// What was found of a gateway's ways in. What could not be is `None`.
#[derive(Debug, Clone, Default)]
pub struct GatewayEndpoints {
    /// The Services of the gateway's pods.
    pub services: Option<Vec<Service>>,
    /// The gateway's pods.
    pub pods: Option<Vec<Pod>>,
    /// The nodes of the cluster.
    pub nodes: Option<Vec<Node>>,
    /// Why something was not found out, a sentence each.
    pub unknown: Vec<String>,
}

/// How far a way reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// The address of a load balancer.
    LoadBalancer,
    /// A port of the nodes that the gateway's pods run on.
    HostPort,
    /// A port of every node.
    NodePort,
    /// The cluster itself.
    Cluster,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// From where it is open.
    pub exposure: Exposure,
    /// Whether clients speak TLS.
    pub tls: bool,
    /// The address: `<node>` where no node's is known.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The host names that are taken there.
    pub hosts: Vec<String>,
}

/// What stands for the address of a node that is not known.
pub const NODE_PLACEHOLDER: &str = "<node>";
/// Most nodes that are named: with a port of every node, one is as good as another.
const MOST_NODES: usize = 3;

/// Those of these Services that lead to the pods that a gateway names by `selector`. Where the pods are not known, these labels must do,
/// and the namespace of the Gateway goes before others.
pub fn services_of(
    namespace: &str,
    selector: &BTreeMap<String, String>,
    services: Vec<Service>,
    pods: Option<&[Pod]>,
) -> Vec<Service> {
    let services = services.into_iter().filter(|service| !service.selector.is_empty());
    if let Some(pods) = pods.filter(|pods| !pods.is_empty()) {
        let leads = |service: &Service| {
            let mut of_namespace = pods.iter().filter(|pod| pod.namespace == service.namespace);
            of_namespace.any(|pod| holds(&pod.labels, &service.selector))
        };
        return services.filter(leads).collect();
    }
    let alike = |service: &Service| holds(&service.selector, selector) || holds(selector, &service.selector);
    let found: Vec<Service> = services.filter(alike).collect();
    let (near, far): (Vec<_>, Vec<_>) = found.into_iter().partition(|service| service.namespace == namespace);
    if near.is_empty() { far } else { near }
}

fn holds(all: &BTreeMap<String, String>, some: &BTreeMap<String, String>) -> bool {
    some.iter().all(|(key, value)| all.get(key) == Some(value))
}

impl GatewayEndpoints {
    /// All ways in, the one that reaches farthest first.
    pub fn endpoints(&self, listeners: &Listeners) -> Vec<Endpoint> {
        let mut endpoints = BTreeSet::new();
        for listener in &listeners.servers {
            endpoints.extend(self.ports_of_hosts(listener));
            for service in self.services.iter().flatten() {
                endpoints.extend(self.of_service(listener, service));
            }
        }
        endpoints.into_iter().collect()
    }

    fn of_service(&self, listener: &Listener, service: &Service) -> Vec<Endpoint> {
        let Some(port) = port_of(listener, service) else {
            return Vec::new();
        };
        let endpoint = |exposure, address: &String, port| Endpoint {
            exposure,
            tls: listener.tls,
            address: address.clone(),
            port,
            hosts: listener.hosts.clone(),
        };
        let outside = service.outside.iter();
        let mut endpoints: Vec<Endpoint> = outside
            .map(|address| endpoint(Exposure::LoadBalancer, address, port.number))
            .collect();
        if let Some(number) = port.node {
            let nodes = self.node_addresses(service.own_pods_only);
            endpoints.extend(
                nodes
                    .iter()
                    .map(|address| endpoint(Exposure::NodePort, address, number)),
            );
        }
        let cluster = service.cluster_address.iter();
        endpoints.extend(cluster.map(|address| endpoint(Exposure::Cluster, address, port.number)));
        endpoints
    }

    /// The pods' own ports on their nodes.
    fn ports_of_hosts(&self, listener: &Listener) -> Vec<Endpoint> {
        let services = self.services.iter().flatten();
        let mut targets: BTreeSet<u16> = services
            .filter_map(|service| port_of(listener, service)?.target)
            .collect();
        if targets.is_empty() {
            targets.insert(listener.port);
        }
        let pods = self.pods.iter().flatten().filter(|pod| pod.ready);
        pods.flat_map(|pod| {
            let on_host = |target: &u16| {
                let mapped = pod.host_ports.get(target).copied();
                mapped.or(pod.on_host.then_some(*target))
            };
            let address = self.address_of(pod);
            let ports: Vec<u16> = targets.iter().filter_map(on_host).collect();
            ports.into_iter().map(move |port| Endpoint {
                exposure: Exposure::HostPort,
                tls: listener.tls,
                address: address.clone(),
                port,
                hosts: listener.hosts.clone(),
            })
        })
        .collect()
    }

    /// The address of the node that a pod runs on.
    fn address_of(&self, pod: &Pod) -> String {
        let mut nodes = self.nodes.iter().flatten();
        let node = nodes.find(|node| node.name == pod.node);
        let address = node.and_then(|node| node.address.clone()).or_else(|| pod.host.clone());
        address.unwrap_or_else(|| NODE_PLACEHOLDER.to_owned())
    }

    fn node_addresses(&self, own_pods_only: bool) -> Vec<String> {
        let of_pods = || {
            let pods = self.pods.iter().flatten().filter(|pod| pod.ready);
            pods.map(|pod| self.address_of(pod)).collect::<BTreeSet<_>>()
        };
        let all = || {
            let nodes = self.nodes.iter().flatten().filter(|node| node.ready);
            nodes.filter_map(|node| node.address.clone()).collect()
        };
        let mut found: BTreeSet<String> = if own_pods_only { of_pods() } else { all() };
        if found.is_empty() {
            found = of_pods();
        }
        if found.is_empty() {
            found.insert(NODE_PLACEHOLDER.to_owned());
        }
        found.into_iter().take(MOST_NODES).collect()
    }
}

/// The host names that both a model and a gateway take, the nearer ones where one covers the other; `None` where any will do.
pub fn common_hosts(ours: &[String], theirs: &[String]) -> BTreeSet<Option<String>> {
    let both = ours.iter().flat_map(|one| theirs.iter().map(move |other| (one, other)));
    both.filter(|(one, other)| hosts_overlap(slice::from_ref(*one), slice::from_ref(*other)))
        .map(|(one, other)| {
            let near = |host: &str| host.strip_prefix('*').map_or(usize::MAX, str::len);
            let nearer = if near(one) >= near(other) { one } else { other };
            (nearer != "*").then(|| nearer.clone())
        })
        .collect()
}

/// The port of a Service that leads to a listener.
fn port_of(listener: &Listener, service: &Service) -> Option<Port> {
    let number = listener.port;
    let mut ports = service.ports.iter();
    let found = ports
        .clone()
        .find(|port| port.number == number)
        .or_else(|| ports.find(|port| port.target == Some(number)));
    found.copied()
}

#[cfg(test)]
mod tests;
