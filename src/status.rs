//! Plan and observation to a status. Pure; the whole catalogue of messages lives here and below.
//!
//! Active means that every model serves what was asked for. Blocked means that a person must act, and the message says
//! what to type. Waiting heals by itself.

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
use crate::plan::{Plan, PlannedModel, Route};
use juju_hooks::{State, Status};

pub use messages::{
    api_error, is_tool_failure, removal_incomplete, rights, seldon_is_deploying, tool_failure, unmanaged,
};
pub use problem::Problem;

/// Longest message of a status, in characters. `juju status` gives a line to it and wraps nothing.
const LONGEST_MESSAGE: usize = 240;

/// All that a verdict is drawn from.
#[derive(Debug)]
pub struct StatusInput<'a> {
    /// The Juju application, for what to type.
    pub application: &'a str,
    /// The namespace, likewise.
    pub namespace: &'a str,
    /// The field manager of what this application has applied.
    pub manager: &'a str,
    /// What is wrong with the options.
    pub errors: &'a [ConfigError],
    /// What the gateway relation says.
    pub gateway: &'a RelatedGateway,
    /// What should be.
    pub plan: &'a Plan,
    /// What is.
    pub observed: &'a Observed,
    /// What is still to be done, and what stands in the way of it.
    pub changes: &'a ChangeSet,
    /// What the API server refused, by model.
    pub rejected: &'a BTreeMap<String, ApiError>,
    /// Whether this unit leads and wrote in this hook, so that what Seldon says may be of an older spec.
    pub wrote: bool,
}

/// How one model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    /// The model.
    pub model: String,
    /// How it is.
    pub state: State,
    /// Whether requests are answered by what was asked for.
    pub serves: bool,
    /// The same in words, the model's name among them.
    pub message: String,
    /// What keeps it from serving; of a frozen one that is among the errors of its options.
    pub problem: Option<Problem>,
    /// The path that leads to it, once its options are sound.
    pub path: Option<String>,
    /// What it serves, likewise.
    pub source: Option<String>,
    /// What else it served last, if that is known.
    pub last: Option<OptionMap>,
}

/// What was found of all models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For `juju status`, cut to its line.
    pub status: Status,
    /// Every model by name.
    pub models: Vec<ModelStatus>,
    /// All that keeps the status from being active, the worst first, uncut.
    pub problems: Vec<String>,
    /// What keeps nothing from serving, and still has to be known.
    pub notes: Vec<String>,
    /// The version of what serves, where all do.
    pub version: Option<String>,
    /// Whether it was brought about in this hook.
    pub wrote: bool,
    /// When what serves last changed, by the cluster's clock.
    pub changed: Option<Timestamp>,
}

/// Draws the verdict.
#[must_use]
pub fn evaluate(input: &StatusInput) -> Report {
    let mut models: Vec<ModelStatus> = input
        .plan
        .models
        .iter()
        .map(|planned| model_status(input, planned))
        .chain(input.plan.frozen.iter().map(|name| frozen(input, name)))
        .collect();
    models.sort_by(|a, b| a.model.cmp(&b.model));
    let mut problems: Vec<Problem> = input
        .errors
        .iter()
        .map(|error| Problem::blocked(error.to_string()))
        .collect();
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
    // One trouble of several models, such as a missing gateway, is told once.
    problems.dedup();
    let unmanaged = input.changes.unmanaged.iter();
    Report {
        status: status(input, &models, &problems),
        notes: unmanaged
            .map(|copy| messages::unmanaged(input.namespace, copy))
            .collect(),
        version: version(input, &models, &problems),
        problems: problems.iter().map(ToString::to_string).collect(),
        models,
        wrote: input.wrote,
        changed: readiness::last_change(input.observed),
    }
}

