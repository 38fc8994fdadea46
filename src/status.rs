//! Plan and observation to a status. Pure; the whole catalogue of messages is here and below.
//!
//! Active: every model serves what is configured. Blocked: action required, and the message has the command. Waiting: recovers on
//! its own.

pub(crate) mod fix;
pub mod line;
pub(crate) mod messages;
pub(crate) mod pod_failures;
pub mod problem;
pub(crate) mod stalled;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::api::pods::Deployment;
use crate::api_error::ApiError;
use crate::changes::ChangeSet;
use crate::config::ConfigError;
use crate::config::value::Scaler;
use crate::gateway::listeners::Listeners;
use crate::gateway::route_condition::{RouteCondition, route_condition};
use crate::identity::route_name;
use crate::inputs::gateway::RelatedGateway;
use crate::observed::Observed;
use crate::plan::readiness;
use crate::plan::types::OptionMap;
use crate::plan::{Plan, PlannedModel, PlannedRoute};
use crate::shell::{Commands, JujuCli};
use juju_hooks::{State, Status};

pub use line::Line;
pub use messages::{
    api_error, is_tool_failure, removal_incomplete, rights, seldon_is_deploying, tool_failure, unmanaged,
};
pub use problem::Problem;

/// All that a report is made from.
#[derive(Debug)]
pub struct StatusInput<'a> {
    pub application: &'a str,
    pub namespace: &'a str,
    pub juju: JujuCli,
    /// The field manager of what this application has applied.
    pub manager: &'a str,
    pub errors: &'a [ConfigError],
    pub gateway: &'a RelatedGateway,
    pub plan: &'a Plan,
    pub observed: &'a Observed,
    pub changes: &'a ChangeSet,
    /// What the API server rejected, by model.
    pub rejected: &'a BTreeMap<String, ApiError>,
    /// Whether this unit leads and wrote in this hook, so that Seldon's state may be that of an older spec.
    pub wrote: bool,
}

impl StatusInput<'_> {
    pub fn commands(&self) -> Commands<'_> {
        Commands {
            application: self.application,
            namespace: self.namespace,
            juju: self.juju,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    pub model: String,
    pub state: State,
    /// Whether requests are answered by what is configured.
    pub serves: bool,
    /// Begins with the model's name, unless it is about all models.
    pub message: String,
    /// What keeps it from serving. A frozen model has none: its problem is among the errors of the options.
    pub problem: Option<Problem>,
    /// The path that leads to it, if its options are valid.
    pub path: Option<String>,
    /// What it serves, likewise.
    pub source: Option<String>,
    /// What else it served last, if that is known.
    pub last: Option<OptionMap>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For `juju status`, cut to its line.
    pub status: Status,
    /// The message of the status before the cut.
    line: Line,
    /// Sorted by name.
    pub models: Vec<ModelStatus>,
    /// All that keeps the status from being active, the worst first, whole.
    pub problems: Vec<Problem>,
    /// What keeps nothing from serving and has to be known all the same.
    pub notes: Vec<String>,
    /// The version of what serves, where all models do.
    pub version: Option<String>,
    /// Whether it was brought about in this hook.
    pub wrote: bool,
    /// When what serves last changed, by the cluster's clock.
    pub changed: Option<Timestamp>,
}

impl Report {
    /// Problems of all models at once, the worst first.
    pub fn without_models(problems: &[Problem], commands: &Commands) -> Self {
        let worst = problems.first();
        let line = worst.map_or_else(Line::default, |worst| worst.line(None, commands));
        Self {
            status: Status::new(worst.map_or(State::Active, |worst| worst.state), line.to_string()),
            line,
            models: Vec::new(),
            problems: problems.to_vec(),
            notes: Vec::new(),
            version: None,
            wrote: false,
            changed: None,
        }
    }

    /// The message of the status with something behind it that must not be cut.
    pub fn message_with_tail(&self, tail: &str) -> String {
        self.line.with_tail(tail).to_string()
    }
}

