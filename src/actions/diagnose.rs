//! `diagnose`: a report of everything that a request to a model passes, and the first check that fails.

mod report;

use std::collections::BTreeMap;

use super::checks::{Check, ClusterContext, checks, first_failed};
use super::gateway_endpoints::{self, GatewayEndpoints, Service};
use super::{ActionContext, Failure, Results, api_error, lines_that_fit, served};
use crate::api_error::ApiError;
use crate::gateway::GatewayName;
use crate::gateway::revision::Served;
use crate::identity::route_name;
use crate::inputs::Inputs;
use crate::labels::ObjectKind;
use crate::permissions::{Needs, OPTIONAL, Permission, required, watches};
use crate::plan::served::changed_at;
use crate::plan::{PlannedModel, PlannedRoute};
use crate::reconcile::secrets;
use crate::reconcile::snapshot::{Snapshot, unobserved};
use crate::status::{self, ApplicationProblem, StatusInput};

/// The result for a model without a failed check.
const NOTHING: &str = "nothing";

struct Finding {
    model: String,
    /// The first check that fails.
    broken: &'static str,
    why: String,
    checks: Vec<Check>,
    competitors: Vec<String>,
}

impl Finding {
    /// A model of which nothing else is checked.
    fn without_checks(model: &str, broken: &'static str, why: String) -> Self {
        Self {
            model: model.to_owned(),
            broken,
            why,
            checks: Vec::new(),
            competitors: Vec::new(),
        }
    }
}

/// The missing permissions by purpose.
type Missing = Result<Vec<(&'static str, Vec<Permission>)>, ApiError>;

pub async fn run(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    inputs.read_seldon_relation(call.tools, call.context)?;
    let (report, mut findings, missing) = match observe(call, &mut inputs).await? {
        Ok((snapshot, cluster)) => {
            let rejected = snapshot.dry_run().await;
            let mut report = snapshot.report(&inputs, &rejected, false);
            report.notes.extend(first_not_served(&snapshot));
            (
                report,
                findings(&snapshot, &inputs, &cluster, &rejected),
                missing(&snapshot, &inputs).await,
            )
        }
        Err(error) => {
            let report = unobserved(&inputs, &error);
            (report, unreachable(call, &inputs, &error), Err(error))
        }
    };
    findings.extend(frozen(&inputs));
    findings.sort_by(|a, b| a.model.cmp(&b.model));
    let text = report::report(call, &inputs, &report, &findings, &missing);
    let mut results = Results::new();
    for finding in &findings {
        results.push((format!("{}.broken", finding.model), finding.broken.to_owned()));
        if !finding.why.is_empty() {
            results.push((format!("{}.why", finding.model), finding.why.clone()));
        }
    }
    // A model may have such a name; the report has it in any case.
    results.retain(|(key, _)| !key.starts_with("status.") && !key.starts_with("report."));
    let status = format!("{}: {}", report.status.state.as_str(), report.status.message);
    let hint = "list-models has a line for each model";
    results.extend([
        ("status".to_owned(), status),
        ("report".to_owned(), lines_that_fit(&text, hint)),
    ]);
    Ok(results)
}

async fn observe(
    call: &ActionContext<'_>,
    inputs: &mut Inputs,
) -> Result<Result<(Snapshot, ClusterState), ApiError>, Failure> {
    let mut snapshot = match secrets::snapshot_for_action(call.tools, call.context, inputs).await? {
        Ok(snapshot) => snapshot,
        Err(error) => return Ok(Err(error)),
    };
    snapshot.list_pods_if_unready().await;
    let cluster = ClusterState::find(&snapshot).await;
    let models = snapshot.plan.models.iter();
    let answers = served::ask(&snapshot, models.clone(), models, &cluster.endpoints_by_gateway).await;
    let answered = snapshot.set_answers(answers, inputs).await;
    Ok(answered.map(|()| (snapshot, cluster)))
}

/// What only this action observes.
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
    cluster: &ClusterState,
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
    let finding = |planned: &PlannedModel| {
        let gateway = planned.gateway.as_ref();
        let context = ClusterContext {
            endpoints: gateway.and_then(|gateway| cluster.endpoints_by_gateway.get(gateway)),
            services: cluster.services.as_deref(),
        };
        let checks = checks(&input, planned, context);
        let failed = first_failed(&checks);
        Finding {
            model: planned.model.name.clone(),
            broken: failed.map_or(NOTHING, |check| check.name),
            why: failed.map(|check| check.text.clone()).unwrap_or_default(),
            competitors: competing_routes(snapshot, planned),
            checks,
        }
    };
    snapshot.plan.models.iter().map(finding).collect()
}

