//! One hook: read, observe, plan, compare, apply, observe again, report. And nothing else.

mod apply;
pub mod remove;
pub mod secrets;
pub mod snapshot;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use crate::api_error::ApiError;
use crate::changes;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::plan::readiness;
use crate::plan::served::Due;
use crate::status::{ModelStatus, Report};
use juju_hooks::{HookContext, HookTools, Status, ToolError};

use secrets::DueReads;
use snapshot::{Expected, GatewayAnswers, Snapshot};

/// Between two questions to a gateway that does not serve what was written yet.
const ASK_PAUSE: Duration = Duration::from_millis(200);

pub struct Outcome {
    pub report: Report,
    /// The outcome of another hook right after this one.
    pub expected: Expected,
    /// Whether this unit leads, if that was checked.
    pub leads: Option<bool>,
    pub rejected: Vec<ApiError>,
    /// `None` if the cluster could not be observed.
    pub snapshot: Option<Snapshot>,
}

/// Observes, applies the changes if this unit leads, and reports, also what the API server rejected. `before` is the unit's status.
/// `ask` gets what gateways serve of what is due.
pub async fn run(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
    before: Option<&Status>,
    ask: impl AsyncFn(&Snapshot, Due) -> GatewayAnswers,
) -> Result<Outcome, ToolError> {
    let due = &DueReads::new(context, inputs, before);
    let unobserved = |inputs, error, leads| unobserved(tools, context, inputs, due, error, leads);
    let mut snapshot = match secrets::snapshot(tools, context, inputs, due).await? {
        Ok(snapshot) => snapshot,
        Err(error) => return unobserved(inputs, error, None),
    };
    if let Err(error) = snapshot
        .set_answers(ask(&snapshot, Due::after(before)).await, inputs)
        .await
    {
        return unobserved(inputs, error, None);
    }
    // An earlier hook may have ended, or been killed, before what these wait for.
    let is_pending = !snapshot.changes.is_empty() || !snapshot.changes.withheld.is_empty() || snapshot.awaits_access();
    let leads = (is_pending || inputs.is_monitored())
        .then(|| tools.is_leader())
        .transpose()?;
    let mut writes = Writes::default();
    if leads == Some(true)
        && is_pending
        && let Err(error) = writes.write(&mut snapshot, inputs, context, &ask).await
    {
        return unobserved(inputs, error, leads);
    }
    let Writes {
        rejected,
        wrote,
        wrote_route,
        ..
    } = writes;
    if wrote_route && let Err(error) = await_served(&mut snapshot, inputs, &ask).await {
        return unobserved(inputs, error, leads);
    }
    snapshot.list_pods_if_unready().await;
    let (mut report, expected) = (snapshot.report(inputs, &rejected, wrote), snapshot.expected(inputs));
    due.remember(inputs, Some(&snapshot), &mut report);
    secrets::forget(inputs, &snapshot);
    Ok(Outcome {
        report,
        expected,
        leads,
        rejected: rejected.into_values().collect(),
        snapshot: Some(snapshot),
    })
}

/// The writes of a hook, in up to three rounds with a pause between them.
#[derive(Default)]
struct Writes {
    /// By model, of the last round: what was rejected before, it tries again.
    rejected: BTreeMap<String, ApiError>,
    wrote: bool,
    wrote_route: bool,
    /// Whether access policies wait for a route to be gone.
    withholds: bool,
}

impl Writes {
    async fn write(
        &mut self,
        snapshot: &mut Snapshot,
        inputs: &Inputs,
        context: &HookContext,
        ask: impl AsyncFn(&Snapshot, Due) -> GatewayAnswers,
    ) -> Result<(), ApiError> {
        self.round(snapshot, inputs, context).await?;
        // A route is applied once its gateway has the access policies for it.
        if snapshot.awaits_access() {
            await_enforced(snapshot, inputs, &ask).await?;
            self.round(snapshot, inputs, context).await?;
        }
        // What no route leads to any more is deleted after every gateway pod has the new routes.
        let is_propagating = changes::awaits_propagation(&snapshot.plan, &snapshot.observed);
        if self.rejected.is_empty() && (is_propagating || self.withholds || snapshot.changes.removes_served) {
            tokio::time::sleep(readiness::GATEWAY_PROPAGATION).await;
            if is_propagating || self.withholds {
                snapshot.refresh(inputs).await?;
            }
            self.round(snapshot, inputs, context).await?;
        }
        Ok(())
    }

    async fn round(&mut self, snapshot: &mut Snapshot, inputs: &Inputs, context: &HookContext) -> Result<(), ApiError> {
        let changes = &snapshot.changes;
        self.withholds |= !changes.withheld.is_empty();
        if changes.is_empty() {
            return Ok(());
        }
        self.wrote |= changes.has_writes();
        self.wrote_route |= changes.writes_route();
        self.rejected = apply::apply(snapshot, context).await;
        snapshot.refresh(inputs).await?;
        self.withholds |= !snapshot.changes.withheld.is_empty();
        Ok(())
    }
}

/// Asks until the gateways have the access policies, or the time for that is over.
async fn await_enforced(
    snapshot: &mut Snapshot,
    inputs: &Inputs,
    ask: impl AsyncFn(&Snapshot, Due) -> GatewayAnswers,
) -> Result<(), ApiError> {
    // The clock of the API server counts whole seconds.
    let end = Instant::now() + readiness::GATEWAY_PROPAGATION + Duration::from_secs(1);
    while snapshot.awaits_access() && Instant::now() < end {
        tokio::time::sleep(ASK_PAUSE).await;
        snapshot.observed.now = Some(Timestamp::now());
        let answers = ask(snapshot, Due::Changed).await;
        snapshot.observed.enforced = answers.enforced;
        snapshot.replan(inputs).await?;
    }
    Ok(())
}

/// Asks until the gateways serve what was written, or the time for that is over.
async fn await_served(
    snapshot: &mut Snapshot,
    inputs: &Inputs,
    ask: impl AsyncFn(&Snapshot, Due) -> GatewayAnswers,
) -> Result<(), ApiError> {
    let end = Instant::now() + readiness::GATEWAY_PROPAGATION;
    loop {
        snapshot.set_answers(ask(snapshot, Due::Changed).await, inputs).await?;
        if snapshot.retry_after().is_none() || Instant::now() >= end {
            return Ok(());
        }
        tokio::time::sleep(ASK_PAUSE).await;
    }
}

/// The outcome of a hook in which the cluster could not be observed.
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
        snapshot: None,
    })
}

/// The status of every model. Nothing is changed.
pub async fn model_statuses(
    tools: HookTools,
    context: &HookContext,
    identity: &Identity,
) -> Result<(Vec<ModelStatus>, Status), ToolError> {
    model_statuses_of(tools, context, &mut Inputs::read(tools, context, identity)?).await
}

/// The same of inputs that were read already.
pub async fn model_statuses_of(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
) -> Result<(Vec<ModelStatus>, Status), ToolError> {
    let report = match secrets::snapshot_for_action(tools, context, inputs).await? {
        Ok(mut snapshot) => {
            snapshot.list_pods_if_unready().await;
            // What the API server rejected in a hook, it rejects again.
            let rejected = snapshot.dry_run().await;
            snapshot.report(inputs, &rejected, false)
        }
        Err(error) => {
            inputs.read_cause_of(tools, context, &error)?;
            snapshot::unobserved(inputs, &error)
        }
    };
    Ok((report.models, report.status))
}
