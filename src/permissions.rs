//! What the service account needs to be allowed. Checked before the first write of a hook and after a rejection, so that the
//! status names all missing permissions, and no model is applied by half.

use std::collections::BTreeSet;
use std::fmt;

use crate::api::{gateway_api, istio_security};

/// A verb on a kind of object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The kind, in the plural form of the API.
    pub resource: &'static str,
    pub group: &'static str,
    pub verb: &'static str,
    pub place: Place,
}

/// Where it is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In our namespace.
    Own,
    /// In all namespaces.
    Everywhere,
    /// In the namespace of a gateway.
    Namespace(String),
}

/// The kinds that only some configurations need permissions for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Secrets of ours exist or are planned.
    pub secrets: bool,
    /// HTTPRoutes of ours exist or are planned.
    pub http_routes: bool,
    /// The namespaces in which access policies of ours exist or are planned.
    pub policies: BTreeSet<String>,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.kind())
    }
}

pub const SELDON: &str = "machinelearning.seldon.io";
pub const ISTIO: &str = "networking.istio.io";
pub const GATEWAY_API: &str = gateway_api::GROUP;

const fn namespaced(verb: &'static str, group: &'static str, resource: &'static str) -> Permission {
    Permission {
        resource,
        group,
        verb,
        place: Place::Own,
    }
}

const fn cluster_wide(verb: &'static str, group: &'static str, resource: &'static str) -> Permission {
    Permission {
        resource,
        group,
        verb,
        place: Place::Everywhere,
    }
}

/// What every configuration needs, as in `rbac.yaml`.
pub const REQUIRED: [Permission; 13] = [
    namespaced("list", SELDON, "seldondeployments"),
    namespaced("create", SELDON, "seldondeployments"),
    namespaced("patch", SELDON, "seldondeployments"),
    namespaced("delete", SELDON, "seldondeployments"),
    cluster_wide("list", ISTIO, "virtualservices"),
    namespaced("create", ISTIO, "virtualservices"),
    namespaced("patch", ISTIO, "virtualservices"),
    namespaced("delete", ISTIO, "virtualservices"),
    cluster_wide("get", ISTIO, "gateways"),
    namespaced("list", "apps", "deployments"),
    namespaced("get", "apps", "statefulsets"),
    namespaced("list", "", "pods"),
    namespaced("list", "", "services"),
];

/// For models with a secret of Juju's.
pub const SECRETS: [Permission; 4] = [
    namespaced("list", "", "secrets"),
    namespaced("create", "", "secrets"),
    namespaced("patch", "", "secrets"),
    namespaced("delete", "", "secrets"),
];

/// For the watcher. Without them a change is found by the next hook, and nothing else is lost.
pub const WATCHES: [Permission; 7] = [
    namespaced("watch", SELDON, "seldondeployments"),
    cluster_wide("watch", ISTIO, "virtualservices"),
    cluster_wide("watch", ISTIO, "gateways"),
    namespaced("watch", "apps", "deployments"),
    namespaced("watch", "", "pods"),
    cluster_wide("watch", GATEWAY_API, "httproutes"),
    cluster_wide("watch", GATEWAY_API, "gateways"),
];

/// For a related gateway of the Gateway API.
pub const HTTP_ROUTES: [Permission; 5] = [
    cluster_wide("list", GATEWAY_API, "httproutes"),
    namespaced("create", GATEWAY_API, "httproutes"),
    namespaced("patch", GATEWAY_API, "httproutes"),
    namespaced("delete", GATEWAY_API, "httproutes"),
    cluster_wide("get", GATEWAY_API, "gateways"),
];

pub fn watches(needs: &Needs) -> impl Iterator<Item = Permission> {
    let all = WATCHES.into_iter();
    let of_gateway = all.filter(|permission| needs.http_routes || permission.group != GATEWAY_API);
    let policies = needs.policies.iter();
    of_gateway.chain(policies.flat_map(|namespace| on_policies(&["watch"], namespace)))
}

/// For models with `access`, in the namespace of their gateway's pods.
pub fn access_policies(namespace: &str) -> impl Iterator<Item = Permission> {
    on_policies(&["list", "create", "patch", "delete"], namespace)
}

fn on_policies(verbs: &'static [&'static str], namespace: &str) -> impl Iterator<Item = Permission> {
    let kinds = ["requestauthentications", "authorizationpolicies"];
    let place = Place::Namespace(namespace.to_owned());
    kinds.into_iter().flat_map(move |resource| {
        let place = place.clone();
        verbs.iter().map(move |verb| Permission {
            resource,
            group: istio_security::GROUP,
            verb,
            place: place.clone(),
        })
    })
}

/// To find where a gateway's pods are: for models with `access`.
pub const GATEWAY_WORKLOADS: [Permission; 2] = [cluster_wide("list", "", "services"), cluster_wide("list", "", "pods")];

/// For actions, which report what they cannot find out without them, for a gateway that a relation reports down, and to see
/// whether a gateway serves a changed route. No hook needs or checks them.
pub const OPTIONAL: [Permission; 3] = [
    cluster_wide("list", "", "services"),
    cluster_wide("list", "", "pods"),
    cluster_wide("list", "", "nodes"),
];

pub fn required(needs: &Needs) -> impl Iterator<Item = Permission> {
    let secrets = SECRETS.into_iter().filter(|_| needs.secrets);
    let http_routes = HTTP_ROUTES.into_iter().filter(|_| needs.http_routes);
    let policies = needs.policies.iter().flat_map(|namespace| access_policies(namespace));
    REQUIRED.into_iter().chain(secrets).chain(http_routes).chain(policies)
}

impl Permission {
    /// The kind as kubectl takes it, with the group if another group has the same kind.
    pub fn kind(&self) -> String {
        match (self.resource, self.group) {
            ("gateways", GATEWAY_API) => format!("{}.{}", self.resource, self.group),
            (resource, _) => resource.to_owned(),
        }
    }

    pub fn writes(&self) -> bool {
        matches!(self.verb, "create" | "patch" | "delete")
    }
}