/// Our route whose change is the first that its gateway does not serve. What keeps the gateway from it was written before.
fn first_not_served(snapshot: &Snapshot) -> Option<String> {
    let manager = snapshot.identity.manager();
    let namespace = &snapshot.identity.namespace;
    let is_stale = |planned: &&PlannedModel| snapshot.observed.served.get(&planned.model.name) == Some(&Served::Stale);
    let stale = snapshot.plan.models.iter().filter(is_stale);
    let changes = stale.filter_map(|planned| {
        let name = route_name(&planned.model.name);
        let (kind, live) = match planned.route {
            PlannedRoute::HttpRoute(_) => (ObjectKind::HttpRoute, snapshot.observed.http_route(&name)),
            _ => (ObjectKind::VirtualService, snapshot.observed.virtual_service(&name)),
        };
        Some((changed_at(live?, &manager)?, planned.gateway.as_ref()?, kind, name))
    });
    let (time, gateway, kind, name) = changes.min_by_key(|(time, ..)| *time)?;
    let kind = kind.as_str();
    Some(format!(
        "gateway {gateway}: first route not served: {kind} {namespace}/{name} (written {time})"
    ))
}

/// Models with invalid options.
fn frozen(inputs: &Inputs) -> impl Iterator<Item = Finding> {
    inputs.config.frozen.iter().map(|model| {
        let mut errors = inputs.config.errors.iter();
        let error = errors.find(|error| error.model.as_ref().is_none_or(|name| name == model));
        Finding::without_checks(model, "options", error.map(ToString::to_string).unwrap_or_default())
    })
}

/// Without a snapshot of the cluster, all models fail at the same.
fn unreachable(call: &ActionContext, inputs: &Inputs, error: &ApiError) -> Vec<Finding> {
    let mut why = api_error(call, error);
    let broken = match error {
        ApiError::CrdMissing { kind } if kind.starts_with("Seldon") => {
            if inputs.seldon_is_related() {
                why = status::messages::of_application(&call.commands(), &ApplicationProblem::SeldonIsDeploying)
                    .to_string();
            }
            "seldon-core"
        }
        ApiError::CrdMissing { .. } => "istio",
        ApiError::Forbidden { .. } => "rights",
        _ => "kubernetes",
    };
    let models = inputs.config.models.iter();
    models
        .map(|model| Finding::without_checks(&model.name, broken, why.clone()))
        .collect()
}

/// The routes of others that a model shares its requests with.
fn competing_routes(snapshot: &Snapshot, planned: &PlannedModel) -> Vec<String> {
    let Some(competing) = snapshot.changes.competing.get(&planned.model.name) else {
        return Vec::new();
    };
    let named = competing.named.iter().map(status::competing_route);
    let more = (competing.more > 0).then(|| format!("{} more", competing.more));
    named.chain(more).collect()
}

async fn missing(snapshot: &Snapshot, inputs: &Inputs) -> Missing {
    let needs = Needs {
        policies: snapshot.policy_namespaces(),
        ..inputs.needs()
    };
    let mut missing = vec![("required", snapshot.cluster.missing(required(&needs)).await?)];
    if inputs.config.watch {
        let watcher = snapshot.cluster.missing(watches(&needs)).await?;
        missing.push(("for the watcher", watcher));
    }
    let optional = snapshot.cluster.missing(OPTIONAL.into_iter()).await?;
    missing.push(("for diagnose, endpoints and predict", optional));
    Ok(missing)
}
