//! The addresses and ports of a gateway.
//!
//! A Gateway selects pods by their labels, and one or several Services select those pods, in the one namespace of the
//! gateway's workload.

mod observe;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use crate::gateway::GatewayName;
use crate::gateway::hosts::hosts_overlap;
use crate::gateway::listeners::{Listener, Listeners};
use crate::gateway::workload::{Workload, includes, selects_gateway};
use crate::shell::command;

pub use observe::{find, services};
pub use read::{node, pod, service};

/// The parts of a Service that determine its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    pub selector: BTreeMap<String, String>,
    /// `ClusterIP`, `NodePort` or `LoadBalancer`.
    pub kind: String,
    pub cluster_address: Option<String>,
    /// The addresses of its load balancer, and its `externalIPs`.
    pub external: Vec<String>,
    /// Whether a node forwards only to its own pods (`externalTrafficPolicy: Local`).
    pub is_local: bool,
    pub ports: Vec<Port>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    /// The port of the pods, if it is a number.
    pub target: Option<u16>,
    /// The port on every node.
    pub node: Option<u16>,
}

/// The parts of a pod that determine its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub node: String,
    /// The node's address.
    pub host: Option<String>,
    pub ready: bool,
    /// Ports of the node by ports of the pod.
    pub host_ports: BTreeMap<u16, u16>,
    /// Whether it uses the node's network, and so all ports of the node.
    pub has_host_network: bool,
    /// The image of Istio's proxy, if the pod has one.
    pub proxy_image: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    pub name: String,
    /// The external address if it has one.
    pub address: Option<String>,
    pub ready: bool,
}

/// What determines a gateway's endpoints. `None` could not be listed.
#[derive(Debug, Clone, Default)]
pub struct GatewayEndpoints {
    pub services: Option<Vec<Service>>,
    pub pods: Option<Vec<Pod>>,
    pub nodes: Option<Vec<Node>>,
    /// Where the Services and pods are.
    pub workload: Workload,
    /// What could not be determined, and why.
    pub unknown: Vec<String>,
}

/// The kinds of endpoints, those with the widest reach first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    LoadBalancer,
    /// A port on the nodes of the gateway's pods.
    HostPort,
    /// A port on every node.
    NodePort,
    /// An address inside the cluster.
    Cluster,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    pub exposure: Exposure,
    pub tls: bool,
    /// `<node>` if no node's address is known.
    pub address: String,
    pub port: u16,
    /// The hosts that the listener accepts.
    pub hosts: Vec<String>,
}

/// A gateway whose pods cannot be told from those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguity {
    pub cause: String,
    pub command: String,
}

/// Stands for an unknown address of a node.
pub const NODE_PLACEHOLDER: &str = "<node>";
/// Most namespaces that are listed of an ambiguous gateway.
const MOST_NAMESPACES: usize = 4;
/// Most nodes that are listed: a port on every node is the same on all of them.
const MOST_NODES: usize = 3;

/// The Services of the pods that a gateway selects. If the pods are unknown, Services with the same labels.
pub fn services_of(selector: &BTreeMap<String, String>, services: Vec<Service>, pods: Option<&[Pod]>) -> Vec<Service> {
    let selects = |service: &Service| match pods.filter(|pods| !pods.is_empty()) {
        Some(pods) => {
            let is_selected = |pod: &Pod| includes(&pod.labels, &service.selector);
            !service.selector.is_empty() && pods.iter().any(is_selected)
        }
        None => selects_gateway(&service.selector, selector),
    };
    services.into_iter().filter(selects).collect()
}

impl GatewayEndpoints {
    /// Leaves only what is in the namespace of the gateway's workload: somebody else's must neither get a request nor
    /// be passed on as an address.
    fn keep_workload(&mut self, gateway: &GatewayName, listeners: &Listeners) {
        let pods = self.pods.iter().flatten().map(|pod| pod.namespace.as_str());
        let services = self.services.iter().flatten();
        let services = services.map(|service| (service.namespace.as_str(), &service.selector));
        let workload = Workload::find(gateway, listeners, pods, services);
        // Without the Services, pods of other namespaces could be anybody's.
        if self.services.is_none() && !workload.is_in(&gateway.namespace) {
            self.pods = None;
        }
        if let Some(pods) = &mut self.pods {
            pods.retain(|pod| workload.is_in(&pod.namespace));
        }
        if let Some(services) = self.services.take() {
            let services = services.into_iter();
            let services = services.filter(|service| workload.is_in(&service.namespace)).collect();
            self.services = Some(services_of(&listeners.selector, services, self.pods.as_deref()));
        }
        self.workload = workload;
    }