pub fn evaluate(input: &StatusInput) -> Report {
    let mut models: Vec<ModelStatus> = input
        .plan
        .models
        .iter()
        .map(|planned| model_status(input, planned))
        .chain(input.plan.frozen.iter().map(|name| frozen(input, name)))
        .collect();
    models.sort_by(|a, b| a.model.cmp(&b.model));
    let mut problems: Vec<Problem> = input.errors.iter().map(Problem::from).collect();
    problems.extend(
        models
            .iter()
            .filter(|model| model.state != State::Active)
            .filter(|model| !input.plan.frozen.contains(&model.model))
            .filter_map(|model| model.problem.clone()),
    );
    problems.extend(messages::retired(input));
    // Blocked before waiting; among equals the order stays.
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.state));
    // A problem of several models, such as a missing gateway, is reported once.
    problems.dedup();
    let line = line(input, &models, &problems);
    let state = problems.first().map_or(State::Active, |worst| worst.state);
    let unmanaged = input.changes.unmanaged.iter();
    Report {
        status: Status::new(state, line.to_string()),
        line,
        notes: unmanaged
            .map(|copy| messages::unmanaged(input.namespace, copy))
            .collect(),
        version: version(input, &models, &problems),
        problems,
        models,
        wrote: input.wrote,
        changed: readiness::last_change(input.observed),
    }
}

/// The worst problem, and how many models serve where there are several.
fn line(input: &StatusInput, models: &[ModelStatus], problems: &[Problem]) -> Line {
    let commands = &input.commands();
    let count = (models.len() > 1).then(|| {
        let serving = models.iter().filter(|model| model.serves).count();
        format!("{serving} of {} serve", models.len())
    });
    if let Some(worst) = problems.first() {
        let line = worst.line(count.as_deref(), commands);
        return match (&count, problems.len() - 1) {
            (Some(_), 1..) => line.with_tail(&format!("; {} more in juju debug-log", problems.len() - 1)),
            _ => line,
        };
    }
    let idle = models.iter().find(|model| !model.serves);
    let summary = match (models, idle) {
        ([], _) => "no models configured".to_owned(),
        ([model], None) => format!("{} serves", model.model),
        (_, None) => format!("{} models serve", models.len()),
        (_, Some(idle)) => idle.message.clone(),
    };
    if let Some(unmanaged) = messages::unmanaged_summary(&input.changes.unmanaged, &summary, commands) {
        return unmanaged.line(count.filter(|_| idle.is_some()).as_deref(), commands);
    }
    match (models, idle, input.plan.models.as_slice(), count) {
        ([_], None, [planned], _) => serving(input, planned).line(None, commands),
        ([_, _, ..], None, ..) => {
            let names: Vec<&str> = models.iter().map(|model| model.model.as_str()).collect();
            Line::plain(format!("{summary}: {}", names.join(", ")))
        }
        (_, Some(_), _, Some(count)) => Line::plain(format!("{count}; {summary}")),
        _ => Line::plain(summary),
    }
}

/// The application's version in `juju status`: that of the only model, or how many models there are.
fn version(input: &StatusInput, models: &[ModelStatus], problems: &[Problem]) -> Option<String> {
    let serves = |planned: &&PlannedModel| {
        models
            .iter()
            .any(|model| model.serves && model.model == planned.model.name)
    };
    let serving: Vec<&PlannedModel> = input.plan.models.iter().filter(serves).collect();
    let version = match serving.as_slice() {
        [] => None,
        [planned] => Some(planned.model.version()),
        several => Some(format!("{} models", several.len())),
    };
    version.filter(|_| problems.is_empty())
}