fn status(input: &StatusInput, models: &[ModelStatus], problems: &[Problem]) -> Status {
    let serving = models.iter().filter(|model| model.serves).count();
    let worst = problems.first();
    let state = worst.map_or(State::Active, |worst| worst.state);
    let message = match (models, worst) {
        ([] | [_], Some(worst)) => worst.to_string(),
        ([one], None) => one.message.clone(),
        ([], None) => "no models: juju config says what to serve".to_owned(),
        (many, worst) => {
            let count = many.len();
            let idle = many.iter().find(|model| !model.serves);
            match (worst, idle) {
                (Some(worst), _) => {
                    let more = match problems.len() - 1 {
                        0 => String::new(),
                        more => format!(" (+{more} more in juju debug-log)"),
                    };
                    return Status::new(
                        state,
                        join(&format!("{serving} of {count} serve; "), &worst.to_string(), &more),
                    );
                }
                (None, Some(idle)) => format!("{serving} of {count} serve; {}", idle.message),
                (None, None) => {
                    let names: Vec<&str> = many.iter().map(|m| m.model.as_str()).collect();
                    format!("{count} models serve: {}", names.join(", "))
                }
            }
        }
    };
    match messages::unmanaged_summary(input).filter(|_| state == State::Active) {
        Some(unmanaged) => Status::new(state, join("", &message, &unmanaged)),
        None => Status::new(state, cut(&message)),
    }
}

/// What `juju status` shows as the application's version: of one model its own, of several how many they are.
fn version(input: &StatusInput, models: &[ModelStatus], problems: &[Problem]) -> Option<String> {
    let of_all = |serving: &[&PlannedModel]| match serving {
        [] => None,
        [one] => Some(one.model.version()),
        several => Some(format!("{} models", several.len())),
    };
    let serves = |planned: &&PlannedModel| {
        models
            .iter()
            .any(|model| model.serves && model.model == planned.model.name)
    };
    let serving: Vec<&PlannedModel> = input.plan.models.iter().filter(serves).collect();
    problems.is_empty().then(|| of_all(&serving)).flatten()
}

/// Head and tail whole, what is between them cut.
fn join(head: &str, text: &str, tail: &str) -> String {
    let room = LONGEST_MESSAGE.saturating_sub(head.chars().count() + tail.chars().count());
    format!("{head}{}{tail}", cut_to(text, room))
}

/// A message with something behind it that must be there whole.
#[must_use]
pub fn with_tail(message: &str, tail: &str) -> String {
    join("", message, tail)
}

/// A message as a status takes it: one line, and no longer than such a line.
#[must_use]
pub fn cut(text: &str) -> String {
    cut_to(text, LONGEST_MESSAGE)
}

