//! Decides how much traffic each predictor gets now: the configured weights, but nothing for a predictor that does
//! not serve yet, and the previous weights while a replacement is still rolling out.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::types::{Environment, PlannedPredictor};
use crate::api::seldon::CANARY;
use crate::api::{gateway_api, istio};
use crate::config::{Config, Model, manifest};
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
    pub retained: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub service: String,
    pub ports: Ports,
    /// In percent.
    pub weight: u8,
}

pub struct CurrentRoute {
    /// The predictors of the SeldonDeployment without shadows, as written, by their Services.
    predictors: Vec<(String, Value)>,
    /// The Services and weights of the rule for all requests.
    weights: Vec<(String, u8)>,
    /// The Services of all rules.
    reached: BTreeSet<String>,
}

impl CurrentRoute {
    pub fn read(model: &Model, environment: &Environment, observed: &Observed) -> Self {
        let predictors = observed
            .seldon_deployment(&model.name)
            .and_then(|object| object.data.pointer("/spec/predictors")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(|predictor_value| {
                let parsed = manifest::predictor(predictor_value)?;
                (!parsed.shadow).then(|| (parsed.service(&model.name), predictor_value.clone()))
            })
            .collect();
        let name = route_name(&model.name);
        let destinations = |route: Option<&DynamicObject>, path: &str, read: fn(&Value) -> Vec<(String, u8)>| {
            let rules = route?.data.pointer(path)?.as_array()?;
            Some(rules.iter().map(read).collect::<Vec<_>>())
        };
        let virtual_service = observed.virtual_service(&name);
        let virtual_service = destinations(virtual_service, "/spec/http", istio::destinations);
        let http_route = observed.http_route(&name);
        let http_route = destinations(http_route, "/spec/rules", gateway_api::destinations);
        // While one route replaces the other both exist; the new one counts.
        let routes = match environment.gateway.kind() {
            GatewayKind::Istio => [virtual_service, http_route],
            GatewayKind::GatewayApi => [http_route, virtual_service],
        };
        let mut candidates = routes.into_iter().flatten().peekable();
        // The last rule is the one for all requests.
        let weights = candidates.peek().and_then(|rules| rules.last()).cloned();
        Self {
            predictors,
            weights: weights.unwrap_or_default(),
            reached: candidates.flatten().flatten().map(|(service, _)| service).collect(),
        }
    }
}

pub fn traffic(
    model: &Model,
    predictors: &[PlannedPredictor],
    current: &CurrentRoute,
    config: &Config,
    observed: &Observed,
) -> Traffic {
    let name = &model.name;
    let is_planned = |service: &str| predictors.iter().any(|predictor| predictor.service == service);
    // A predictor whose Service alone changed cannot be kept: its name is taken by the new one.
    let keeps_name = |predictor_value: &Value| {
        let name = predictor_value.get("name").and_then(Value::as_str);
        predictors.iter().any(|predictor| Some(predictor.name.as_str()) == name)
    };
    // Nor can one whose Service or Deployment another model gets: Seldon would make it twice.
    let is_given_away = |predictor_value: &Value| {
        manifest::predictor(predictor_value).is_some_and(|predictor| config.gives_away_names(name, &predictor))
    };
    let retained: Vec<&(String, Value)> = current
        .predictors
        .iter()
        .filter(|(service, predictor_value)| {
            !is_planned(service)
                && !keeps_name(predictor_value)
                && current.reached.contains(service)
                && !is_given_away(predictor_value)
        })
        .collect();
    let share = |service: &str, weight: u8| Share {
        service: service.to_owned(),
        ports: observed.ports(name, service),
        weight,
    };
    let current_weights: Vec<(&str, u8)> = current
        .weights
        .iter()
        .filter(|(service, weight)| {
            *weight > 0 && (is_planned(service) || retained.iter().any(|(retained, _)| retained == service))
        })
        .map(|(service, weight)| (service.as_str(), *weight))
        .collect();
    // A route that was changed manually may lead to none of these.
    let shares = if retained.is_empty()
        || current_weights.is_empty()
        || readiness::predictors_are_rolled_out(name, predictors, observed)
    {
        desired_weights(name, predictors, observed)
    } else {
        current_weights
    };
    let canary_has_headers = model.canary.as_ref().is_some_and(|canary| !canary.headers.is_empty());
    let by_header = predictors
        .iter()
        .find(|predictor| canary_has_headers && predictor.name == CANARY)
        .filter(|canary| readiness::predictor_is_available(name, canary, observed));
    let mirror = predictors.iter().find(|predictor| predictor.shadow);
    Traffic {
        shares: normalize_weights(shares)
            .into_iter()
            .map(|(service, weight)| share(service, weight))
            .collect(),
        explainer: explainer_share(name, predictors, observed),
        by_header: by_header.map(|canary| share(&canary.service, 100)),
        mirror: mirror
            .filter(|shadow| readiness::predictor_is_available(name, shadow, observed))
            // Seldon takes 0 as all.
            .map(|shadow| share(&shadow.service, if shadow.traffic == 0 { 100 } else { shadow.traffic })),
        retained: retained
            .into_iter()
            .map(|(_, predictor_value)| predictor_value.clone())
            .collect(),
    }
}

/// The first explainer, once it is available.
fn explainer_share(model: &str, predictors: &[PlannedPredictor], observed: &Observed) -> Option<Share> {
    let mut predictors = predictors.iter().filter(|predictor| !predictor.shadow);
    let (predictor, (service, port)) =
        predictors.find_map(|predictor| Some((predictor, predictor.explainer.as_ref()?)))?;
    readiness::explainer_is_available(model, predictor, observed).then(|| Share {
        service: service.clone(),
        ports: Ports {
            http: *port,
            ..observed.ports(model, service)
        },
        weight: 100,
    })
}

/// The configured weights of the predictors that serve, or of all where none does.
fn desired_weights<'a>(model: &str, predictors: &'a [PlannedPredictor], observed: &Observed) -> Vec<(&'a str, u8)> {
    let current: Vec<&PlannedPredictor> = predictors.iter().filter(|predictor| !predictor.shadow).collect();
    let weights = |predictors: &[&'a PlannedPredictor]| -> Vec<(&'a str, u8)> {
        let weight = |predictor: &&'a PlannedPredictor| if current.len() == 1 { 100 } else { predictor.traffic };
        predictors
            .iter()
            .map(|predictor| (predictor.service.as_str(), weight(predictor)))
            .collect()
    };
    let answer = |predictor: &&&PlannedPredictor| readiness::predictor_is_available(model, predictor, observed);
    let answering = weights(&current.iter().filter(answer).copied().collect::<Vec<_>>());
    if answering.iter().any(|(_, weight)| *weight > 0) {
        answering
    } else {
        weights(&current)
    }
}

