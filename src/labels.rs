//! What marks an object as ours: keys of labels and annotations; and the kinds of object that this charm writes.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

/// The Juju application that an object is of.
pub const APPLICATION: &str = "seldon-model/application";
/// The UUID of the Juju model, since two models may share a namespace on two controllers.
pub const MODEL_UUID: &str = "seldon-model/model-uuid";
/// The predictor that a Deployment and its pods are of.
pub const PREDICTOR: &str = "seldon-model/predictor";
/// The machine-learning model that an object serves; also on its pods.
pub const MODEL: &str = "seldon-model/model";
/// An annotation on a SeldonDeployment: the words of what serves, or served last.
pub const SERVES: &str = "seldon-model/serves";
/// The same of what served before that.
pub const SERVED_BEFORE: &str = "seldon-model/served-before";
/// An annotation on a SeldonDeployment: there are Secrets of ours for it, or some may be left over.
pub const SECRETS: &str = "seldon-model/secrets";
/// The same of an HTTPRoute.
pub const HTTP_ROUTE: &str = "seldon-model/http-route";
/// An annotation on Deployments and pods: a digest of all that rolls pods. Seldon writes no observedGeneration, so
/// this is how a Deployment shows which spec it is of. Hexadecimal: Seldon's executor cannot read a `=`.
pub const SPEC_HASH: &str = "seldon-model/spec-hash";

/// The kinds of object that this charm writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `virtualservices.networking.istio.io`
    VirtualService,
    /// `httproutes.gateway.networking.k8s.io`
    HttpRoute,
    /// `seldondeployments.machinelearning.seldon.io`
    SeldonDeployment,
    /// `secrets`
    Secret,
}

impl ObjectKind {
    /// As users write it, in the singular.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::HttpRoute => "HTTPRoute",
            Self::SeldonDeployment => "SeldonDeployment",
            Self::Secret => "Secret",
        }
    }

    /// Whether it leads requests to a model.
    #[must_use]
    pub fn is_route(self) -> bool {
        matches!(self, Self::VirtualService | Self::HttpRoute)
    }

    /// How the API serves it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let (group, version, plural) = match self {
            Self::VirtualService => ("networking.istio.io", "v1beta1", "virtualservices"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "v1", "httproutes"),
            Self::SeldonDeployment => ("machinelearning.seldon.io", "v1", "seldondeployments"),
            Self::Secret => ("", "v1", "secrets"),
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
        ] {
            assert_eq!(kind.resource(), resource);
        }
    }
}