/// Taken from the middle: a message begins with what it is of and ends with what to type.
fn cut_to(text: &str, limit: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let length = line.chars().count();
    if length <= limit {
        return line;
    }
    let tail = limit * 2 / 5;
    let head = limit.saturating_sub(tail + 1);
    let start: String = line.chars().take(head).collect();
    let end: String = line.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

/// A model whose options are faulty: what it had goes on. The fault itself is told once, by the options.
fn frozen(input: &StatusInput, name: &str) -> ModelStatus {
    let before = if input.observed.seldon_deployment(name).is_some() {
        "what served before goes on"
    } else {
        "nothing of it is there yet"
    };
    ModelStatus {
        model: name.to_owned(),
        state: State::Blocked,
        serves: false,
        message: format!("{name} is faulty; {before}"),
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
        None if planned.is_stopped() => format!("{} is stopped on purpose (replicas=0)", model.name),
        None => serves(input, planned),
    };
    ModelStatus {
        model: model.name.clone(),
        state: problem.as_ref().map_or(State::Active, |problem| problem.state),
        serves: problem.is_none() && !planned.is_stopped(),
        message,
        problem,
        path: Some(model.prefix.to_string()),
        source: Some(model.serves()),
        last: planned.last.clone(),
    }
}

fn serves(input: &StatusInput, planned: &PlannedModel) -> String {
    let model = &planned.model;
    let gateway = planned.gateway.as_ref();
    let listeners = gateway.and_then(|gateway| input.observed.gateways.get(gateway));
    let by = if listeners.is_some_and(Listeners::https_only) {
        ", by https only"
    } else {
        ""
    };
    let omitted = planned.omitted.map(|what| format!(", {what}")).unwrap_or_default();
    format!(
        "{} serves {} at {}{by}{omitted}",
        model.name,
        model.serves(),
        model.prefix
    )
}

/// The first thing that keeps a model from serving what was asked; what a person must mend before what heals.
fn problem(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let name = &planned.model.name;
    if let Some(conflict) = input.changes.conflicts.get(name) {
        return Some(Problem::blocked(messages::conflict(input, &planned.model, conflict)));
    }
    if let Some(error) = input.rejected.get(name) {
        return Some(messages::api_error(input.application, input.namespace, error).of_model(name));
    }
    let pods = not_ready(input, planned);
    let route = no_route(input, planned);
    let due = input.changes.has_pending(name).then(|| {
        let who = if input.wrote { "this unit" } else { "the leader" };
        Problem::waiting(format!("{name} is not yet as asked: {who} has still to apply it"))
    });
    let unsupported = planned.unsupported.first();
    let unsupported = unsupported.map(|unsupported| messages::unsupported(input, &planned.model, *unsupported));
    // Among equals what lies nearer to the operator comes first.
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
    .reduce(|one, other| if other.state > one.state { other } else { one })
}

/// Why no request gets to the model, its pods aside.
pub(crate) fn no_route(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let gateway = planned.gateway.as_ref();
    let listeners = gateway.and_then(|gateway| input.observed.gateways.get(gateway));
    if let (Some(gateway), Some(listeners)) = (gateway, listeners)
        && !listeners.take(&planned.model.hosts)
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

/// What a gateway says of a model's HTTPRoute: whether it only leads to what is not there, as it does before Seldon has made the Service,
/// and what that is to an operator.
fn gateway_problem(input: &StatusInput, planned: &PlannedModel) -> Option<(bool, Problem)> {
    let gateway = planned.gateway.as_ref()?;
    let Route::HttpRoute(_) = &planned.route else {
        return None;
    };
    let name = &planned.model.name;
    // One that is not there yet is due, which is told by itself.
    let live = input.observed.http_route_in(input.namespace, &route_name(name))?;
    let condition = route_condition(live, gateway);
    let problem = messages::not_accepted(input, name, gateway, &condition)?;
    Some((matches!(condition, RouteCondition::UnresolvedRefs(_)), problem))
}

/// That a route leads to what is not there. While pods start they say more.
fn unresolved_refs(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    gateway_problem(input, planned)
        .filter(|(unresolved_refs, _)| *unresolved_refs)
        .map(|(_, problem)| problem)
}

/// Why the pods do not serve what was asked.
pub(crate) fn not_ready(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let model = &planned.model;
    let name = &model.name;
    match input.observed.seldon_deployment(name) {
        None => return Some(Problem::waiting(format!("{name} is not there yet"))),
        Some(object) if object.metadata.deletion_timestamp.is_some() => {
            let text = format!("somebody is deleting {name}; it is made anew once it is gone");
            return Some(Problem::waiting(text));
        }
        Some(_) => {}
    }
    if readiness::is_ready(planned, input.observed) {
        return None;
    }
    let deployments: Vec<&Deployment> = input.observed.deployments_of(name).collect();
    let old_serves = deployments.iter().any(|deployment| readiness::is_available(deployment));
    if let Some(cause) = pod_failures::find(input, planned, &deployments) {
        let meanwhile = if old_serves { "; what served before goes on" } else { "" };
        return Some(Problem::blocked(format!("{cause}{meanwhile}")));
    }
    let late = planned
        .predictors
        .iter()
        .find(|predictor| !readiness::predictor_is_rolled_out(planned, predictor, input.observed))
        // The model's own is told of as the model.
        .filter(|late| planned.predictors.first().is_some_and(|first| first.name != late.name));
    if let (Some(late), true) = (late, old_serves) {
        let who = messages::predictor_prefix(planned, &late.name);
        let what = if readiness::answers(planned, late, input.observed) {
            "is changing over"
        } else {
            "is starting, and gets no requests until it answers"
        };
        return Some(Problem::waiting(format!("{who} {what}")));
    }
    let text = if deployments.is_empty() && input.observed.state(name).state.is_empty() {
        format!("{name}: Seldon Core has not taken it up yet; if this stays, look at juju status seldon-core")
    } else if planned.is_stopped() {
        format!("{name} is being stopped (replicas=0)")
    } else if old_serves {
        format!("{name} is changing over to {}", model.serves())
    } else {
        format!("{name} is starting {}", model.serves())
    };
    Some(Problem::waiting(text))
}

/// That nobody scales a model which KEDA is to scale: where Seldon runs without KEDA it says nothing of it, and makes one pod.
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
#[must_use]
pub fn needs_pods(plan: &Plan, observed: &Observed) -> bool {
    !observed.deployments.is_empty()
        && plan
            .models
            .iter()
            .any(|planned| !readiness::is_ready(planned, observed))
}

#[cfg(test)]
mod tests;
