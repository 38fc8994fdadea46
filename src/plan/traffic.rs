//! Decides how much traffic each predictor gets now: the configured weights, but nothing for a predictor that does
//! not serve yet, and the previous weights while a replacement is still rolling out.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::types::{PlannedModel, PlannedPredictor, Site};
use crate::api::gateway_api;
use crate::api::seldon::CANARY;
use crate::config::Model;
use crate::gateway::GatewayKind;
use crate::identity::route_name;
use crate::observed::{Observed, Ports};
use crate::plan::readiness;

#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// The weights sum up to 100.
    pub shares: Vec<Share>,
    /// For requests with the canary's headers.
    pub by_header: Option<Share>,
    pub explainer: Option<Share>,
    pub mirror: Option<Share>,
    /// Predictors of the live SeldonDeployment that are no longer configured but still get requests.
    pub leaving: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub service: String,
    pub ports: Ports,
    /// In percent.
    pub weight: u8,
}

pub struct LiveRoute {
    /// The predictors of the SeldonDeployment without shadows, as written, by their Services.
    predictors: Vec<(String, Value)>,
    /// The Services and weights of the rule for all requests.
    routed: Vec<(String, u8)>,
    /// The Services of all rules.
    reached: BTreeSet<String>,
}

impl LiveRoute {
    pub fn read(model: &Model, site: &Site, observed: &Observed) -> Self {
        let predictors = observed
            .seldon_deployment(&model.name)
            .and_then(|object| object.data.pointer("/spec/predictors")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(|written| {
                let read = crate::config::manifest::predictor(written)?;
                (!read.shadow).then(|| (read.service(&model.name), written.clone()))
            })
            .collect();
        let name = route_name(&model.name);
        let rules = |route: Option<&DynamicObject>, at: &str, read: fn(&Value) -> Vec<(String, u8)>| {
            let rules = route?.data.pointer(at)?.as_array()?;
            Some(rules.iter().map(read).collect::<Vec<_>>())
        };
        let of_istio = observed.virtual_service_in(&site.namespace, &name);
        let of_istio = rules(of_istio, "/spec/http", destinations);
        let of_gateway = observed.http_route_in(&site.namespace, &name);
        let of_gateway = rules(of_gateway, "/spec/rules", gateway_api::destinations);
        // While one route replaces the other both exist; the new one counts.
        let both = match site.gateway.kind() {
            GatewayKind::Istio => [of_istio, of_gateway],
            GatewayKind::GatewayApi => [of_gateway, of_istio],
        };
        let mut both = both.into_iter().flatten().peekable();
        // The last rule is the one for all requests.
        let routed = both.peek().and_then(|rules| rules.last()).cloned();
        Self {
            predictors,
            routed: routed.unwrap_or_default(),
            reached: both.flatten().flatten().map(|(service, _)| service).collect(),
        }
    }
}

/// The Services of a rule with their weights.
fn destinations(route: &Value) -> Vec<(String, u8)> {
    let all = route.get("route").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter_map(|destination| {
            let host = destination.pointer("/destination/host")?.as_str()?;
            let weight = destination.get("weight").and_then(Value::as_u64).unwrap_or(100);
            Some((host.split('.').next()?.to_owned(), u8::try_from(weight).ok()?))
        })
        .collect()
}

pub fn traffic(planned: &PlannedModel, live: &LiveRoute, observed: &Observed) -> Traffic {
    let name = &planned.model.name;
    let inputs = |service: &str| planned.predictors.iter().any(|predictor| predictor.service == service);
    // A predictor whose Service alone changed cannot be kept: its name is taken by the new one.
    let renamed = |written: &Value| {
        let name = written.get("name").and_then(Value::as_str);
        planned
            .predictors
            .iter()
            .any(|predictor| Some(predictor.name.as_str()) == name)
    };
    let leaving: Vec<&(String, Value)> = live
        .predictors
        .iter()
        .filter(|(service, written)| !inputs(service) && !renamed(written) && live.reached.contains(service))
        .collect();
    let share = |service: &str, weight: u8| Share {
        service: service.to_owned(),
        ports: observed.ports(name, service),
        weight,
    };
    let as_before: Vec<(&str, u8)> = live
        .routed
        .iter()
        .filter(|(service, weight)| *weight > 0 && (inputs(service) || leaving.iter().any(|(of, _)| of == service)))
        .map(|(service, weight)| (service.as_str(), *weight))
        .collect();
    // A route that was changed manually may lead to none of these.
    let shares = if leaving.is_empty() || as_before.is_empty() || readiness::is_rolled_out(planned, observed) {
        desired_weights(planned, observed)
    } else {
        as_before
    };
    let has_headers = planned
        .model
        .canary
        .as_ref()
        .is_some_and(|canary| !canary.headers.is_empty());
    let by_header = planned
        .predictors
        .iter()
        .find(|predictor| has_headers && predictor.name == CANARY)
        .filter(|canary| readiness::answers(planned, canary, observed));
    let mirror = planned.predictors.iter().find(|predictor| predictor.shadow);
    Traffic {
        shares: normalize_weights(shares)
            .into_iter()
            .map(|(service, weight)| share(service, weight))
            .collect(),
        explainer: explained(planned, observed),
        by_header: by_header.map(|canary| share(&canary.service, 100)),
        mirror: mirror
            .filter(|shadow| readiness::answers(planned, shadow, observed))
            // Seldon takes 0 as all.
            .map(|shadow| share(&shadow.service, if shadow.traffic == 0 { 100 } else { shadow.traffic })),
        leaving: leaving.into_iter().map(|(_, written)| written.clone()).collect(),
    }
}

/// The first explainer, once it is available.
fn explained(planned: &PlannedModel, observed: &Observed) -> Option<Share> {
    let mut predictors = planned.predictors.iter().filter(|predictor| !predictor.shadow);
    let (predictor, (service, port)) =
        predictors.find_map(|predictor| Some((predictor, predictor.explainer.as_ref()?)))?;
    readiness::explains(planned, predictor, observed).then(|| Share {
        service: service.clone(),
        ports: Ports {
            http: *port,
            ..observed.ports(&planned.model.name, service)
        },
        weight: 100,
    })
}

/// The configured weights of the predictors that serve, or of all where none does.
fn desired_weights<'a>(planned: &'a PlannedModel, observed: &Observed) -> Vec<(&'a str, u8)> {
    let live: Vec<&PlannedPredictor> = planned
        .predictors
        .iter()
        .filter(|predictor| !predictor.shadow)
        .collect();
    let parts = |predictors: &[&'a PlannedPredictor]| -> Vec<(&'a str, u8)> {
        let part = |predictor: &&'a PlannedPredictor| if live.len() == 1 { 100 } else { predictor.traffic };
        predictors
            .iter()
            .map(|predictor| (predictor.service.as_str(), part(predictor)))
            .collect()
    };
    let answer = |predictor: &&&PlannedPredictor| readiness::answers(planned, predictor, observed);
    let answering = parts(&live.iter().filter(answer).copied().collect::<Vec<_>>());
    if answering.iter().any(|(_, weight)| *weight > 0) {
        answering
    } else {
        parts(&live)
    }
}