/// A model with invalid options keeps what it has. The error is reported with the options.
fn frozen(input: &StatusInput, name: &str) -> ModelStatus {
    let consequence = if input.observed.seldon_deployment(name).is_some() {
        "the previous version keeps serving"
    } else {
        "not deployed"
    };
    ModelStatus {
        model: name.to_owned(),
        state: State::Blocked,
        serves: false,
        message: format!("{name}: invalid configuration; {consequence}"),
        problem: None,
        path: None,
        source: None,
        last: None,
    }
}

fn model_status(input: &StatusInput, planned: &PlannedModel) -> ModelStatus {
    let model = &planned.model;
    let problem = problem(input, planned);
    let message = match &problem {
        Some(problem) => problem.to_string(),
        None if planned.is_stopped() => format!("{} is stopped (replicas=0)", model.name),
        None => serving(input, planned).to_string(),
    };
    ModelStatus {
        model: model.name.clone(),
        state: problem.as_ref().map_or(State::Active, |problem| problem.state),
        serves: problem.is_none() && !planned.is_stopped(),
        message,
        problem,
        path: Some(model.prefix.to_string()),
        source: Some(model.serves()),
        last: planned.rollback_options.clone(),
    }
}

/// The message of a model that serves.
fn serving(input: &StatusInput, planned: &PlannedModel) -> Problem {
    let model = &planned.model;
    let serves = format!("{} serves {}", model.name, model.serves());
    if let Some(option) = planned.omitted {
        return messages::omitted(&serves, option);
    }
    let gateway = planned.gateway.as_ref();
    let listeners = gateway.and_then(|gateway| input.observed.gateways.get(gateway));
    let by = if listeners.is_some_and(Listeners::https_only) {
        ", HTTPS only"
    } else {
        ""
    };
    Problem::active(format!("{serves} at {}{by}", model.prefix))
}

/// The first problem of a model; one that requires action before one that does not.
fn problem(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let name = &planned.model.name;
    if let Some(conflict) = input.changes.conflicts.get(name) {
        return Some(messages::conflict(input, &planned.model, conflict));
    }
    if let Some(error) = input.rejected.get(name) {
        return Some(messages::rejected(input, &planned.model, error));
    }
    let pods = not_ready(input, planned);
    let route = no_route(input, planned);
    let due = input.changes.has_pending(name).then(|| {
        let problem = if input.wrote {
            Problem::waiting("changes only partly applied; will retry").cause("juju debug-log has more")
        } else {
            Problem::waiting("waiting for the leader unit to apply the new configuration")
        };
        problem.of_model(name)
    });
    let unsupported = planned.unsupported.first();
    let unsupported = unsupported.map(|unsupported| messages::unsupported(input, &planned.model, *unsupported));
    // Among equals what is nearer to the operator comes first.
    [
        due,
        route,
        pods,
        unresolved_refs(input, planned),
        not_scaled(input, planned),
        unsupported,
    ]
    .into_iter()
    .flatten()
    .reduce(|first, next| if next.state > first.state { next } else { first })
}

/// Why no request gets to the model, its pods aside.
pub(crate) fn no_route(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let gateway = planned.gateway.as_ref();
    let listeners = gateway.and_then(|gateway| input.observed.gateways.get(gateway));
    if let (Some(gateway), Some(listeners)) = (gateway, listeners)
        && !listeners.accepts(&planned.model.hosts)
    {
        return Some(messages::other_hosts(input, &planned.model, gateway, listeners));
    }
    let Some(gateway) = gateway else {
        return Some(messages::unknown_gateway(input, &planned.model));
    };
    let Some(listeners) = listeners else {
        return Some(messages::no_gateway(input, &planned.model, gateway));
    };
    if let (None, RelatedGateway::Known { up, by, .. }) = (&planned.model.gateway, input.gateway)
        && (!up || listeners.down)
    {
        return Some(messages::gateway_down(gateway, &by.application));
    }
    gateway_problem(input, planned)
        .filter(|(unresolved_refs, _)| !unresolved_refs)
        .map(|(_, problem)| problem)
}

