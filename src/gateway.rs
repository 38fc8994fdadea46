//! What Istio gateways and gateways of the Gateway API have in common: names, listeners, pods, and the matching of
//! hosts and prefixes.

pub mod claims;
pub mod hosts;
pub mod listeners;
pub mod prefix;
pub mod revision;
pub mod route_condition;
pub mod workload;

use std::fmt;

use hosts::is_dns_label;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayKind {
    /// Configured by `VirtualService`.
    Istio,
    /// Configured by `HTTPRoute`.
    GatewayApi,
}

impl GatewayKind {
    /// The charm's endpoint for gateways of this kind.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Istio => "gateway-info",
            Self::GatewayApi => "gateway-metadata",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayName {
    pub namespace: String,
    pub name: String,
}

impl GatewayName {
    /// Parses `namespace/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        (is_dns_label(namespace) && is_dns_label(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
