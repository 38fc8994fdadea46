//! `diagnose`: one report of all that a request to a model meets, and the first link that is broken.

mod report;

use std::collections::BTreeMap;

use super::checks::{Check, ClusterContext, checks, first_failed};
use super::gateway_endpoints::{self, GatewayEndpoints, Service};
use super::{ActionContext, Failure, Results, api_error, lines_that_fit};
use crate::api_error::ApiError;
use crate::changes::{RouteClaim, is_planned};
use crate::gateway::GatewayName;
use crate::inputs::Inputs;
use crate::permissions::{OPTIONAL, Permission, required, watches};
use crate::plan::PlannedModel;
use crate::reconcile::secrets;
use crate::reconcile::snapshot::{Snapshot, unobserved};
use crate::status::{self, StatusInput};

/// What a model is said to be broken at, where nothing is.
const NOTHING: &str = "nothing";

/// One model: what it is broken at, and why.
struct Finding {
    model: String,
    broken: &'static str,
    why: String,
    links: Vec<Check>,
    competitors: Vec<String>,
}

impl Finding {
    /// Of which nothing else was looked at.
    fn early(model: &str, broken: &'static str, why: String) -> Self {
        Self {
            model: model.to_owned(),
            broken,
            why,
            links: Vec::new(),
            competitors: Vec::new(),
        }
    }
}