/// The problem that a gateway reports of a model's HTTPRoute, and whether that is only an unresolved reference, as before Seldon has
/// created the Service.
fn gateway_problem(input: &StatusInput, planned: &PlannedModel) -> Option<(bool, Problem)> {
    let gateway = planned.gateway.as_ref()?;
    let PlannedRoute::HttpRoute(_) = &planned.route else {
        return None;
    };
    let name = &planned.model.name;
    // A missing HTTPRoute is pending, which is a problem of its own.
    let live = input.observed.http_route_in(input.namespace, &route_name(name))?;
    let condition = route_condition(live, gateway);
    let problem = messages::not_accepted(input, name, gateway, &condition)?;
    Some((matches!(condition, RouteCondition::UnresolvedRefs(_)), problem))
}

/// While pods start they say more.
fn unresolved_refs(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    gateway_problem(input, planned)
        .filter(|(unresolved_refs, _)| *unresolved_refs)
        .map(|(_, problem)| problem)
}

/// Why the pods do not serve what is configured.
pub(crate) fn not_ready(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let model = &planned.model;
    let name = &model.name;
    let waiting = |what: String| Some(Problem::waiting(what).of_model(name));
    match input.observed.seldon_deployment(name) {
        None => return waiting("waiting for its SeldonDeployment to be created".to_owned()),
        Some(object) if object.metadata.deletion_timestamp.is_some() => {
            return waiting("being deleted by another client; will be recreated".to_owned());
        }
        Some(_) => {}
    }
    if readiness::is_ready(planned, input.observed) {
        return None;
    }
    let deployments: Vec<&Deployment> = input.observed.deployments_of(name).collect();
    let old_serves = deployments
        .iter()
        .any(|deployment| readiness::deployment_is_available(deployment));
    if let Some(problem) = pod_failures::find(input, planned, &deployments) {
        return Some(problem.previous_serves(old_serves));
    }
    let late = planned
        .predictors
        .iter()
        .find(|predictor| !readiness::predictor_is_rolled_out(&planned.model.name, predictor, input.observed))
        // The first predictor is the model itself.
        .filter(|late| planned.predictors.first().is_some_and(|first| first.name != late.name));
    if let (Some(late), true) = (late, old_serves) {
        let predictor = &late.name;
        return if readiness::predictor_is_available(&planned.model.name, late, input.observed) {
            waiting(format!("{predictor} is rolling out")).map(|problem| problem.previous_serves(true))
        } else {
            waiting(format!("{predictor} is starting; no traffic until it is ready"))
        };
    }
    if deployments.is_empty() && input.observed.state(name).state.is_empty() {
        return waiting("waiting for Seldon Core to create its pods".to_owned())
            .map(|problem| problem.cause("if it lasts: juju status seldon-core"));
    }
    if planned.is_stopped() {
        waiting("stopping (replicas=0)".to_owned())
    } else if old_serves {
        waiting(format!("rolling out {}", model.serves())).map(|problem| problem.previous_serves(true))
    } else {
        waiting(format!("starting {}", model.serves()))
    }
}

/// A model that KEDA is to scale gets one pod and no condition from a Seldon Core without KEDA.
pub(crate) fn not_scaled(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let model = &planned.model;
    let by = model.server.autoscale.as_ref().map(|autoscale| &autoscale.by);
    let state = input.observed.state(&model.name);
    let runs = state
        .conditions
        .iter()
        .any(|condition| condition.kind == "KedaReady" && condition.status == "True");
    let is_known = state.state == "Available" && !planned.is_stopped();
    (is_known && !runs && matches!(by, Some(Scaler::Keda(_)))).then(|| messages::no_keda(input, model))
}

/// Whether a model does not serve for a reason that its pods may know.
pub fn needs_pods(plan: &Plan, observed: &Observed) -> bool {
    !observed.deployments.is_empty()
        && plan
            .models
            .iter()
            .any(|planned| !readiness::is_ready(planned, observed))
}

#[cfg(test)]
mod tests;