/// Scales weights to a sum of 100 and drops those of 0.
fn normalize_weights(mut parts: Vec<(&str, u8)>) -> Vec<(&str, u8)> {
    parts.retain(|(_, weight)| *weight > 0);
    let sum: u32 = parts.iter().map(|(_, weight)| u32::from(*weight)).sum();
    if sum == 0 || sum == 100 {
        return parts;
    }
    let mut left = 100_u8;
    for (_, weight) in &mut parts {
        // A share of the sum is at most 100.
        *weight = u8::try_from(u32::from(*weight) * 100 / sum).unwrap_or(100);
        left = left.saturating_sub(*weight);
    }
    // Rounding down leaves less than one percent for each.
    for (_, weight) in parts.iter_mut().take(usize::from(left)) {
        *weight += 1;
    }
    parts.retain(|(_, weight)| *weight > 0);
    parts
}

/// Keeps predictors in a SeldonDeployment while they still get requests. Seldon requires the traffic of several
/// predictors to sum up to 100.
pub fn keep(deployment: &mut Value, leaving: Vec<Value>) {
    let predictors = deployment.pointer_mut("/spec/predictors").and_then(Value::as_array_mut);
    let (Some(predictors), false) = (predictors, leaving.is_empty()) else {
        return;
    };
    let mut live = predictors
        .iter_mut()
        .filter(|predictor| predictor.get("shadow").and_then(Value::as_bool) != Some(true));
    if let (Some(only), None) = (live.next(), live.next())
        && let Some(only) = only.as_object_mut()
    {
        only.insert("traffic".to_owned(), json!(100));
    }
    predictors.extend(leaving.into_iter().map(|mut one| {
        if let Some(map) = one.as_object_mut() {
            map.remove("traffic");
        }
        one
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_a_hundred() {
        assert_eq!(normalize_weights(vec![("a", 90), ("b", 10)]), [("a", 90), ("b", 10)]);
        assert_eq!(normalize_weights(vec![("a", 90), ("b", 0)]), [("a", 100)]);
        assert_eq!(normalize_weights(vec![("a", 10)]), [("a", 100)]);
        assert_eq!(
            normalize_weights(vec![("a", 10), ("b", 10), ("c", 10)]),
            [("a", 34), ("b", 33), ("c", 33)]
        );
        assert_eq!(normalize_weights(vec![]), []);
    }
}
