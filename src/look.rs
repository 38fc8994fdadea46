//! One look at the cluster with what Juju asks for: the plan, what is there, the steps between them, and a verdict. It
//! changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::api_error::ApiError;
use crate::asked::Asked;
use crate::changes::{self, ChangeSet};
use crate::cluster::Cluster;
use crate::identity::Identity;
use crate::judge::{self, Case, Verdict};
use crate::juju::{State, Status};
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::permissions::Needs;
use crate::plan::{self, Plan, Route, Site};

/// One look at the cluster and what follows from it.
pub struct Look {
    /// The cluster, for as long as one hook has time.
    pub cluster: Cluster,
    /// Whose objects are ours.
    pub identity: Identity,
    /// What is there.
    pub observed: Observed,
    /// What should be.
    pub plan: Plan,
    /// What is to be done to get from one to the other, and what stands in the way.
    pub changes: ChangeSet,
}

impl Look {
    /// Looks for the first time.
    ///
    /// # Errors
    /// When the cluster cannot be looked at: all that is missing is in the refusal.
    pub async fn first(asked: &Asked) -> Result<Self, ApiError> {
        let identity = asked.identity.clone();
        let cluster = Cluster::connect(identity.clone()).await?;
        let mut look = Self {
            cluster,
            identity,
            observed: Observed::default(),
            plan: Plan::default(),
            changes: ChangeSet::default(),
        };
        match look.again(asked).await {
            Ok(()) => Ok(look),
            Err(refusal) => Err(look.cluster.explain(refusal, asked.needs()).await),
        }
    }

    /// Looks once more.
    ///
    /// # Errors
    /// As [`Look::first`].
    pub async fn again(&mut self, asked: &Asked) -> Result<(), ApiError> {
        let gateways: BTreeSet<_> = plan::gateways(asked.config.models.iter(), &asked.gateway);
        let needs = asked.needs();
        let language = asked.gateway.language();
        self.observed = self.cluster.observe(&gateways, language, needs.secrets).await?;
        self.plan_again(asked).await
    }

    /// Plans once more on what was seen, where more is known of what is asked for.
    ///
    /// # Errors
    /// As [`Look::first`].
    pub async fn plan_again(&mut self, asked: &Asked) -> Result<(), ApiError> {
        // What Seldon's definition has matters only where it is needed, so it is not asked in every hook.
        if asked.config.models.iter().any(plan::asks_metrics_v2) {
            self.cluster.observe_seldon(&mut self.observed).await?;
        }
        self.plan = plan::plan(&asked.config, &self.site(asked), &self.observed);
        self.changes = changes::change_set(&self.plan, &self.observed, &self.identity);
        // One of ours would have been found already.
        let unseen = changes::unseen(&self.plan, &self.observed);
        if !unseen.is_empty() {
            self.cluster
                .observe_foreign_secrets(&unseen, &mut self.observed)
                .await?;
            self.changes = changes::change_set(&self.plan, &self.observed, &self.identity);
        }
        // Which Istio this is matters only where a route takes every path, so it is not asked in every hook.
        if changes::has_catch_all(&self.plan, &self.observed, &self.identity) {
            self.cluster.observe_istio(&mut self.observed).await?;
            self.changes = changes::change_set(&self.plan, &self.observed, &self.identity);
        }
        Ok(())
    }

    fn site(&self, asked: &Asked) -> Site {
        Site {
            namespace: self.identity.namespace.clone(),
            application: self.identity.application.clone(),
            model_uuid: self.identity.model_uuid.clone(),
            gateway: asked.gateway.clone(),
            tracing: asked.tracing.clone(),
            owner: self.observed.owner.clone(),
        }
    }

    /// Finds the pods if a model does not serve: they know why. Without them a verdict is one without their reason.
    pub async fn deeper(&mut self) {
        if judge::needs_pods(&self.plan, &self.observed)
            && let Err(refusal) = self.cluster.observe_pods(&mut self.observed).await
        {
            debug!("pods cannot be read: {refusal}");
        }
    }

    /// What of Secrets and HTTPRoutes is to be written, or was found.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut models = self.plan.models.iter();
        let secrets = models.clone().any(|planned| !planned.secrets.is_empty());
        let http_routes = models.any(|planned| matches!(planned.route, Route::SetHttp(_)));
        let mut found = self.observed.http_routes.iter();
        Needs {
            secrets: secrets || !self.observed.secrets.is_empty(),
            http_routes: http_routes || found.any(|route| self.identity.owns(route)),
        }
    }

    /// The verdict on what was seen, with what was refused of what this unit tried to write, by model.
    #[must_use]
    pub fn verdict(&self, asked: &Asked, refused: &BTreeMap<String, ApiError>, wrote: bool) -> Verdict {
        judge::judge(&Case {
            application: &self.identity.application,
            namespace: &self.identity.namespace,
            manager: &self.identity.manager(),
            faults: &asked.config.faults,
            gateway: &asked.gateway,
            plan: &self.plan,
            observed: &self.observed,
            changes: &self.changes,
            refused,
            wrote,
        })
    }

    /// What a hook would come to that begins now.
    #[must_use]
    pub fn outlook(&self, asked: &Asked) -> Outlook {
        let applies = self.changes.applies.iter().map(|apply| (apply.kind, &apply.name));
        let deletes = self.changes.deletes.iter().map(|delete| (delete.kind, &delete.name));
        let unread = self
            .changes
            .unread
            .iter()
            .map(|unread| (ObjectKind::Secret, &unread.name));
        Outlook {
            status: self.verdict(asked, &BTreeMap::new(), false).status,
            due: applies
                .chain(deletes)
                .chain(unread)
                .map(|(kind, name)| format!("{} {name}", kind.as_str()))
                .collect(),
        }
    }
}

/// What a hook would say and do, if it looked now and were refused nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// The status.
    pub status: Status,
    /// What a leader would write, each as its kind and name.
    pub due: Vec<String>,
}

impl Outlook {
    /// Where the cluster could not be looked at.
    #[must_use]
    pub fn blind(unseen: &Verdict) -> Self {
        Self {
            status: unseen.status.clone(),
            due: Vec::new(),
        }
    }
}

/// The verdict where the cluster could not be looked at: nothing is known of any model. Faulty options are told all the same.
#[must_use]
pub fn unseen(asked: &Asked, refusal: &ApiError) -> Verdict {
    let (mut state, mut text) = judge::refused(&asked.identity.application, &asked.identity.namespace, refusal);
    if matches!(refusal, ApiError::CrdMissing { kind } if kind == "SeldonDeployment") && asked.seldon_is_related() {
        (state, text) = judge::seldon_is_coming();
    }
    let mut verdict = whole((state, text));
    if let Some(fault) = asked.config.faults.first() {
        verdict.status = Status::new(State::Blocked, judge::cut(&fault.to_string()));
        let faults = asked.config.faults.iter().map(ToString::to_string);
        verdict.troubles.splice(0..0, faults);
    }
    verdict
}

/// A verdict on all of the application at once.
#[must_use]
pub fn whole((state, text): (State, String)) -> Verdict {
    Verdict {
        status: Status::new(state, judge::cut(&text)),
        models: Vec::new(),
        troubles: vec![text],
        notes: Vec::new(),
        version: None,
        wrote: false,
        changed: None,
    }
}
