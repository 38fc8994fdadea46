//! Computes the plan: the objects that a site should have. Pure and total; the same input gives the same bytes.

pub mod access;
pub mod history;
mod http_route;
mod metadata;
mod objects;
mod pod;
pub mod readiness;
pub(crate) mod route;
pub mod secrets;
pub mod served;
mod traffic;
pub mod types;
mod virtual_service;

use serde_json::{Value, json};

use crate::api::seldon::manifest::ISTIO_GATEWAY;
use crate::config::value::Scaler;
use crate::config::{Config, Model};
use crate::gateway::GatewayKind;
use crate::gateway::claims::ModelRequests;
use crate::gateway::revision::RouteRevision;
use crate::inputs::gateway::RelatedGateway;
use crate::labels;
use crate::observed::Observed;
use secrets::SecretNames;
pub use types::{Environment, Plan, PlannedModel, PlannedPredictor, PlannedRoute, Unsupported};

/// The requests of the models whose gateway is known.
pub fn requests(models: &[Model], related: &RelatedGateway, namespace: &str) -> Vec<ModelRequests> {
    let requests = |model| Some(types::requests(model, related.for_model(model)?, namespace));
    models.iter().filter_map(requests).collect()
}

/// Plans a configuration for the current state of the site: a predictor gets traffic only once it serves, and one
/// that still serves is kept until its replacement does.
///
/// # Errors
/// If an object cannot be written as JSON.
pub fn plan(config: &Config, environment: &Environment, observed: &Observed) -> Result<Plan, serde_json::Error> {
    let models = config.models.iter();
    let planned = models.map(|model| plan_model(model, config, environment, observed));
    Ok(Plan {
        models: planned.collect::<Result<_, _>>()?,
        frozen: config.frozen.clone(),
        prune: config.errors.is_empty(),
    })
}

fn plan_model(
    model: &Model,
    config: &Config,
    environment: &Environment,
    observed: &Observed,
) -> Result<PlannedModel, serde_json::Error> {
    let metrics_v2 = observed.capabilities.metrics_v2;
    let secrets = SecretNames::new(model, environment, &config.secrets, observed);
    let (mut spec, predictors) = objects::spec(model, environment, &secrets, metrics_v2)?;
    let traffic = {
        let current = traffic::CurrentRoute::read(model, environment, observed);
        traffic::traffic(model, &predictors, &current, config, observed)
    };
    // A prefix that is configured explicitly wins over the one that Seldon would use.
    let seldon_prefix = route::seldon_prefix(model, environment)
        .filter(|prefix| !config.models.iter().any(|other| other.prefix.overlaps(prefix)));
    let route = route::route(model, &spec, environment, &traffic, seldon_prefix.as_ref());
    let gateway = environment.gateway.for_model(model).cloned();
    let access = access::access(model, gateway.as_ref(), environment, observed)?;
    let kind = environment.gateway.kind();
    let (mut planned_route, revision) = match (&gateway, &environment.gateway) {
        (Some(gateway), _) => match kind {
            GatewayKind::GatewayApi => {
                let mut route = http_route::http_route(&route, model, environment, gateway);
                let revision = RouteRevision::of(&serde_json::to_vec(&route.spec)?);
                route.spec.rules.insert(0, http_route::revision_rule(model, &revision));
                (PlannedRoute::HttpRoute(serde_json::to_value(route)?), Some(revision))
            }
            GatewayKind::Istio => {
                let mut route = virtual_service::virtual_service(&route, model, environment, gateway);
                let revision = RouteRevision::of(&serde_json::to_vec(&route.spec)?);
                let rule = virtual_service::revision_rule(model, &revision);
                route.spec.http.insert(0, rule);
                (
                    PlannedRoute::VirtualService(serde_json::to_value(route)?),
                    Some(revision),
                )
            }
        },
        (None, RelatedGateway::None) => (PlannedRoute::Delete, None),
        (None, _) => (PlannedRoute::Keep, None),
    };
    if let PlannedRoute::HttpRoute(route) | PlannedRoute::VirtualService(route) = &mut planned_route {
        let manager = &environment.identity.manager();
        if let Some(mark) = served::mark(model, route, observed, manager)
            && let Some(metadata) = route.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.insert("annotations".to_owned(), json!({labels::NOT_SERVED: mark}));
        }
    }
    let is_http_route = matches!(planned_route, PlannedRoute::HttpRoute(_));
    let record = history::Record::current(model, &predictors, observed, &environment.identity.manager());
    let rollback_options = record.rollback_options(model);
    let marks = [
        (labels::SECRETS, secrets::has_secrets(model, &secrets.secrets, observed)),
        (
            labels::HTTP_ROUTE,
            is_http_route || route::has_http_route(model, environment, observed),
        ),
    ];
    let marks = marks.into_iter().filter(|(_, exists)| *exists);
    let marks = marks.map(|(key, _)| (key.to_owned(), "kept".to_owned()));
    let policies = access::mark(model, access.as_ref(), &environment.identity, observed);
    let policies = policies.map(|namespaces| (labels::ACCESS.to_owned(), namespaces));
    let seldons_route = model
        .access
        .is_some()
        .then(|| (ISTIO_GATEWAY.to_owned(), NO_GATEWAY.to_owned()));
    let annotations = record.annotations().chain(marks).chain(policies).chain(seldons_route);
    traffic::retain_predictors(&mut spec, traffic.retained);
    Ok(PlannedModel {
        model: model.clone(),
        deployment: objects::seldon_deployment(model, environment, spec, annotations)?,
        secrets: secrets.secrets,
        predictors,
        rollback_options,
        omitted: (!metrics_v2 && needs_metrics_v2(model)).then_some(NO_METRICS_V2),
        unsupported: if is_http_route {
            http_route::unsupported(model)
        } else {
            Vec::new()
        },
        gateway,
        access,
        route: planned_route,
        revision,
    })
}

/// A gateway that does not exist. Where Seldon creates a route of its own, it is at Seldon's gateway and there from the start, so it would
/// lead to a model with `access` past its policies. The model's route has the same path.
const NO_GATEWAY: &str = "no-gateway";

/// What Seldon Core before 1.15 does not support.
const NO_METRICS_V2: &str = "autoscale.metrics";

/// Whether some metric of the model can only be expressed in autoscaling/v2.
pub fn needs_metrics_v2(model: &Model) -> bool {
    let servers = [Some(&model.server), model.canary.as_ref().map(|canary| &canary.server)];
    let shadow = model.shadow.as_ref().map(|shadow| &shadow.server);
    servers.into_iter().chain([shadow]).flatten().any(|server| {
        let scaler = server.autoscale.as_ref().map(|autoscale| &autoscale.by);
        matches!(scaler, Some(Scaler::Load { metrics, .. }) if !metrics.is_empty())
    })
}
