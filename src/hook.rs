//! Which path an event takes: all go through [`reconcile`](crate::reconcile), but for removal and actions.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use tracing::warn;

use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::integrations::security_log::SecurityEvent;
use crate::plan::readiness;
use crate::reconcile::snapshot::{Snapshot, tool_failed};
use crate::reconcile::{self, Outcome};
use crate::status::Report;
use crate::{actions, inputs, integrations, watcher};
use juju_hooks::{Event, HookContext, HookTools, State, Status, ToolError};

/// Handles the event. It fails only where Juju should retry: the status could not be set, or the removal not requested.
pub async fn run(context: &HookContext) -> Result<ExitCode> {
    let tools = HookTools;
    let identity = Identity::read(context);
    match &context.event {
        // `stop` also fires on pod restarts; leave models running.
        Event::Stop => watcher::end(context),
        Event::Remove => {
            watcher::end(context);
            return Ok(reconcile::remove::run(tools, context, &identity).await);
        }
        Event::Action(name) => {
            SecurityEvent::Ran { action: name.clone() }.log(tools, context);
            let action = actions::run(tools, context, &identity, name).await;
            action.with_context(|| format!("action {name} has no result"))?;
        }
        Event::Hook(_) | Event::RelationBroken(_) | Event::SecretChanged(_) => {
            let reconciled = run_reconcile(tools, context, &identity).await;
            reconciled.with_context(|| format!("the status of {} was not set", context.unit))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reconciles, and reports the outcome to Juju, to related charms and to the watcher.
async fn run_reconcile(tools: HookTools, context: &HookContext, identity: &Identity) -> Result<(), ToolError> {
    // The watcher does nothing while a hook is connected to it.
    let socket = watcher::connect(context);
    let inputs = Inputs::read(tools, context, identity);
    // If the status cannot be read, it is set in any case.
    let before = tools.status_get().unwrap_or_default();
    let outcome = match inputs {
        Ok(inputs) => reconcile_and_publish(tools, context, inputs, before.as_ref()).await,
        Err(error) => Err(error),
    };
    let report = match &outcome {
        Ok((_, outcome)) => &outcome.report,
        Err(error) => &tool_failed(context, identity, error),
    };
    let is_new = set_status(tools, report, before.as_ref()).await?;
    if let Ok((inputs, outcome)) = outcome {
        if is_new {
            for event in security_events(&inputs, &outcome) {
                event.log(tools, context);
            }
        }
        watcher::notify(tools, context, socket, inputs, outcome.expected, outcome.leads);
    }
    Ok(())
}

async fn reconcile_and_publish(
    tools: HookTools,
    context: &HookContext,
    mut inputs: Inputs,
    before: Option<&Status>,
) -> Result<(Inputs, Outcome), ToolError> {
    inputs::tracing::request_receivers(tools, context, &inputs.juju.tracing)?;
    let gateways = actions::served::Gateways::default();
    let ask = async |snapshot: &Snapshot, due| gateways.ask(snapshot, due).await;
    let mut outcome = reconcile::run(tools, context, &mut inputs, before, ask).await?;
    integrations::publish_unit(tools, context, &inputs)?;
    if outcome.leads == Some(true)
        && let Some(snapshot) = &mut outcome.snapshot
    {
        integrations::publish(tools, context, &inputs, snapshot).await?;
    }
    Ok((inputs, outcome))
}

/// Sets the status if it changed, and logs its problems whole. Returns whether it did.
async fn set_status(tools: HookTools, report: &Report, before: Option<&Status>) -> Result<bool, ToolError> {
    if before == Some(&report.status) {
        return Ok(false);
    }
    if report.status.state == State::Active {
        // A client may send a request as soon as the status is active.
        tokio::time::sleep(readiness::propagation_remaining(
            report.wrote,
            report.changed,
            Timestamp::now(),
        ))
        .await;
    }
    let problems = report.problems.iter().map(ToString::to_string);
    let lines: Vec<String> = problems.chain(report.notes.iter().cloned()).collect();
    if !lines.is_empty() {
        warn!("{}", lines.join("\n"));
    }
    tools.status_set(&report.status)?;
    if let Some(version) = &report.version
        && let Err(error) = tools.application_version_set(version)
    {
        warn!("failed to set the application version: {error}");
    }
    Ok(true)
}

fn security_events(inputs: &Inputs, outcome: &Outcome) -> Vec<SecurityEvent> {
    let rejected = outcome.rejected.iter().filter_map(SecurityEvent::from_api_error);
    let snapshot = outcome.snapshot.iter();
    let conflicts =
        snapshot.flat_map(|snapshot| SecurityEvent::from_conflicts(&snapshot.changes, &snapshot.identity.namespace));
    rejected
        .chain(conflicts)
        .chain(SecurityEvent::from_secrets(&inputs.juju))
        .collect()
}
