//! One hook: look, decide, write, look again, say. And nothing else.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use tracing::warn;

use crate::api_error::ApiError;
use crate::asked::Asked;
use crate::changes;
use crate::identity::Identity;
use crate::judge::{self, Standing, Verdict};
use crate::juju::{HookTools, Invocation, State, Status, ToolError};
use crate::look::{self, Outlook};
use crate::observability;
use crate::plan::readiness;
use crate::secrets::{self, Due};
use crate::security::SecurityEvent;
use crate::traces;
use crate::watch;
use crate::write;

/// Reconciles and tells the outcome to Juju and to the watcher.
///
/// # Errors
/// When the status cannot be told.
pub async fn run(tools: HookTools, invocation: &Invocation, identity: &Identity) -> Result<(), ToolError> {
    // While it is held, the watcher keeps still.
    let line = watch::take(invocation);
    let asked = Asked::read(tools, invocation, identity);
    // Where it cannot be read, it is set once more rather than not at all.
    let before = tools.status().unwrap_or_default();
    let outcome = match asked {
        Ok(asked) => with(tools, invocation, asked, before.as_ref()).await,
        Err(error) => Err(error),
    };
    let verdict = match &outcome {
        Ok((_, outcome)) => &outcome.verdict,
        Err(error) => &look::whole(judge::not_asked(error)),
    };
    let is_news = tell(tools, verdict, before.as_ref()).await?;
    if let Ok((asked, outcome)) = outcome {
        if is_news {
            let refused = outcome.refused.iter().filter_map(SecurityEvent::of);
            let refused = refused.chain(outcome.foreign);
            for event in refused.chain(SecurityEvent::of_secrets(&asked.told)) {
                event.tell(tools, invocation);
            }
        }
        watch::inform(tools, invocation, line, asked, outcome.outlook, outcome.leads);
    }
    Ok(())
}

async fn with(
    tools: HookTools,
    invocation: &Invocation,
    mut asked: Asked,
    before: Option<&Status>,
) -> Result<(Asked, Outcome), ToolError> {
    traces::ask_for(tools, invocation, &asked.told.tracing)?;
    let due = Due::new(invocation, &asked, before);
    let outcome = reconcile(tools, invocation, &mut asked, &due).await?;
    Ok((asked, outcome))
}

/// Sets the status if it is a new one, and logs what led to it. Whether it is.
async fn tell(tools: HookTools, verdict: &Verdict, before: Option<&Status>) -> Result<bool, ToolError> {
    if before == Some(&verdict.status) {
        return Ok(false);
    }
    if verdict.status.state == State::Active {
        // Whoever reads that a model serves may ask it at once.
        tokio::time::sleep(readiness::unheard(verdict.wrote, verdict.changed, Timestamp::now())).await;
    }
    let lines: Vec<&str> = verdict
        .troubles
        .iter()
        .chain(&verdict.notes)
        .map(String::as_str)
        .collect();
    if !lines.is_empty() {
        warn!("{}", lines.join("\n"));
    }
    tools.set_status(&verdict.status)?;
    if let Some(version) = &verdict.version
        && let Err(error) = tools.set_version(version)
    {
        warn!("the version of what serves could not be told: {error}");
    }
    Ok(true)
}

/// What came of a hook.
struct Outcome {
    verdict: Verdict,
    /// What another hook would come to right behind it.
    outlook: Outlook,
    /// Whether this unit leads, where that had to be found out.
    leads: Option<bool>,
    /// What the cluster refused.
    refused: Vec<ApiError>,
    /// The objects of others that were in the way, or pass for ours.
    foreign: Vec<SecurityEvent>,
}

/// Looks, writes what has to be written if this unit leads, and draws the verdict. What the cluster refuses is in it.
///
/// # Errors
/// When a hook tool fails.
async fn reconcile(
    tools: HookTools,
    invocation: &Invocation,
    asked: &mut Asked,
    due: &Due,
) -> Result<Outcome, ToolError> {
    let unseen = |asked, refusal, leads| unseen(tools, invocation, asked, due, refusal, leads);
    let mut look = match secrets::look(tools, invocation, asked, due).await? {
        Ok(look) => look,
        Err(refusal) => return unseen(asked, refusal, None),
    };
    let leads = (!look.changes.is_empty() || observability::is_related(asked))
        .then(|| tools.is_leader())
        .transpose()?;
    let mut refused = BTreeMap::new();
    let mut wrote = false;
    if leads == Some(true) && !look.changes.is_empty() {
        wrote = look.changes.change_something();
        refused = write::write(&look, invocation).await;
        if let Err(refusal) = look.again(asked).await {
            return unseen(asked, refusal, leads);
        }
        // What requests no longer go to is taken away once the gateway has surely heard of that.
        let unheard = changes::is_unheard(&look.plan, &look.observed, &look.identity);
        if refused.is_empty() && (unheard || look.changes.take_away()) {
            tokio::time::sleep(readiness::HEARD).await;
            if unheard && let Err(refusal) = look.again(asked).await {
                return unseen(asked, refusal, leads);
            }
            if !look.changes.is_empty() {
                refused = write::write(&look, invocation).await;
                if let Err(refusal) = look.again(asked).await {
                    return unseen(asked, refusal, leads);
                }
            }
        }
    }
    look.deeper().await;
    let (mut verdict, outlook) = (look.verdict(asked, &refused, wrote), look.outlook(asked));
    due.remember(asked, Some(&look), &mut verdict);
    if leads == Some(true) {
        observability::tell(tools, invocation, asked, &mut look).await?;
    }
    secrets::forget(asked, &look);
    Ok(Outcome {
        verdict,
        outlook,
        leads,
        refused: refused.into_values().collect(),
        foreign: SecurityEvent::of_foreign(&look.changes, &look.identity.namespace),
    })
}

/// What came of a hook that the cluster could not be looked at in.
fn unseen(
    tools: HookTools,
    invocation: &Invocation,
    asked: &mut Asked,
    due: &Due,
    refusal: ApiError,
    leads: Option<bool>,
) -> Result<Outcome, ToolError> {
    asked.read_cause_of(tools, invocation, &refusal)?;
    let mut verdict = look::unseen(asked, &refusal);
    let outlook = Outlook::blind(&verdict);
    due.remember(asked, None, &mut verdict);
    Ok(Outcome {
        outlook,
        verdict,
        leads,
        refused: vec![refusal],
        foreign: Vec::new(),
    })
}

/// How every model stands, without changing anything.
///
/// # Errors
/// When a hook tool fails.
pub async fn standings(
    tools: HookTools,
    invocation: &Invocation,
    identity: &Identity,
) -> Result<(Vec<Standing>, Status), ToolError> {
    standings_of(tools, invocation, &mut Asked::read(tools, invocation, identity)?).await
}

/// The same of what was asked already.
///
/// # Errors
/// When a hook tool fails.
pub async fn standings_of(
    tools: HookTools,
    invocation: &Invocation,
    asked: &mut Asked,
) -> Result<(Vec<Standing>, Status), ToolError> {
    let verdict = match secrets::look_now(tools, invocation, asked).await? {
        Ok(mut look) => {
            look.deeper().await;
            look.verdict(asked, &BTreeMap::new(), false)
        }
        Err(refusal) => {
            asked.read_cause_of(tools, invocation, &refusal)?;
            look::unseen(asked, &refusal)
        }
    };
    Ok((verdict.models, verdict.status))
}