/// Scales weights to a sum of 100 and drops those of 0.
fn normalize_weights(mut weights: Vec<(&str, u8)>) -> Vec<(&str, u8)> {
    weights.retain(|(_, weight)| *weight > 0);
    let sum: u32 = weights.iter().map(|(_, weight)| u32::from(*weight)).sum();
    if sum == 0 || sum == 100 {
        return weights;
    }
    let mut left = 100_u8;
    for (_, weight) in &mut weights {
        // A share of the sum is at most 100.
        *weight = u8::try_from(u32::from(*weight) * 100 / sum).unwrap_or(100);
        left = left.saturating_sub(*weight);
    }
    // Rounding down leaves less than one percent for each.
    for (_, weight) in weights.iter_mut().take(usize::from(left)) {
        *weight += 1;
    }
    weights.retain(|(_, weight)| *weight > 0);
    weights
}

/// Keeps predictors in the spec of a SeldonDeployment while they still get requests. Seldon requires the traffic of several
/// predictors to sum up to 100.
pub fn retain_predictors(spec: &mut Value, retained: Vec<Value>) {
    let predictors = spec.get_mut("predictors").and_then(Value::as_array_mut);
    let (Some(predictors), false) = (predictors, retained.is_empty()) else {
        return;
    };
    let mut current = predictors
        .iter_mut()
        .filter(|predictor| predictor.get("shadow").and_then(Value::as_bool) != Some(true));
    if let (Some(only), None) = (current.next(), current.next())
        && let Some(only) = only.as_object_mut()
    {
        only.insert("traffic".to_owned(), json!(100));
    }
    predictors.extend(retained.into_iter().map(|mut predictor| {
        if let Some(map) = predictor.as_object_mut() {
            map.remove("traffic");
        }
        predictor
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
