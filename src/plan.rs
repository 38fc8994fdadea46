//! Computes the plan: the objects that a site should have. Pure and total; the same input gives the same bytes.

pub mod history;
mod http_route;
mod metadata;
mod objects;
mod pod;
pub mod readiness;
pub(crate) mod route;
pub mod secrets;
mod traffic;
pub mod types;
mod virtual_service;

use std::collections::BTreeSet;

use crate::config::value::Scaler;
use crate::config::{Config, Model};
use crate::gateway::{GatewayKind, GatewayName};
use crate::inputs::gateway::RelatedGateway;
use crate::observed::Observed;
use secrets::SecretNames;
pub use types::{Environment, Plan, PlannedModel, PlannedPredictor, PlannedRoute, Unsupported};

pub fn gateways<'a>(models: impl Iterator<Item = &'a Model>, related: &RelatedGateway) -> BTreeSet<GatewayName> {
    models.filter_map(|model| related.for_model(model).cloned()).collect()
}

/// Plans a configuration for the current state of the site: a predictor gets traffic only once it serves, and one
/// that still serves is kept until its replacement does.
pub fn plan(config: &Config, environment: &Environment, observed: &Observed) -> Plan {
    Plan {
        models: config
            .models
            .iter()
            .map(|model| plan_model(model, config, environment, observed))
            .collect(),
        frozen: config.frozen.clone(),
        prune: config.errors.is_empty(),
    }
}

fn plan_model(model: &Model, config: &Config, environment: &Environment, observed: &Observed) -> PlannedModel {
    let secret_names = SecretNames::new(model, environment, &config.secrets, observed);
    let (deployment, predictors) =
        objects::seldon_deployment(model, environment, &secret_names, !observed.lacks_metrics_v2);
    let gateway = environment.gateway.for_model(model).cloned();
    let mut planned = PlannedModel {
        model: model.clone(),
        deployment,
        secrets: secret_names.secrets,
        predictors,
        rollback_options: None,
        omitted: (observed.lacks_metrics_v2 && needs_metrics_v2(model)).then_some(NO_METRICS_V2),
        unsupported: Vec::new(),
        gateway,
        route: PlannedRoute::Keep,
    };
    let current = traffic::CurrentRoute::read(model, environment, observed);
    let traffic = traffic::traffic(&planned, &current, observed);
    traffic::retain_predictors(&mut planned.deployment, traffic.retained.clone());
    history::record_served_options(&mut planned, observed, &environment.identity().manager());
    secrets::mark(&mut planned, observed);
    // A prefix that is configured explicitly wins over the one that Seldon would use.
    let seldon_prefix = route::seldon_prefix(model, environment)
        .filter(|prefix| !config.models.iter().any(|other| other.prefix.overlaps(prefix)));
    planned.route = match (&planned.gateway, &environment.gateway) {
        (Some(gateway), related) => {
            let route = route::route(&planned, environment, &traffic, seldon_prefix.as_ref());
            match related.kind() {
                GatewayKind::GatewayApi => {
                    planned.unsupported = http_route::unsupported(model);
                    let route = http_route::http_route(&route, model, environment, gateway);
                    PlannedRoute::HttpRoute(Box::new(route))
                }
                GatewayKind::Istio => {
                    let route = virtual_service::virtual_service(&route, model, environment, gateway);
                    PlannedRoute::VirtualService(Box::new(route))
                }
            }
        }
        (None, RelatedGateway::None) => PlannedRoute::Delete,
        (None, _) => PlannedRoute::Keep,
    };
    route::mark(&mut planned, environment, observed);
    planned
}

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
