//! One hook: look, decide, write, look again, say. And nothing else.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::cluster::{Cluster, Refusal, Right, rights};
use crate::config::secret::Answers;
use crate::config::value::{SecretUri, Tracing};
use crate::config::{self, Config};
use crate::dispatch::identity;
use crate::judge::{self, Case, Standing, Verdict};
use crate::juju::{self, HookTools, Invocation, State, Status, ToolError, Unreadable};
use crate::observed::{Identity, Observed};
use crate::ready;
use crate::render::{self, Plan, RelatedGateway, Site};
use crate::steps::{self, Kind, Steps};
use crate::traces;

/// The endpoint that names the gateway.
const GATEWAY_INFO: &str = "gateway-info";
/// The endpoint that says that Juju deployed Seldon. Only its presence counts.
const SELDON_CORE: &str = "seldon-core";

/// Reconciles and tells Juju the outcome.
///
/// # Errors
/// When the status cannot be told.
pub async fn run(tools: HookTools, invocation: &Invocation) -> Result<(), ToolError> {
    let verdict = match reconcile(tools, invocation, Writes::Due).await {
        Ok(verdict) => verdict,
        Err(error) => from_tool(&error),
    };
    tell(tools, &verdict).await
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

fn from_tool(error: &ToolError) -> Verdict {
    whole(judge::not_asked(error))
}

/// A verdict on all of the application at once, for nothing could be seen of its models.
fn whole((state, text): (State, String)) -> Verdict {
    Verdict {
        status: Status::new(state, judge::cut(&text)),
        models: Vec::new(),
        troubles: vec![text],
        wrote: false,
        changed: None,
    }
}

/// Whether a look may end in writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Do what has to be done.
    Due,
    /// Only look.
    None,
}

/// What Juju asks for.
struct Asked {
    config: Config,
    gateway: RelatedGateway,
    tracing: Option<Tracing>,
}

impl Asked {
    fn read(tools: HookTools, invocation: &Invocation) -> Result<Self, ToolError> {
        let options = tools.config()?;
        let relations = juju::relations(tools, invocation, GATEWAY_INFO)?;
        let mut config = config::parse(&invocation.application, &options);
        let answers = secrets(tools, invocation, &config)?;
        config.take_in(&invocation.application, &identity(invocation).namespace, &answers);
        Ok(Self {
            config,
            gateway: RelatedGateway::read(&relations),
            tracing: traces::read(tools, invocation)?,
        })
    }

    /// Whether a model has a secret of Juju's.
    fn needs_secrets(&self) -> bool {
        self.config
            .models
            .iter()
            .any(|model| model.juju_secrets().next().is_some())
    }
}

/// Asks Juju for the secrets that models name. Every unit may: they are granted to the application.
fn secrets(tools: HookTools, invocation: &Invocation, config: &Config) -> Result<Answers, ToolError> {
    let without = invocation.version.as_ref().filter(|version| !version.has_secrets());
    let ask = |uri: SecretUri| {
        let answer = match without {
            Some(version) => Err(Unreadable::NoSecrets(version.clone())),
            None => tools.secret(&uri.to_string())?,
        };
        Ok((uri, answer))
    };
    config.juju_secrets().into_iter().map(ask).collect()
}

/// Looks, writes what has to be written if this unit leads, and draws the verdict.
///
/// # Errors
/// When a hook tool fails, so that it is not known what is asked for. What the cluster refuses is in the verdict.
pub async fn reconcile(tools: HookTools, invocation: &Invocation, writes: Writes) -> Result<Verdict, ToolError> {
    let asked = Asked::read(tools, invocation)?;
    let mut look = match Look::first(invocation, &asked).await {
        Ok(look) => look,
        Err(refusal) => return whole_refusal(tools, invocation, &asked, &refusal),
    };
    let mut refused = BTreeMap::new();
    let mut wrote = false;
    if writes == Writes::Due && !look.steps.is_empty() && tools.is_leader()? {
        wrote = look.steps.change_something();
        refused = look.write().await;
        if let Err(refusal) = look.again(invocation, &asked).await {
            return whole_refusal(tools, invocation, &asked, &refusal);
        }
        // What requests no longer go to is taken away once the gateway has surely heard of that.
        if refused.is_empty() && look.steps.take_away() {
            tokio::time::sleep(ready::HEARD).await;
            refused = look.write().await;
            if let Err(refusal) = look.again(invocation, &asked).await {
                return whole_refusal(tools, invocation, &asked, &refusal);
            }
        }
    }
    if let Err(refusal) = look.deeper().await {
        // The verdict is then without the reason that pods might have given.
        debug!("pods cannot be read: {refusal}");
    }
    Ok(judge::judge(&Case {
        application: &invocation.application,
        namespace: &look.identity.namespace,
        faults: &asked.config.faults,
        gateway: &asked.gateway,
        plan: &look.plan,
        observed: &look.observed,
        steps: &look.steps,
        refused: &refused,
        wrote,
    }))
}

/// A refusal of the first look: nothing is known of any model. Faulty options are told all the same.
fn whole_refusal(
    tools: HookTools,
    invocation: &Invocation,
    asked: &Asked,
    refusal: &Refusal,
) -> Result<Verdict, ToolError> {
    let (mut state, mut text) = judge::refused(&invocation.application, &identity(invocation).namespace, refusal);
    let seldon_is_coming = matches!(refusal, Refusal::NoKind { kind } if kind == "SeldonDeployment")
        && !juju::relation_ids(tools, invocation, SELDON_CORE)?.is_empty();
    if seldon_is_coming {
        (state, text) = judge::seldon_is_coming();
    }
    let mut verdict = whole((state, text));
    if let Some(fault) = asked.config.faults.first() {
        verdict.status = Status::new(State::Blocked, judge::cut(&fault.to_string()));
        let faults = asked.config.faults.iter().map(ToString::to_string);
        verdict.troubles.splice(0..0, faults);
    }
    Ok(verdict)
}