    /// Why it is unknown which pods and Services are the gateway's, and the command that lists them.
    pub fn ambiguity(&self, gateway: &GatewayName, listeners: &Listeners) -> Option<Ambiguity> {
        let Workload::Ambiguous(namespaces) = &self.workload else {
            return None;
        };
        let selector = listeners.label_selector().unwrap_or_default();
        let shown: Vec<&str> = namespaces.iter().take(MOST_NAMESPACES).map(String::as_str).collect();
        let more = match namespaces.len().saturating_sub(MOST_NAMESPACES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(Ambiguity {
            cause: format!(
                "Gateway {gateway}: {selector} selects pods or Services of several namespaces, {}{more}; delete those \
                 that are not the gateway's",
                shown.join(", ")
            ),
            command: command(&["kubectl", "get", "pods,services", "-A", "-l", &selector]),
        })
    }

    /// All endpoints, those with the widest reach first.
    pub fn endpoints(&self, listeners: &Listeners) -> Vec<Endpoint> {
        let mut endpoints = BTreeSet::new();
        for listener in &listeners.servers {
            endpoints.extend(self.host_ports(listener));
            for service in self.services.iter().flatten() {
                endpoints.extend(self.service_endpoints(listener, service));
            }
        }
        endpoints.into_iter().collect()
    }

    fn service_endpoints(&self, listener: &Listener, service: &Service) -> Vec<Endpoint> {
        let Some(port) = service_port(listener, service) else {
            return Vec::new();
        };
        let endpoint = |exposure, address: &String, port| Endpoint {
            exposure,
            tls: listener.tls,
            address: address.clone(),
            port,
            hosts: listener.hosts.clone(),
        };
        let external = service.external.iter();
        let mut endpoints: Vec<Endpoint> = external
            .map(|address| endpoint(Exposure::LoadBalancer, address, port.number))
            .collect();
        if let Some(number) = port.node {
            let nodes = self.node_addresses(service.is_local);
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

    fn host_ports(&self, listener: &Listener) -> Vec<Endpoint> {
        let services = self.services.iter().flatten();
        let mut targets: BTreeSet<u16> = services
            .filter_map(|service| service_port(listener, service)?.target)
            .collect();
        if targets.is_empty() {
            targets.insert(listener.port);
        }
        let pods = self.pods.iter().flatten().filter(|pod| pod.ready);
        pods.flat_map(|pod| {
            let host_port = |target: &u16| {
                let mapped = pod.host_ports.get(target).copied();
                mapped.or(pod.has_host_network.then_some(*target))
            };
            let address = self.node_address(pod);
            let ports: Vec<u16> = targets.iter().filter_map(host_port).collect();
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

    fn node_address(&self, pod: &Pod) -> String {
        let mut nodes = self.nodes.iter().flatten();
        let node = nodes.find(|node| node.name == pod.node);
        let address = node.and_then(|node| node.address.clone()).or_else(|| pod.host.clone());
        address.unwrap_or_else(|| NODE_PLACEHOLDER.to_owned())
    }

    fn node_addresses(&self, is_local: bool) -> Vec<String> {
        let nodes_of_pods = || {
            let pods = self.pods.iter().flatten().filter(|pod| pod.ready);
            pods.map(|pod| self.node_address(pod)).collect::<BTreeSet<_>>()
        };
        let all_nodes = || {
            let nodes = self.nodes.iter().flatten().filter(|node| node.ready);
            nodes.filter_map(|node| node.address.clone()).collect()
        };
        let mut addresses: BTreeSet<String> = if is_local { nodes_of_pods() } else { all_nodes() };
        if addresses.is_empty() {
            addresses = nodes_of_pods();
        }
        if addresses.is_empty() {
            addresses.insert(NODE_PLACEHOLDER.to_owned());
        }
        addresses.into_iter().take(MOST_NODES).collect()
    }
}

/// The hosts of a model that a gateway accepts, the more specific one of two that overlap; `None` is any host.
pub fn common_hosts(model: &[String], gateway: &[String]) -> BTreeSet<Option<String>> {
    let pairs = model
        .iter()
        .flat_map(|host| gateway.iter().map(move |other| (host, other)));
    pairs
        .filter(|(host, other)| hosts_overlap(slice::from_ref(*host), slice::from_ref(*other)))
        .map(|(host, other)| {
            let specificity = |host: &str| host.strip_prefix('*').map_or(usize::MAX, str::len);
            let specific = if specificity(host) >= specificity(other) {
                host
            } else {
                other
            };
            (specific != "*").then(|| specific.clone())
        })
        .collect()
}

/// The port of a Service for a listener.
fn service_port(listener: &Listener, service: &Service) -> Option<Port> {
    let number = listener.port;
    let mut ports = service.ports.iter();
    ports
        .clone()
        .find(|port| port.number == number)
        .or_else(|| ports.find(|port| port.target == Some(number)))
        .copied()
}

#[cfg(test)]
mod tests;
