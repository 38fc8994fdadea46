//! What the service account may do. Asked before the first write of a hook and when something was refused, so that
//! the answer names all that is missing, and nothing is left half done.

use std::fmt;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::{Cluster, Refusal};
use crate::gateway_api;

/// A right: a verb on a kind of object, in our namespace or everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The kind, as the API writes it.
    pub resource: &'static str,
    /// Its API group.
    pub group: &'static str,
    /// What to do with it.
    pub verb: &'static str,
    /// Whether it is needed in all namespaces.
    pub everywhere: bool,
}

/// For what beside a model's own objects rights are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Whether there are Secrets of ours, or are to be.
    pub secrets: bool,
    /// The same of HTTPRoutes.
    pub http_routes: bool,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.kind())
    }
}

pub(super) const SELDON: &str = "machinelearning.seldon.io";
pub(super) const ISTIO: &str = "networking.istio.io";
pub(super) const GATEWAY_API: &str = gateway_api::GROUP;

const fn here(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right {
        resource,
        group,
        verb,
        everywhere: false,
    }
}

const fn everywhere(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right {
        resource,
        group,
        verb,
        everywhere: true,
    }
}

/// All that this charm does, as `rbac.yaml` grants it, but for what needs Secrets.
pub const RIGHTS: [Right; 13] = [
    here("list", SELDON, "seldondeployments"),
    here("create", SELDON, "seldondeployments"),
    here("patch", SELDON, "seldondeployments"),
    here("delete", SELDON, "seldondeployments"),
    everywhere("list", ISTIO, "virtualservices"),
    here("create", ISTIO, "virtualservices"),
    here("patch", ISTIO, "virtualservices"),
    here("delete", ISTIO, "virtualservices"),
    everywhere("get", ISTIO, "gateways"),
    here("list", "apps", "deployments"),
    here("get", "apps", "statefulsets"),
    here("list", "", "pods"),
    here("list", "", "services"),
];

/// What it does where a model has a secret of Juju's.
pub const SECRETS: [Right; 4] = [
    here("list", "", "secrets"),
    here("create", "", "secrets"),
    here("patch", "", "secrets"),
    here("delete", "", "secrets"),
];

/// What the watcher does. Without them a change is found later, and nothing else is lost.
pub const WATCHES: [Right; 7] = [
    here("watch", SELDON, "seldondeployments"),
    everywhere("watch", ISTIO, "virtualservices"),
    everywhere("watch", ISTIO, "gateways"),
    here("watch", "apps", "deployments"),
    here("watch", "", "pods"),
    everywhere("watch", GATEWAY_API, "httproutes"),
    everywhere("watch", GATEWAY_API, "gateways"),
];

/// What it does where the related gateway is one of the Gateway API.
pub const HTTP_ROUTES: [Right; 5] = [
    everywhere("list", GATEWAY_API, "httproutes"),
    here("create", GATEWAY_API, "httproutes"),
    here("patch", GATEWAY_API, "httproutes"),
    here("delete", GATEWAY_API, "httproutes"),
    everywhere("get", GATEWAY_API, "gateways"),
];

/// The watches that are of use.
pub fn watches(needs: Needs) -> impl Iterator<Item = Right> {
    let all = WATCHES.into_iter();
    all.filter(move |right| needs.http_routes || right.group != GATEWAY_API)
}

/// What only actions do, which say what else they cannot find out. No hook needs it, or asks whether it is there.
pub const OPTIONAL: [Right; 3] = [
    everywhere("list", "", "services"),
    everywhere("list", "", "pods"),
    everywhere("list", "", "nodes"),
];

/// All that is needed.
pub fn rights(needs: Needs) -> impl Iterator<Item = Right> {
    let secrets = SECRETS.into_iter().filter(move |_| needs.secrets);
    let http_routes = HTTP_ROUTES.into_iter().filter(move |_| needs.http_routes);
    RIGHTS.into_iter().chain(secrets).chain(http_routes)
}

impl Right {
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

impl Cluster {
    /// Those of `rights` that the service account does not have.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn missing(&self, rights: impl Iterator<Item = Right>) -> Result<Vec<Right>, Refusal> {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let mut missing = Vec::new();
        let parameters = PostParams::default();
        for right in rights {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        namespace: (!right.everywhere).then(|| self.identity.namespace.clone()),
                        verb: Some(right.verb.to_owned()),
                        group: Some(right.group.to_owned()),
                        resource: Some(right.resource.to_owned()),
                        // Granted for this one name only.
                        name: (right.resource == "statefulsets").then(|| self.identity.application.clone()),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = self.call(|| api.create(&parameters, &review)).await?;
            if !answer.status.is_some_and(|status| status.allowed) {
                missing.push(right);
            }
        }
        Ok(missing)
    }

    /// Says what is missing of all that is needed where a request was forbidden.
    pub async fn explain(&self, refusal: Refusal, needs: Needs) -> Refusal {
        match refusal {
            Refusal::Forbidden { why, .. } => Refusal::Forbidden {
                missing: self.missing(rights(needs)).await.unwrap_or_default(),
                why,
            },
            other => other,
        }
    }
}