/// What the service account lacks, by what it is for; or why that is not known.
type Missing = Result<Vec<(&'static str, Vec<Permission>)>, ApiError>;

pub async fn run(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    inputs.read_seldon_relation(call.tools, call.context)?;
    let (report, mut findings, missing) =
        match secrets::snapshot_for_action(call.tools, call.context, &mut inputs).await? {
            Ok(mut snapshot) => {
                snapshot.list_pods_if_unready().await;
                let around = ClusterState::find(&snapshot).await;
                let rejected = snapshot.dry_run().await;
                let report = snapshot.report(&inputs, &rejected, false);
                (
                    report,
                    findings(&snapshot, &inputs, &around, &rejected),
                    missing(&snapshot, &inputs).await,
                )
            }
            Err(error) => {
                let report = unobserved(&inputs, &error);
                (report, unreachable(call, &inputs, &error), Err(error))
            }
        };
    findings.extend(frozen(&inputs));
    findings.sort_by(|one, other| one.model.cmp(&other.model));
    let text = report::report(call, &inputs, &report, &findings, &missing);
    let mut results = Results::new();
    for found in &findings {
        results.push((format!("{}.broken", found.model), found.broken.to_owned()));
        if !found.why.is_empty() {
            results.push((format!("{}.why", found.model), found.why.clone()));
        }
    }
    // A model may be called so; it is in the report in any case.
    results.retain(|(key, _)| !key.starts_with("status.") && !key.starts_with("report."));
    let status = format!("{}: {}", report.status.state.as_str(), report.status.message);
    let instead = "list-models has a line for each model";
    results.extend([
        ("status".to_owned(), status),
        ("report".to_owned(), lines_that_fit(&text, instead)),
    ]);
    Ok(results)
}

/// What was looked for beside what a hook looks at.
struct ClusterState {
    endpoints_by_gateway: BTreeMap<GatewayName, GatewayEndpoints>,
    services: Option<Vec<Service>>,
}

impl ClusterState {
    async fn find(snapshot: &Snapshot) -> Self {
        let mut endpoints_by_gateway = BTreeMap::new();
        for (gateway, listeners) in &snapshot.observed.gateways {
            endpoints_by_gateway.insert(
                gateway.clone(),
                gateway_endpoints::find(&snapshot.cluster, gateway, listeners).await,
            );
        }
        Self {
            endpoints_by_gateway,
            services: gateway_endpoints::services(&snapshot.cluster, &snapshot.identity.namespace)
                .await
                .ok(),
        }
    }
}

fn findings(
    snapshot: &Snapshot,
    inputs: &Inputs,
    seen: &ClusterState,
    rejected: &BTreeMap<String, ApiError>,
) -> Vec<Finding> {
    let input = StatusInput {
        application: &snapshot.identity.application,
        namespace: &snapshot.identity.namespace,
        juju: inputs.commands().juju,
        manager: &snapshot.identity.manager(),
        errors: &inputs.config.errors,
        gateway: &inputs.gateway,
        plan: &snapshot.plan,
        observed: &snapshot.observed,
        changes: &snapshot.changes,
        rejected,
        wrote: false,
    };
    let of_model = |planned: &PlannedModel| {
        let gateway = planned.gateway.as_ref();
        let around = ClusterContext {
            endpoints: gateway.and_then(|gateway| seen.endpoints_by_gateway.get(gateway)),
            services: seen.services.as_deref(),
        };
        let links = checks(&input, planned, around);
        let first = first_failed(&links);
        Finding {
            model: planned.model.name.clone(),
            broken: first.map_or(NOTHING, |link| link.name),
            why: first.map(|link| link.text.clone()).unwrap_or_default(),
            competitors: competing_routes(snapshot, planned),
            links,
        }
    };
    snapshot.plan.models.iter().map(of_model).collect()
}

/// Models whose options are faulty.
fn frozen(inputs: &Inputs) -> impl Iterator<Item = Finding> {
    inputs.config.frozen.iter().map(|model| {
        let mut errors = inputs.config.errors.iter();
        let of_it = errors.find(|error| error.model.as_ref().is_none_or(|of| of == model));
        Finding::early(model, "options", of_it.map(ToString::to_string).unwrap_or_default())
    })
}

/// Where the cluster could not be looked at, all models are broken at the same.
fn unreachable(call: &ActionContext, inputs: &Inputs, error: &ApiError) -> Vec<Finding> {
    let mut why = api_error(call, error);
    let broken = match error {
        ApiError::CrdMissing { kind } if kind.starts_with("Seldon") => {
            if inputs.seldon_is_related() {
                why = status::seldon_is_deploying().to_string();
            }
            "seldon-core"
        }
        ApiError::CrdMissing { .. } => "istio",
        ApiError::Forbidden { .. } => "rights",
        _ => "kubernetes",
    };
    let models = inputs.config.models.iter();
    models
        .map(|model| Finding::early(&model.name, broken, why.clone()))
        .collect()
}

/// Other routes on the same gateway that want some of the model's requests, or all that nobody else wants.
fn competing_routes(snapshot: &Snapshot, planned: &PlannedModel) -> Vec<String> {
    let Some(gateway) = &planned.gateway else {
        return Vec::new();
    };
    let (hosts, prefix) = (&planned.model.hosts, &planned.model.prefix);
    let others = snapshot.observed.virtual_services.iter();
    let others = others.filter(|object| !is_planned(object, &snapshot.plan, &snapshot.identity));
    let others = others.map(RouteClaim::of);
    others
        .filter_map(|claim| {
            let what = if claim.overlaps(gateway, hosts, prefix) {
                format!("wants requests of {prefix}")
            } else if claim.is_catch_all(gateway, hosts) {
                "takes every path that nobody else wants".to_owned()
            } else {
                return None;
            };
            Some(format!("VirtualService {}/{} {what}", claim.namespace, claim.name))
        })
        .collect()
}

async fn missing(snapshot: &Snapshot, inputs: &Inputs) -> Missing {
    let mut missing = vec![("needed", snapshot.cluster.missing(required(inputs.needs())).await?)];
    if inputs.is_watched() {
        let lacks = snapshot.cluster.missing(watches(inputs.needs())).await?;
        missing.push(("to look as soon as something changes", lacks));
    }
    let lacks = snapshot.cluster.missing(OPTIONAL.into_iter()).await?;
    missing.push(("for this report and for endpoints and predict", lacks));
    Ok(missing)
}
