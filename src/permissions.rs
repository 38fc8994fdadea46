//! What the service account may do. Asked before the first write of a hook and when something was refused, so that
//! the answer names all that is missing, and nothing is left half done.

use std::fmt;

use crate::api::gateway_api;

/// A right: a verb on a kind of object, in our namespace or everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The kind, as the API writes it.
    pub resource: &'static str,
    /// Its API group.
    pub group: &'static str,
    /// What to do with it.
    pub verb: &'static str,
    /// Whether it is needed in all namespaces.
    pub cluster_wide: bool,
}

/// For what beside a model's own objects rights are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Whether there are Secrets of ours, or are to be.
    pub secrets: bool,
    /// The same of HTTPRoutes.
    pub http_routes: bool,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.kind())
    }
}

/// Seldon Core's API group.
pub const SELDON: &str = "machinelearning.seldon.io";
/// Istio's, of VirtualServices and Gateways.
pub const ISTIO: &str = "networking.istio.io";
/// That of the Gateway API.
pub const GATEWAY_API: &str = gateway_api::GROUP;

const fn here(verb: &'static str, group: &'static str, resource: &'static str) -> Permission {
    Permission {
        resource,
        group,
        verb,
        cluster_wide: false,
    }
}

const fn cluster_wide(verb: &'static str, group: &'static str, resource: &'static str) -> Permission {
    Permission {
        resource,
        group,
        verb,
        cluster_wide: true,
    }
}

/// All that this charm does, as `rbac.yaml` grants it, but for what needs Secrets.
pub const REQUIRED: [Permission; 13] = [
    here("list", SELDON, "seldondeployments"),
    here("create", SELDON, "seldondeployments"),
    here("patch", SELDON, "seldondeployments"),
    here("delete", SELDON, "seldondeployments"),
    cluster_wide("list", ISTIO, "virtualservices"),
    here("create", ISTIO, "virtualservices"),
    here("patch", ISTIO, "virtualservices"),
    here("delete", ISTIO, "virtualservices"),
    cluster_wide("get", ISTIO, "gateways"),
    here("list", "apps", "deployments"),
    here("get", "apps", "statefulsets"),
    here("list", "", "pods"),
    here("list", "", "services"),
];

/// What it does where a model has a secret of Juju's.
pub const SECRETS: [Permission; 4] = [
    here("list", "", "secrets"),
    here("create", "", "secrets"),
    here("patch", "", "secrets"),
    here("delete", "", "secrets"),
];

/// What the watcher does. Without them a change is found later, and nothing else is lost.
pub const WATCHES: [Permission; 7] = [
    here("watch", SELDON, "seldondeployments"),
    cluster_wide("watch", ISTIO, "virtualservices"),
    cluster_wide("watch", ISTIO, "gateways"),
    here("watch", "apps", "deployments"),
    here("watch", "", "pods"),
    cluster_wide("watch", GATEWAY_API, "httproutes"),
    cluster_wide("watch", GATEWAY_API, "gateways"),
];

/// What it does where the related gateway is one of the Gateway API.
pub const HTTP_ROUTES: [Permission; 5] = [
    cluster_wide("list", GATEWAY_API, "httproutes"),
    here("create", GATEWAY_API, "httproutes"),
    here("patch", GATEWAY_API, "httproutes"),
    here("delete", GATEWAY_API, "httproutes"),
    cluster_wide("get", GATEWAY_API, "gateways"),
];

/// The watches that are of use.
pub fn watches(needs: Needs) -> impl Iterator<Item = Permission> {
    let all = WATCHES.into_iter();
    all.filter(move |right| needs.http_routes || right.group != GATEWAY_API)
}

/// What only actions do, which say what else they cannot find out. No hook needs it, or asks whether it is there.
pub const OPTIONAL: [Permission; 3] = [
    cluster_wide("list", "", "services"),
    cluster_wide("list", "", "pods"),
    cluster_wide("list", "", "nodes"),
];

/// All that is needed.
pub fn required(needs: Needs) -> impl Iterator<Item = Permission> {
    let secrets = SECRETS.into_iter().filter(move |_| needs.secrets);
    let http_routes = HTTP_ROUTES.into_iter().filter(move |_| needs.http_routes);
    REQUIRED.into_iter().chain(secrets).chain(http_routes)
}

impl Permission {
    /// Its kind as kubectl takes it, with the group where there is another one of that name.
    #[must_use]
    pub fn kind(&self) -> String {
        match (self.resource, self.group) {
            ("gateways", GATEWAY_API) => format!("{}.{}", self.resource, self.group),
            (resource, _) => resource.to_owned(),
        }
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(self.verb, "create" | "patch" | "delete")
    }
}
