//! One look at the cluster with what Juju asks for: the plan, what is there, the steps between them, and a verdict. It
//! changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::api_error::ApiError;
use crate::changes::{self, ChangeSet};
use crate::cluster::Cluster;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::permissions::Needs;
use crate::plan::{self, Plan, Route, Site};
use crate::status::{self, Problem, Report, StatusInput};
use juju_hooks::{State, Status};

/// One look at the cluster and what follows from it.
pub struct Snapshot {
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

impl Snapshot {
    /// Looks for the first time.
    ///
    /// # Errors
    /// When the cluster cannot be looked at: all that is missing is in the refusal.
    pub async fn take(inputs: &Inputs) -> Result<Self, ApiError> {
        let identity = inputs.identity.clone();
        let cluster = Cluster::connect(identity.clone()).await?;
        let mut snapshot = Self {
            cluster,
            identity,
            observed: Observed::default(),
            plan: Plan::default(),
            changes: ChangeSet::default(),
        };
        match snapshot.refresh(inputs).await {
            Ok(()) => Ok(snapshot),
            Err(error) => Err(snapshot.cluster.explain(error, inputs.needs()).await),
        }
    }

    /// Looks once more.
    ///
    /// # Errors
    /// As [`Look::first`].
    pub async fn refresh(&mut self, inputs: &Inputs) -> Result<(), ApiError> {
        let gateways: BTreeSet<_> = plan::gateways(inputs.config.models.iter(), &inputs.gateway);
        let needs = inputs.needs();
        let language = inputs.gateway.kind();
        self.observed = self.cluster.observe(&gateways, language, needs.secrets).await?;
        self.replan(inputs).await
    }

    /// Plans once more on what was seen, where more is known of what is asked for.
    ///
    /// # Errors
    /// As [`Look::first`].
    pub async fn replan(&mut self, inputs: &Inputs) -> Result<(), ApiError> {
        // What Seldon's definition has matters only where it is needed, so it is not asked in every hook.
        if inputs.config.models.iter().any(plan::asks_metrics_v2) {
            self.cluster.observe_seldon(&mut self.observed).await?;
        }
        self.plan = plan::plan(&inputs.config, &self.site(inputs), &self.observed);
        self.changes = changes::change_set(&self.plan, &self.observed, &self.identity);
        // One of ours would have been found already.
        let unobserved = changes::unobserved(&self.plan, &self.observed);
        if !unobserved.is_empty() {
            self.cluster
                .observe_foreign_secrets(&unobserved, &mut self.observed)
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

    fn site(&self, inputs: &Inputs) -> Site {
        Site {
            namespace: self.identity.namespace.clone(),
            application: self.identity.application.clone(),
            model_uuid: self.identity.model_uuid.clone(),
            gateway: inputs.gateway.clone(),
            tracing: inputs.tracing.clone(),
            owner: self.observed.owner.clone(),
        }
    }

    /// Finds the pods if a model does not serve: they know why. Without them a verdict is one without their reason.
    pub async fn list_pods_if_unready(&mut self) {
        if status::needs_pods(&self.plan, &self.observed)
            && let Err(error) = self.cluster.observe_pods(&mut self.observed).await
        {
            debug!("pods cannot be read: {error}");
        }
    }

    /// What of Secrets and HTTPRoutes is to be written, or was found.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut models = self.plan.models.iter();
        let secrets = models.clone().any(|planned| !planned.secrets.is_empty());
        let http_routes = models.any(|planned| matches!(planned.route, Route::HttpRoute(_)));
        let mut found = self.observed.http_routes.iter();
        Needs {
            secrets: secrets || !self.observed.secrets.is_empty(),
            http_routes: http_routes || found.any(|route| self.identity.owns(route)),
        }
    }

    /// The verdict on what was seen, with what was refused of what this unit tried to write, by model.
    #[must_use]
    pub fn report(&self, inputs: &Inputs, rejected: &BTreeMap<String, ApiError>, wrote: bool) -> Report {
        status::evaluate(&StatusInput {
            application: &self.identity.application,
            namespace: &self.identity.namespace,
            manager: &self.identity.manager(),
            errors: &inputs.config.errors,
            gateway: &inputs.gateway,
            plan: &self.plan,
            observed: &self.observed,
            changes: &self.changes,
            rejected,
            wrote,
        })
    }

    /// What a hook would come to that begins now.
    #[must_use]
    pub fn expected(&self, inputs: &Inputs) -> Expected {
        let applies = self.changes.applies.iter().map(|apply| (apply.kind, &apply.name));
        let deletes = self.changes.deletes.iter().map(|delete| (delete.kind, &delete.name));
        let unread = self
            .changes
            .unread
            .iter()
            .map(|unread| (ObjectKind::Secret, &unread.name));
        Expected {
            status: self.report(inputs, &BTreeMap::new(), false).status,
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
pub struct Expected {
    /// The status.
    pub status: Status,
    /// What a leader would write, each as its kind and name.
    pub due: Vec<String>,
}

impl Expected {
    /// Where the cluster could not be looked at.
    #[must_use]
    pub fn unreachable(unobserved: &Report) -> Self {
        Self {
            status: unobserved.status.clone(),
            due: Vec::new(),
        }
    }
}

/// The verdict where the cluster could not be looked at: nothing is known of any model. Faulty options are told all the same.
#[must_use]
pub fn unobserved(inputs: &Inputs, error: &ApiError) -> Report {
    let mut problem = status::api_error(&inputs.identity.application, &inputs.identity.namespace, error);
    if matches!(error, ApiError::CrdMissing { kind } if kind == "SeldonDeployment") && inputs.seldon_is_related() {
        problem = status::seldon_is_deploying();
    }
    let mut report = report_of(&problem);
    if let Some(error) = inputs.config.errors.first() {
        report.status = Status::new(State::Blocked, status::cut(&error.to_string()));
        let errors = inputs.config.errors.iter().map(ToString::to_string);
        report.problems.splice(0..0, errors);
    }
    report
}

/// A verdict on all of the application at once.
#[must_use]
pub fn report_of(problem: &Problem) -> Report {
    let text = problem.to_string();
    Report {
        status: Status::new(problem.state, status::cut(&text)),
        models: Vec::new(),
        problems: vec![text],
        notes: Vec::new(),
        version: None,
        wrote: false,
        changed: None,
    }
}
