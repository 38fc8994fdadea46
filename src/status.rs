//! Plan and observation to a status. Pure: [`model`] finds what keeps a model from serving, [`problem`] is that as data, and
//! [`messages`] has its text.
//!
//! Active: every model serves what is configured. Blocked: action required, and the message has the command. Waiting: recovers on
//! its own.

mod fix;
pub mod line;
pub mod message;
pub(crate) mod messages;
pub(crate) mod model;
pub(crate) mod pod_failures;
mod privileges;
pub mod problem;
pub(crate) mod stalled;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use crate::api_error::ApiError;
use crate::changes::{ChangeSet, Delete};
use crate::config::ConfigError;
use crate::gateway::listeners::Listeners;
use crate::inputs::gateway::RelatedGateway;
use crate::observed::Observed;
use crate::plan::readiness;
use crate::plan::types::OptionMap;
use crate::plan::{Plan, PlannedModel};
use crate::shell::{Commands, JujuCli};
use juju_hooks::{State, Status};

pub use line::Line;
pub use message::Message;
pub use messages::{api_error, competing_route, is_tool_failure, removal_incomplete, rights, unmanaged};
pub use model::needs_pods;
pub use problem::{ApplicationProblem, Problem};

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

    /// Whether what was deployed of a model before answers requests.
    pub(crate) fn previous_serves(&self, planned: &PlannedModel) -> bool {
        let mut deployments = self.observed.deployments_of(&planned.model.name);
        deployments.any(readiness::deployment_is_available)
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
    pub problem: Option<Message>,
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
    pub problems: Vec<Message>,
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
    pub fn without_models(problems: &[ApplicationProblem], commands: &Commands) -> Self {
        let of_application = |problem| messages::of_application(commands, problem);
        Self::from_messages(problems.iter().map(of_application).collect(), commands)
    }

    pub(crate) fn from_messages(problems: Vec<Message>, commands: &Commands) -> Self {
        let worst = problems.first();
        let line = worst.map_or_else(Line::default, |worst| worst.line(None, commands));
        Self {
            status: Status::new(worst.map_or(State::Active, |worst| worst.state), line.to_string()),
            line,
            models: Vec::new(),
            problems,
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
    let commands = &input.commands();
    let of_application = |problem| messages::of_application(commands, &problem);
    let errors = input.errors.iter().cloned().map(ApplicationProblem::Config);
    let mut problems: Vec<Message> = errors.map(of_application).collect();
    problems.extend(
        models
            .iter()
            .filter(|model| model.state != State::Active)
            .filter(|model| !input.plan.frozen.contains(&model.model))
            .filter_map(|model| model.problem.clone()),
    );
    problems.extend(retired(input).into_iter().map(of_application));
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
            .chain(messages::competing(&input.changes.competing))
            .chain(input.plan.models.iter().filter_map(messages::left_out))
            .collect(),
        version: version(input, &models, &problems),
        problems,
        models,
        wrote: input.wrote,
        changed: readiness::last_change(input.observed),
    }
}

/// Models that are no longer configured and still exist.
fn retired(input: &StatusInput) -> Vec<ApplicationProblem> {
    // A planned model whose route is deleted has a problem of its own.
    let models = |deletes: &[&[Delete]]| -> BTreeSet<String> {
        let models = deletes.iter().copied().flatten().map(|delete| delete.model.clone());
        models.filter(|model| input.plan.model(model).is_none()).collect()
    };
    let not_deleted = models(&[&input.changes.deletes, &input.changes.withheld]).into_iter();
    let kept = models(&[&input.changes.deferred]).into_iter();
    not_deleted
        .map(|model| ApplicationProblem::NotDeleted { model })
        .chain(kept.map(|model| ApplicationProblem::KeptUntilReplaced { model }))
        .collect()
}

/// The worst problem, and how many models serve where there are several.
fn line(input: &StatusInput, models: &[ModelStatus], problems: &[Message]) -> Line {
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
    let note = messages::unmanaged_summary(&input.changes.unmanaged, &summary, commands)
        .or_else(|| messages::competing_summary(&input.changes.competing, &summary, commands));
    if let Some(note) = note {
        return note.line(count.filter(|_| idle.is_some()).as_deref(), commands);
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
fn version(input: &StatusInput, models: &[ModelStatus], problems: &[Message]) -> Option<String> {
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
    let problem = model::problem(input, planned).map(|problem| messages::of_model(input, planned, &problem));
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
fn serving(input: &StatusInput, planned: &PlannedModel) -> Message {
    let model = &planned.model;
    let serves = format!("{} serves {}", model.name, model.serves());
    let mut privileges = vec![""];
    privileges.extend(privileges::privileges(&planned.deployment, input.application));
    let privileges = privileges.join("; ");
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
    Message::active(format!("{serves} at {}{by}{privileges}", model.prefix))
}

#[cfg(test)]
mod tests;
