//! One hook: look, decide, write, look again, say. And nothing else.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use tracing::warn;

use crate::api_error::ApiError;
use crate::changes;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::juju::{HookContext, HookTools, State, Status, ToolError};
use crate::observability;
use crate::plan::readiness;
use crate::secrets::{self, DueReads};
use crate::security::SecurityEvent;
use crate::snapshot::{self, Expected};
use crate::status::{self, ModelStatus, Report};
use crate::traces;
use crate::watcher;
use crate::write;

/// Reconciles and tells the outcome to Juju and to the watcher.
///
/// # Errors
/// When the status cannot be told.
pub async fn run(tools: HookTools, context: &HookContext, identity: &Identity) -> Result<(), ToolError> {
    // While it is held, the watcher keeps still.
    let socket = watcher::connect(context);
    let inputs = Inputs::read(tools, context, identity);
    // Where it cannot be read, it is set once more rather than not at all.
    let before = tools.status_get().unwrap_or_default();
    let outcome = match inputs {
        Ok(inputs) => with(tools, context, inputs, before.as_ref()).await,
        Err(error) => Err(error),
    };
    let report = match &outcome {
        Ok((_, outcome)) => &outcome.report,
        Err(error) => &snapshot::report_of(status::tool_failure(error)),
    };
    let is_news = set_status(tools, report, before.as_ref()).await?;
    if let Ok((inputs, outcome)) = outcome {
        if is_news {
            let rejected = outcome.rejected.iter().filter_map(SecurityEvent::from_api_error);
            let rejected = rejected.chain(outcome.foreign);
            for event in rejected.chain(SecurityEvent::from_secrets(&inputs.juju)) {
                event.log(tools, context);
            }
        }
        watcher::notify(tools, context, socket, inputs, outcome.expected, outcome.leads);
    }
    Ok(())
}

async fn with(
    tools: HookTools,
    context: &HookContext,
    mut inputs: Inputs,
    before: Option<&Status>,
) -> Result<(Inputs, Outcome), ToolError> {
    traces::request_receivers(tools, context, &inputs.juju.tracing)?;
    let due = DueReads::new(context, &inputs, before);
    let outcome = reconcile(tools, context, &mut inputs, &due).await?;
    Ok((inputs, outcome))
}

/// Sets the status if it is a new one, and logs what led to it. Whether it is.
async fn set_status(tools: HookTools, report: &Report, before: Option<&Status>) -> Result<bool, ToolError> {
    if before == Some(&report.status) {
        return Ok(false);
    }
    if report.status.state == State::Active {
        // Whoever reads that a model serves may ask it at once.
        tokio::time::sleep(readiness::propagation_remaining(
            report.wrote,
            report.changed,
            Timestamp::now(),
        ))
        .await;
    }
    let lines: Vec<&str> = report
        .problems
        .iter()
        .chain(&report.notes)
        .map(String::as_str)
        .collect();
    if !lines.is_empty() {
        warn!("{}", lines.join("\n"));
    }
    tools.status_set(&report.status)?;
    if let Some(version) = &report.version
        && let Err(error) = tools.application_version_set(version)
    {
        warn!("the version of what serves could not be told: {error}");
    }
    Ok(true)
}

/// What came of a hook.
struct Outcome {
    report: Report,
    /// What another hook would come to right behind it.
    expected: Expected,
    /// Whether this unit leads, where that had to be found out.
    leads: Option<bool>,
    /// What the cluster refused.
    rejected: Vec<ApiError>,
    /// The objects of others that were in the way, or pass for ours.
    foreign: Vec<SecurityEvent>,
}

/// Looks, writes what has to be written if this unit leads, and draws the verdict. What the cluster refuses is in it.
///
/// # Errors
/// When a hook tool fails.
async fn reconcile(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
    due: &DueReads,
) -> Result<Outcome, ToolError> {
    let unobserved = |inputs, error, leads| unobserved(tools, context, inputs, due, error, leads);
    let mut snapshot = match secrets::snapshot(tools, context, inputs, due).await? {
        Ok(snapshot) => snapshot,
        Err(error) => return unobserved(inputs, error, None),
    };
    let leads = (!snapshot.changes.is_empty() || observability::is_related(inputs))
        .then(|| tools.is_leader())
        .transpose()?;
    let mut rejected = BTreeMap::new();
    let mut wrote = false;
    if leads == Some(true) && !snapshot.changes.is_empty() {
        wrote = snapshot.changes.has_writes();
        rejected = write::apply(&snapshot, context).await;
        if let Err(error) = snapshot.refresh(inputs).await {
            return unobserved(inputs, error, leads);
        }
        // What requests no longer go to is taken away once the gateway has surely heard of that.
        let unheard = changes::awaits_propagation(&snapshot.plan, &snapshot.observed, &snapshot.identity);
        if rejected.is_empty() && (unheard || snapshot.changes.has_deletes()) {
            tokio::time::sleep(readiness::GATEWAY_PROPAGATION).await;
            if unheard && let Err(error) = snapshot.refresh(inputs).await {
                return unobserved(inputs, error, leads);
            }
            if !snapshot.changes.is_empty() {
                rejected = write::apply(&snapshot, context).await;
                if let Err(error) = snapshot.refresh(inputs).await {
                    return unobserved(inputs, error, leads);
                }
            }
        }
    }
    snapshot.list_pods_if_unready().await;
    let (mut report, expected) = (snapshot.report(inputs, &rejected, wrote), snapshot.expected(inputs));
    due.remember(inputs, Some(&snapshot), &mut report);
    if leads == Some(true) {
        observability::publish(tools, context, inputs, &mut snapshot).await?;
    }
    secrets::forget(inputs, &snapshot);
    Ok(Outcome {
        report,
        expected,
        leads,
        rejected: rejected.into_values().collect(),
        foreign: SecurityEvent::from_conflicts(&snapshot.changes, &snapshot.identity.namespace),
    })
}

/// What came of a hook that the cluster could not be looked at in.
fn unobserved(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
    due: &DueReads,
    error: ApiError,
    leads: Option<bool>,
) -> Result<Outcome, ToolError> {
    inputs.read_cause_of(tools, context, &error)?;
    let mut report = snapshot::unobserved(inputs, &error);
    let expected = Expected::unreachable(&report);
    due.remember(inputs, None, &mut report);
    Ok(Outcome {
        expected,
        report,
        leads,
        rejected: vec![error],
        foreign: Vec::new(),
    })
}

/// How every model stands, without changing anything.
///
/// # Errors
/// When a hook tool fails.
pub async fn model_statuses(
    tools: HookTools,
    context: &HookContext,
    identity: &Identity,
) -> Result<(Vec<ModelStatus>, Status), ToolError> {
    model_statuses_of(tools, context, &mut Inputs::read(tools, context, identity)?).await
}

/// The same of what was asked already.
///
/// # Errors
/// When a hook tool fails.
pub async fn model_statuses_of(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
) -> Result<(Vec<ModelStatus>, Status), ToolError> {
    let report = match secrets::snapshot_for_action(tools, context, inputs).await? {
        Ok(mut snapshot) => {
            snapshot.list_pods_if_unready().await;
            snapshot.report(inputs, &BTreeMap::new(), false)
        }
        Err(error) => {
            inputs.read_cause_of(tools, context, &error)?;
            snapshot::unobserved(inputs, &error)
        }
    };
    Ok((report.models, report.status))
}
