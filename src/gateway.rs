//! Gateways, whichever API they take their routes from: their names, what they listen to, and which hosts and prefixes meet.

pub mod hosts;
pub mod listeners;
pub mod prefix;
pub mod route_condition;

use std::fmt;

use hosts::is_dns_label;

/// Which API a gateway takes its routes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayKind {
    /// Istio's own: `VirtualService`.
    Istio,
    /// Kubernetes' Gateway API: `HTTPRoute`.
    GatewayApi,
}

impl GatewayKind {
    /// The endpoint of the charm whose relations name a gateway of this kind.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Istio => "gateway-info",
            Self::GatewayApi => "gateway-metadata",
        }
    }
}

/// A Gateway, of Istio or of the Gateway API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayName {
    /// The namespace it is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl GatewayName {
    /// Reads `namespace/name`.
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
