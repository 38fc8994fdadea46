//! The kinds of objects that tests read.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

pub fn kind(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

pub fn sdep() -> ApiResource {
    kind("machinelearning.seldon.io", "v1", "SeldonDeployment")
}

pub fn vs() -> ApiResource {
    kind("networking.istio.io", "v1beta1", "VirtualService")
}

pub fn http_route() -> ApiResource {
    kind("gateway.networking.k8s.io", "v1", "HTTPRoute")
}

pub fn gateway_of_gateway_api() -> ApiResource {
    kind("gateway.networking.k8s.io", "v1", "Gateway")
}

pub fn deployment() -> ApiResource {
    kind("apps", "v1", "Deployment")
}

pub fn stateful_set() -> ApiResource {
    kind("apps", "v1", "StatefulSet")
}

pub fn pod() -> ApiResource {
    kind("", "v1", "Pod")
}

pub fn secret() -> ApiResource {
    kind("", "v1", "Secret")
}

pub fn service() -> ApiResource {
    kind("", "v1", "Service")
}

pub fn webhook() -> ApiResource {
    kind("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration")
}

pub fn request_authentication() -> ApiResource {
    kind("security.istio.io", "v1beta1", "RequestAuthentication")
}

/// Its plural is not that which kube guesses.
pub fn authorization_policy() -> ApiResource {
    let kind = GroupVersionKind::gvk("security.istio.io", "v1beta1", "AuthorizationPolicy");
    ApiResource::from_gvk_with_plural(&kind, "authorizationpolicies")
}
