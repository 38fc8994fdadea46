//! One hook: look, decide, write, look again, say. And nothing else.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use tracing::{info, warn};

use crate::asked::Asked;
use crate::cluster::{Refusal, Right, rights};
use crate::judge::{self, Standing, Verdict};
use crate::juju::{HookTools, Invocation, State, Status, ToolError};
use crate::look::{self, Look, Outlook};
use crate::ready;
use crate::steps::Kind;
use crate::traces;
use crate::watch::{self, Line};

/// Reconciles and tells the outcome to Juju and to the watcher.
///
/// # Errors
/// When the status cannot be told.
pub async fn run(tools: HookTools, invocation: &Invocation) -> Result<(), ToolError> {
    // While it is held, the watcher keeps still.
    let line = Line::take(invocation);
    let outcome = asked(tools, invocation).await;
    let verdict = match &outcome {
        Ok((_, outcome)) => &outcome.verdict,
        Err(error) => &look::whole(judge::not_asked(error)),
    };
    tell(tools, verdict).await?;
    if let Ok((asked, outcome)) = outcome {
        watch::inform(tools, invocation, line, asked, outcome.outlook, outcome.leads);
    }
    Ok(())
}

async fn asked(tools: HookTools, invocation: &Invocation) -> Result<(Asked, Outcome), ToolError> {
    let asked = Asked::read(tools, invocation)?;
    traces::ask_for(tools, invocation, &asked.told.tracing)?;
    let outcome = reconcile(tools, invocation, &asked).await?;
    Ok((asked, outcome))
}

/// Sets the status if it is a new one, and logs what led to it.
async fn tell(tools: HookTools, verdict: &Verdict) -> Result<(), ToolError> {
    // Where it cannot be asked for, it is set once more rather than not at all.
    let before = tools.status().unwrap_or_default();
    if before.as_ref() == Some(&verdict.status) {
        return Ok(());
    }
    if verdict.status.state == State::Active {
        // Whoever reads that a model serves may ask it at once.
        tokio::time::sleep(ready::unheard(verdict.wrote, verdict.changed, Timestamp::now())).await;
    }
    if !verdict.troubles.is_empty() {
        warn!("{}", verdict.troubles.join("\n"));
    }
    tools.set_status(&verdict.status)
}

/// What came of a hook.
struct Outcome {
    verdict: Verdict,
    /// What another hook would come to right behind it.
    outlook: Outlook,
    /// Whether this unit leads, where that had to be found out.
    leads: Option<bool>,
}

impl Outcome {
    fn unseen(verdict: Verdict, leads: Option<bool>) -> Self {
        Self {
            outlook: Outlook::blind(&verdict),
            verdict,
            leads,
        }
    }
}

/// Looks, writes what has to be written if this unit leads, and draws the verdict. What the cluster refuses is in it.
///
/// # Errors
/// When a hook tool fails.
async fn reconcile(tools: HookTools, invocation: &Invocation, asked: &Asked) -> Result<Outcome, ToolError> {
    let unseen = |refusal: Refusal, leads| Ok(Outcome::unseen(look::unseen(invocation, asked, &refusal), leads));
    let mut look = match Look::first(invocation, asked).await {
        Ok(look) => look,
        Err(refusal) => return unseen(refusal, None),
    };
    let leads = (!look.steps.is_empty()).then(|| tools.is_leader()).transpose()?;
    let mut refused = BTreeMap::new();
    let mut wrote = false;
    if leads == Some(true) {
        wrote = look.steps.change_something();
        refused = write(&look).await;
        if let Err(refusal) = look.again(invocation, asked).await {
            return unseen(refusal, leads);
        }
        // What requests no longer go to is taken away once the gateway has surely heard of that.
        if refused.is_empty() && look.steps.take_away() {
            tokio::time::sleep(ready::HEARD).await;
            refused = write(&look).await;
            if let Err(refusal) = look.again(invocation, asked).await {
                return unseen(refusal, leads);
            }
        }
    }
    look.deeper().await;
    Ok(Outcome {
        verdict: look.verdict(asked, &refused, wrote),
        outlook: look.outlook(asked),
        leads,
    })
}

/// Takes the steps in their order. A model that is refused keeps no other from being served, and nothing is removed
/// unless all went well. Gives the refusals by model.
async fn write(look: &Look) -> BTreeMap<String, Refusal> {
    let mut refused = BTreeMap::new();
    // Asked before the first write, so that nothing is left half done.
    if let Err(refusal) = may_write(look).await {
        return for_all(look, &refusal);
    }
    for apply in &look.steps.applies {
        if refused.contains_key(&apply.model) {
            continue;
        }
        match look.cluster.apply(apply).await {
            Ok(()) => info!("applied {} {}: {}", apply.kind.word(), apply.name, apply.because),
            Err(refusal) if refusal.concerns_all() => {
                return for_all(look, &look.cluster.explain(refusal, writes_secrets(look)).await);
            }
            Err(refusal) => {
                refused.insert(apply.model.clone(), refusal);
            }
        }
    }
    if refused.is_empty() {
        delete(look).await;
    }
    refused
}

async fn may_write(look: &Look) -> Result<(), Refusal> {
    let writes = rights(writes_secrets(look)).filter(Right::writes);
    let missing = look.cluster.missing(writes).await?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::Forbidden {
        why: String::new(),
        missing,
    })
}

/// Whether a Secret is to be written, or one of ours was found.
fn writes_secrets(look: &Look) -> bool {
    let planned = look.plan.models.iter().any(|planned| !planned.secrets.is_empty());
    planned || !look.observed.secrets.is_empty()
}

fn for_all(look: &Look, refusal: &Refusal) -> BTreeMap<String, Refusal> {
    let models = look.plan.models.iter();
    models
        .map(|planned| (planned.model.name.clone(), refusal.clone()))
        .collect()
}

async fn delete(look: &Look) {
    let mut kept = BTreeSet::new();
    for delete in &look.steps.deletes {
        let (kind, name) = (delete.kind.word(), &delete.name);
        // A Secret does not go before the model that reads it.
        if delete.kind == Kind::Secret && kept.contains(&delete.model) {
            continue;
        }
        match look.cluster.delete(delete).await {
            Ok(()) => info!("deleted {kind} {name}: it is no longer asked for"),
            // It is looked for again at every hook.
            Err(refusal) => {
                warn!("{kind} {name} cannot be deleted: {refusal}");
                kept.insert(&delete.model);
            }
        }
    }
}

/// How every model stands, without changing anything.
///
/// # Errors
/// When a hook tool fails.
pub async fn standings(tools: HookTools, invocation: &Invocation) -> Result<(Vec<Standing>, Status), ToolError> {
    let asked = Asked::read(tools, invocation)?;
    let verdict = match Look::first(invocation, &asked).await {
        Ok(mut look) => {
            look.deeper().await;
            look.verdict(&asked, &BTreeMap::new(), false)
        }
        Err(refusal) => look::unseen(invocation, &asked, &refusal),
    };
    Ok((verdict.models, verdict.status))
}
