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

use std::collections::BTreeSet;

use crate::config::value::Scaler;
use crate::config::{Config, Model};
use crate::gateway::{GatewayKind, GatewayName};
use crate::inputs::gateway::RelatedGateway;
use crate::observed::Observed;
use secrets::SecretNames;
pub use types::{Plan, PlannedModel, PlannedPredictor, Route, Site, Unsupported};

pub fn gateways<'a>(models: impl Iterator<Item = &'a Model>, related: &RelatedGateway) -> BTreeSet<GatewayName> {
    models.filter_map(|model| related.of(model).cloned()).collect()
}

/// Plans a configuration for the current state of the site: a predictor gets traffic only once it serves, and one
/// that still serves is kept until its replacement does.
pub fn plan(config: &Config, site: &Site, observed: &Observed) -> Plan {
    Plan {
        models: config
            .models
            .iter()
            .map(|model| planned(model, config, site, observed))
            .collect(),
        frozen: config.frozen.clone(),
        prune: config.errors.is_empty(),
    }
}

fn planned(model: &Model, config: &Config, site: &Site, observed: &Observed) -> PlannedModel {
    let desired = SecretNames::new(model, site, &config.secrets, observed);
    let (deployment, predictors) = objects::seldon_deployment(model, site, &desired, !observed.lacks_metrics_v2);
    let gateway = site.gateway.of(model).cloned();
    let mut planned = PlannedModel {
        model: model.clone(),
        deployment,
        secrets: desired.secrets,
        predictors,
        last: None,
        omitted: (observed.lacks_metrics_v2 && asks_metrics_v2(model)).then_some(NO_METRICS_V2),
        unsupported: Vec::new(),
        gateway,
        route: Route::Keep,
    };
    let live = traffic::LiveRoute::read(model, site, observed);
    let traffic = traffic::traffic(&planned, &live, observed);
    traffic::keep(&mut planned.deployment, traffic.leaving.clone());
    history::keep(&mut planned, observed, &site.identity().manager());
    secrets::mark(&mut planned, observed);
    // A prefix that is configured explicitly wins over the one that Seldon would use.
    let seldons = route::seldons_prefix(model, site)
        .filter(|prefix| !config.models.iter().any(|other| other.prefix.overlaps(prefix)));
    planned.route = match (&planned.gateway, &site.gateway) {
        (Some(gateway), related) => {
            let route = route::virtual_service(&planned, site, gateway, &traffic, seldons.as_ref());
            if related.kind() == GatewayKind::GatewayApi {
                planned.unsupported = http_route::unsupported(model);
                Route::HttpRoute(Box::new(http_route::http_route(&route, model, gateway)))
            } else {
                Route::VirtualService(Box::new(route))
            }
        }
        (None, RelatedGateway::None) => Route::Delete,
        (None, _) => Route::Keep,
    };
    route::mark(&mut planned, site, observed);
    planned
}

/// What Seldon Core before 1.15 does not support.
const NO_METRICS_V2: &str = "autoscale.metrics";

/// Whether some metric of the model can only be expressed in autoscaling/v2.
pub fn asks_metrics_v2(model: &Model) -> bool {
    let servers = [Some(&model.server), model.canary.as_ref().map(|canary| &canary.server)];
    let shadow = model.shadow.as_ref().map(|shadow| &shadow.server);
    servers.into_iter().chain([shadow]).flatten().any(|server| {
        let by = server.autoscale.as_ref().map(|autoscale| &autoscale.by);
        matches!(by, Some(Scaler::Load { metrics, .. }) if !metrics.is_empty())
    })
}
