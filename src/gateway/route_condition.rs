//! The conditions that a gateway's controller reports for an HTTPRoute.

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

use super::GatewayName;
use crate::api::gateway_api::GROUP;
use crate::text;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteCondition {
    /// Nothing is reported for the current generation.
    Pending,
    /// With the controller's message.
    Rejected(String),
    /// Accepted, but a backend does not exist. With the controller's message.
    UnresolvedRefs(String),
    Accepted,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(deserialize_with = "text::deserialize")]
    message: String,
    observed_generation: i64,
}

impl Condition {
    pub fn holds(&self) -> bool {
        self.status == "True"
    }
}

pub fn find(conditions: Option<&Vec<Value>>, kind: &str) -> Option<Condition> {
    let conditions = conditions.into_iter().flatten();
    conditions
        .filter_map(|condition| Condition::deserialize(condition).ok())
        .find(|condition| condition.kind == kind)
}

/// The condition of a route at one gateway.
pub fn route_condition(route: &DynamicObject, gateway: &GatewayName) -> RouteCondition {
    let namespace = route.metadata.namespace.as_deref().unwrap_or_default();
    let is_gateway = |parent: &&Value| {
        let text = |key: &str| parent.get("parentRef")?.get(key)?.as_str();
        text("name") == Some(gateway.name.as_str())
            && text("namespace").unwrap_or(namespace) == gateway.namespace
            && text("group").unwrap_or(GROUP) == GROUP
            && text("kind").unwrap_or("Gateway") == "Gateway"
    };
    let parents = route.data.pointer("/status/parents").and_then(Value::as_array);
    let parent = parents.into_iter().flatten().find(is_gateway);
    let conditions = parent.and_then(|parent| parent.get("conditions")?.as_array());
    let is_current = |condition: &Condition| Some(condition.observed_generation) == route.metadata.generation;
    let Some(accepted) = find(conditions, "Accepted").filter(is_current) else {
        return RouteCondition::Pending;
    };
    if !accepted.holds() {
        return RouteCondition::Rejected(accepted.message);
    }
    match find(conditions, "ResolvedRefs").filter(is_current) {
        Some(resolved) if !resolved.holds() => RouteCondition::UnresolvedRefs(resolved.message),
        _ => RouteCondition::Accepted,
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "data is taken as it is written")]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition_of(parent: Value, conditions: Value) -> RouteCondition {
        let route = json!({
            "metadata": {"name": "iris-route", "namespace": "edge", "generation": 2},
            "status": {"parents": [{"parentRef": parent, "controllerName": "istio.io/gateway-controller", "conditions": conditions}]},
        });
        let gateway = GatewayName {
            namespace: "ingress".into(),
            name: "istio-ingress-k8s".into(),
        };
        route_condition(&serde_json::from_value(route).unwrap(), &gateway)
    }

    #[test]
    fn route_is_accepted_at_its_current_generation() {
        let ours = json!({"name": "istio-ingress-k8s", "namespace": "ingress"});
        let condition = |kind: &str, status: &str, generation: i64| json!({"type": kind, "status": status, "message": "so it is", "observedGeneration": generation});
        let accepted = condition("Accepted", "True", 2);
        let resolved = condition("ResolvedRefs", "True", 2);
        assert_eq!(
            condition_of(ours.clone(), json!([accepted, resolved])),
            RouteCondition::Accepted
        );
        for conditions in [json!([]), json!([condition("Accepted", "True", 1)])] {
            assert_eq!(condition_of(ours.clone(), conditions), RouteCondition::Pending);
        }
        let other = json!({"name": "istio-ingress-k8s"});
        assert_eq!(condition_of(other, json!([accepted])), RouteCondition::Pending);
        let rejected = json!([condition("Accepted", "False", 2), resolved]);
        assert_eq!(
            condition_of(ours.clone(), rejected),
            RouteCondition::Rejected("so it is".into())
        );
        let unresolved_refs = json!([accepted, condition("ResolvedRefs", "False", 2)]);
        assert_eq!(
            condition_of(ours, unresolved_refs),
            RouteCondition::UnresolvedRefs("so it is".into())
        );
    }
}
