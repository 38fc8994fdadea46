//! Keys of labels and annotations, and the kinds of objects that the charm writes.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

pub const APPLICATION: &str = "seldon-model/application";
/// Two models of two controllers may share a namespace.
pub const MODEL_UUID: &str = "seldon-model/model-uuid";
/// On Deployments and pods.
pub const PREDICTOR: &str = "seldon-model/predictor";
/// The machine-learning model; also on pods.
pub const MODEL: &str = "seldon-model/model";
/// On a SeldonDeployment: the options that it serves with, or served with last.
pub const SERVES: &str = "seldon-model/serves";
/// On a SeldonDeployment: the options that it served with before that.
pub const SERVED_BEFORE: &str = "seldon-model/served-before";
/// On a SeldonDeployment: Secrets of ours exist for it, or may be left over.
pub const SECRETS: &str = "seldon-model/secrets";
/// On a SeldonDeployment: an HTTPRoute of ours exists for it, or may be left over.
pub const HTTP_ROUTE: &str = "seldon-model/http-route";
/// On a SeldonDeployment: the namespaces, with commas between them, in which access policies of ours exist for it, or may be left
/// over.
pub const ACCESS: &str = "seldon-model/access";
/// On a route or an access policy: its gateway has not served it since then, when it was written.
pub const NOT_SERVED: &str = "seldon-model/not-served";
/// On Deployments and pods: a digest of everything that rolls pods. Seldon writes no observedGeneration, so this
/// shows which spec a Deployment has. Hexadecimal, because Seldon's executor cannot read a `=`.
pub const SPEC_HASH: &str = "seldon-model/spec-hash";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    VirtualService,
    HttpRoute,
    SeldonDeployment,
    Secret,
    /// Of Istio: which tokens are valid.
    RequestAuthentication,
    /// Of Istio: which requests are denied.
    AuthorizationPolicy,
}

impl ObjectKind {
    /// As in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::HttpRoute => "HTTPRoute",
            Self::SeldonDeployment => "SeldonDeployment",
            Self::Secret => "Secret",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
        }
    }

    pub fn is_route(self) -> bool {
        matches!(self, Self::VirtualService | Self::HttpRoute)
    }

    /// Whether it decides who may send requests to a model. It is in the namespace of the gateway's pods.
    pub fn is_access_policy(self) -> bool {
        matches!(self, Self::RequestAuthentication | Self::AuthorizationPolicy)
    }

    pub fn resource(self) -> ApiResource {
        let (group, version, plural) = match self {
            Self::VirtualService => ("networking.istio.io", "v1beta1", "virtualservices"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "v1", "httproutes"),
            Self::SeldonDeployment => ("machinelearning.seldon.io", "v1", "seldondeployments"),
            Self::Secret => ("", "v1", "secrets"),
            Self::RequestAuthentication => ("security.istio.io", "v1beta1", "requestauthentications"),
            Self::AuthorizationPolicy => ("security.istio.io", "v1beta1", "authorizationpolicies"),
        };
        let kind = GroupVersionKind::gvk(group, version, self.as_str());
        ApiResource::from_gvk_with_plural(&kind, plural)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;

    use super::*;
    use crate::api::gateway_api::HTTPRoute;
    use crate::api::istio::VirtualService;
    use crate::api::istio_security::{AuthorizationPolicy, RequestAuthentication};
    use crate::api::seldon::SeldonDeployment;

    #[test]
    fn resources_are_those_of_the_types() {
        for (kind, resource) in [
            (ObjectKind::VirtualService, ApiResource::erase::<VirtualService>(&())),
            (ObjectKind::HttpRoute, ApiResource::erase::<HTTPRoute>(&())),
            (
                ObjectKind::SeldonDeployment,
                ApiResource::erase::<SeldonDeployment>(&()),
            ),
            (ObjectKind::Secret, ApiResource::erase::<Secret>(&())),
            (
                ObjectKind::RequestAuthentication,
                ApiResource::erase::<RequestAuthentication>(&()),
            ),
            (
                ObjectKind::AuthorizationPolicy,
                ApiResource::erase::<AuthorizationPolicy>(&()),
            ),
        ] {
            assert_eq!(kind.resource(), resource);
        }
    }
}