/// One look at the cluster and what follows from it.
struct Look {
    cluster: Cluster,
    identity: Identity,
    observed: Observed,
    plan: Plan,
    steps: Steps,
}

impl Look {
    async fn first(invocation: &Invocation, asked: &Asked) -> Result<Self, Refusal> {
        let identity = identity(invocation);
        let cluster = Cluster::connect(identity.clone()).await?;
        let mut look = Self {
            cluster,
            identity,
            observed: Observed::default(),
            plan: Plan::default(),
            steps: Steps::default(),
        };
        match look.again(invocation, asked).await {
            Ok(()) => Ok(look),
            Err(refusal) => Err(look.cluster.explain(refusal, asked.needs_secrets()).await),
        }
    }

    async fn again(&mut self, invocation: &Invocation, asked: &Asked) -> Result<(), Refusal> {
        let related = match &asked.gateway {
            RelatedGateway::Named { gateway, .. } => Some(gateway),
            _ => None,
        };
        let gateways: BTreeSet<_> = render::gateways(asked.config.models.iter(), related);
        self.observed = self.cluster.observe(&gateways, asked.needs_secrets()).await?;
        // What Seldon's definition has matters only where it is needed, so it is not asked in every hook.
        if asked.config.models.iter().any(render::asks_metrics_v2) {
            self.cluster.observe_seldon(&mut self.observed).await?;
        }
        self.plan = render::plan(&asked.config, &self.site(invocation, asked), &self.observed);
        self.steps = steps::steps(&self.plan, &self.observed, &self.identity);
        // One of ours would have been found already.
        let unseen = steps::unseen(&self.plan, &self.observed);
        if !unseen.is_empty() {
            self.cluster
                .observe_foreign_secrets(&unseen, &mut self.observed)
                .await?;
            self.steps = steps::steps(&self.plan, &self.observed, &self.identity);
        }
        // Which Istio this is matters only where a route takes every path, so it is not asked in every hook.
        if steps::has_catch_all(&self.plan, &self.observed, &self.identity) {
            self.cluster.observe_istio(&mut self.observed).await?;
            self.steps = steps::steps(&self.plan, &self.observed, &self.identity);
        }
        Ok(())
    }

    fn site(&self, invocation: &Invocation, asked: &Asked) -> Site {
        Site {
            namespace: self.identity.namespace.clone(),
            application: self.identity.application.clone(),
            model_uuid: invocation.model_uuid.clone(),
            gateway: asked.gateway.clone(),
            tracing: asked.tracing.clone(),
            owner: self.observed.owner.clone(),
        }
    }

    /// Finds the pods if a model does not serve: they know why.
    async fn deeper(&mut self) -> Result<(), Refusal> {
        if judge::needs_pods(&self.plan, &self.observed) {
            self.cluster.observe_pods(&mut self.observed).await?;
        }
        Ok(())
    }

    /// Takes the steps in their order. A model that is refused keeps no other from being served, and nothing is removed
    /// unless all went well. Gives the refusals by model.
    async fn write(&self) -> BTreeMap<String, Refusal> {
        let mut refused = BTreeMap::new();
        // Asked before the first write, so that nothing is left half done.
        if let Err(refusal) = self.may_write().await {
            return self.for_all(&refusal);
        }
        for apply in &self.steps.applies {
            if refused.contains_key(&apply.model) {
                continue;
            }
            match self.cluster.apply(apply).await {
                Ok(()) => info!("applied {} {}: {}", apply.kind.word(), apply.name, apply.because),
                Err(refusal) if refusal.concerns_all() => {
                    return self.for_all(&self.cluster.explain(refusal, self.writes_secrets()).await);
                }
                Err(refusal) => {
                    refused.insert(apply.model.clone(), refusal);
                }
            }
        }
        if refused.is_empty() {
            self.delete().await;
        }
        refused
    }

    async fn may_write(&self) -> Result<(), Refusal> {
        let writes = rights(self.writes_secrets()).filter(Right::writes);
        let missing = self.cluster.missing(writes).await?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(Refusal::Forbidden {
            why: String::new(),
            missing,
        })
    }

    /// Whether a Secret is to be written, or one of ours was found.
    fn writes_secrets(&self) -> bool {
        let planned = self.plan.models.iter().any(|planned| !planned.secrets.is_empty());
        planned || !self.observed.secrets.is_empty()
    }

    fn for_all(&self, refusal: &Refusal) -> BTreeMap<String, Refusal> {
        let models = self.plan.models.iter();
        models
            .map(|planned| (planned.model.name.clone(), refusal.clone()))
            .collect()
    }

    async fn delete(&self) {
        let mut kept = BTreeSet::new();
        for delete in &self.steps.deletes {
            let (kind, name) = (delete.kind.word(), &delete.name);
            // A Secret does not go before the model that reads it.
            if delete.kind == Kind::Secret && kept.contains(&delete.model) {
                continue;
            }
            match self.cluster.delete(delete).await {
                Ok(()) => info!("deleted {kind} {name}: it is no longer asked for"),
                // It is looked for again at every hook.
                Err(refusal) => {
                    warn!("{kind} {name} cannot be deleted: {refusal}");
                    kept.insert(&delete.model);
                }
            }
        }
    }
}

/// How every model stands, without changing anything.
///
/// # Errors
/// When a hook tool fails.
pub async fn standings(tools: HookTools, invocation: &Invocation) -> Result<(Vec<Standing>, Status), ToolError> {
    let verdict = reconcile(tools, invocation, Writes::None).await?;
    Ok((verdict.models, verdict.status))
}
