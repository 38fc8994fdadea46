//! What follows from the inputs and one observation of the cluster: the plan, the changes, the report. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::api_error::ApiError;
use crate::changes::{self, ChangeSet};
use crate::cluster::Cluster;
use crate::gateway::revision::Served;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::inputs::gateway::RelatedGateway;
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::permissions::Needs;
use crate::plan::access;
use crate::plan::served::{self, Due, NotServed};
use crate::plan::types::Enforcement;
use crate::plan::{self, Environment, Plan, PlannedModel, PlannedRoute};
use crate::status::{self, ApplicationProblem, Report, StatusInput};
use crate::text::clean;
use juju_hooks::{HookContext, Status, ToolError};

/// What the gateways answered, by model. One whose gateway is not reached has no entry.
#[derive(Debug, Default)]
pub struct GatewayAnswers {
    /// Which route they serve.
    pub served: BTreeMap<String, Served>,
    /// Whether they have the access policies.
    pub enforced: BTreeMap<String, Served>,
}

pub struct Snapshot {
    /// The client, with the deadline of one hook.
    pub cluster: Cluster,
    pub identity: Identity,
    pub observed: Observed,
    pub plan: Plan,
    pub changes: ChangeSet,
}

impl Snapshot {
    /// An error names all permissions that are missing.
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
            Err(error) => Err(snapshot.cluster.explain(error, &inputs.needs()).await),
        }
    }

    /// Observes the cluster again.
    pub async fn refresh(&mut self, inputs: &Inputs) -> Result<(), ApiError> {
        let models = &inputs.config.models;
        let requests = plan::requests(models, &inputs.gateway, &self.identity.namespace);
        let kind = inputs.gateway.kind();
        let mut observed = self.cluster.observe(&requests, kind, inputs.needs().secrets).await?;
        // CRDs are large and matter to few sites, so they are not read in every hook.
        if models.iter().any(plan::needs_metrics_v2) {
            observed.capabilities.metrics_v2 = self.cluster.supports_metrics_v2().await?;
        }
        if changes::has_catch_all(&requests, &observed, &self.identity) {
            observed.capabilities.catch_all_last = self.cluster.sorts_catch_all_last().await?;
        }
        // istio-pilot from 1.16 on observes no update-status, so what it once reported down may stay so in its data bag.
        if let RelatedGateway::Known { gateway, up: false, .. } = &inputs.gateway
            && let Some(listeners) = observed.gateways.get(gateway)
            && self.cluster.gateway_has_ready_pod(gateway, listeners).await
        {
            observed.ready_gateways.insert(gateway.clone());
        }
        let guarded = models.iter().filter(|model| model.access.is_some());
        let gateways: BTreeSet<_> = guarded
            .filter_map(|model| inputs.gateway.for_model(model).cloned())
            .collect();
        self.cluster
            .observe_access(&mut observed, &BTreeSet::new(), gateways)
            .await?;
        observed.served = std::mem::take(&mut self.observed.served);
        observed.enforced = std::mem::take(&mut self.observed.enforced);
        self.observed = observed;
        self.replan(inputs).await
    }

    /// The models whose gateways should be queried for which route they serve.
    pub fn due_to_be_served(&self, due: Due) -> impl Iterator<Item = &PlannedModel> {
        let manager = self.identity.manager();
        let models = self.plan.models.iter();
        models.filter(move |planned| served::is_due(planned, due, &self.observed, &manager))
    }

    /// The models whose gateways should be queried for whether they have the access policies.
    pub fn due_to_be_enforced(&self, due: Due) -> impl Iterator<Item = &PlannedModel> {
        let manager = self.identity.manager();
        let models = self.plan.models.iter();
        models.filter(move |planned| access::is_due(planned, due, &self.observed, &manager))
    }

    /// Replaces what is known of what the gateways serve.
    pub async fn set_answers(&mut self, answers: GatewayAnswers, inputs: &Inputs) -> Result<(), ApiError> {
        let GatewayAnswers { served, enforced } = answers;
        if self.observed.served == served && self.observed.enforced == enforced {
            return Ok(());
        }
        self.observed.served = served;
        self.observed.enforced = enforced;
        self.replan(inputs).await
    }

    /// Whether routes wait for their gateway to have access policies that are applied.
    pub fn awaits_access(&self) -> bool {
        let is_awaited = |planned: &PlannedModel| {
            let access = planned.access.as_ref();
            access.is_some_and(|access| access.enforcement == Enforcement::Yet)
        };
        self.due_to_be_enforced(Due::Changed).any(is_awaited)
    }

    /// How soon a gateway should be queried again; `None` if all serve what they should, as far as they show it.
    pub fn retry_after(&self) -> Option<Duration> {
        let manager = self.identity.manager();
        let models = self.plan.models.iter();
        let routes = models
            .clone()
            .filter_map(|planned| served::not_served(planned, &self.observed, &manager));
        let policies = models.filter_map(|planned| match planned.access.as_ref()?.enforcement {
            Enforcement::Yet => Some(NotServed::Yet),
            Enforcement::NotInTime => Some(NotServed::InTime),
            _ => None,
        });
        let withheld = (!self.changes.withheld.is_empty()).then_some(NotServed::Yet);
        routes.chain(policies).chain(withheld).map(NotServed::retry_after).min()
    }

    /// Plans on the same observation, also again after secrets were read.
    pub async fn replan(&mut self, inputs: &Inputs) -> Result<(), ApiError> {
        let environment = self.environment(inputs);
        let mut secrets = plan::secrets::names(&inputs.config, &environment, &self.observed);
        secrets.retain(|name| self.observed.secret(name).is_none());
        self.observed.foreign_secrets = self.cluster.secrets_named(&secrets).await?;
        self.plan = plan::plan(&inputs.config, &environment, &self.observed)?;
        self.changes = changes::change_set(&self.plan, &self.observed, &self.identity)?;
        Ok(())
    }

    fn environment(&self, inputs: &Inputs) -> Environment {
        Environment {
            identity: self.identity.clone(),
            gateway: inputs.gateway.clone(),
            tracing: inputs.tracing.clone(),
            owner: self.observed.owner.clone(),
        }
    }

    /// Lists pods when a model is not ready, so the status can say why.
    pub async fn list_pods_if_unready(&mut self) {
        if status::needs_pods(&self.plan, &self.observed)
            && let Err(error) = self.cluster.observe_pods(&mut self.observed).await
        {
            debug!("failed to list pods: {error}");
        }
    }

    /// The namespaces with access policies of ours, planned or observed.
    pub fn policy_namespaces(&self) -> BTreeSet<String> {
        let planned = self.plan.models.iter().filter_map(|planned| planned.access.as_ref());
        let planned = planned.flat_map(|access| &access.policies);
        let observed = [ObjectKind::RequestAuthentication, ObjectKind::AuthorizationPolicy]
            .into_iter()
            .flat_map(|kind| self.observed.access_policies(kind))
            .filter(|object| self.identity.has_applied(object));
        planned
            .map(|policy| policy.namespace.clone())
            .chain(observed.filter_map(ResourceExt::namespace))
            .collect()
    }

    /// Whether there are Secrets, HTTPRoutes and access policies of ours, planned or observed.
    pub fn needs(&self) -> Needs {
        let mut models = self.plan.models.iter();
        let secrets = models.clone().any(|planned| !planned.secrets.is_empty());
        let http_routes = models.any(|planned| matches!(planned.route, PlannedRoute::HttpRoute(_)));
        let mut observed = self.observed.http_routes.iter();
        Needs {
            secrets: secrets || !self.observed.secrets.is_empty(),
            http_routes: http_routes || observed.any(|route| self.identity.owns(route)),
            policies: self.policy_namespaces(),
        }
    }

    /// What the API server would reject of the pending writes, by model. Nothing is changed.
    pub async fn dry_run(&self) -> BTreeMap<String, ApiError> {
        let mut rejected = BTreeMap::new();
        for apply in &self.changes.applies {
            if rejected.contains_key(&apply.model) {
                continue;
            }
            if let Err(error) = self.cluster.dry_run(apply).await {
                let error = self.cluster.explain(error, &self.needs()).await;
                rejected.insert(apply.model.clone(), error);
            }
        }
        rejected
    }

    /// `rejected` is what the API server rejected of this unit's writes, by model.
    pub fn report(&self, inputs: &Inputs, rejected: &BTreeMap<String, ApiError>, wrote: bool) -> Report {
        status::evaluate(&StatusInput {
            application: &self.identity.application,
            namespace: &self.identity.namespace,
            juju: inputs.commands().juju,
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

    /// The outcome of a hook that began now.
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
            retry_after: self.retry_after(),
            policy_namespaces: self.policy_namespaces(),
            due: applies
                .chain(deletes)
                .chain(unread)
                .map(|(kind, name)| format!("{} {name}", kind.as_str()))
                .collect(),
        }
    }
}

/// The status that a hook would set and what it would write, if nothing was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    pub status: Status,
    /// What a leader would write, each by its kind and name.
    pub due: Vec<String>,
    /// After how long a gateway may serve what it does not serve now. No object shows that.
    #[serde(default)]
    pub retry_after: Option<Duration>,
    /// Where access policies of ours are, planned or observed.
    #[serde(default)]
    pub policy_namespaces: BTreeSet<String>,
}

impl Expected {
    /// Without an observation of the cluster.
    pub fn unreachable(unobserved: &Report) -> Self {
        Self {
            status: unobserved.status.clone(),
            due: Vec::new(),
            retry_after: None,
            policy_namespaces: BTreeSet::new(),
        }
    }
}

/// The report without an observation of the cluster: nothing is known of any model. Errors in options are reported all the same.
pub fn unobserved(inputs: &Inputs, error: &ApiError) -> Report {
    let commands = inputs.commands();
    let is_deploying = matches!(error, ApiError::CrdMissing { kind } if kind == "SeldonDeployment");
    let errors = inputs.config.errors.iter().cloned();
    let mut problems: Vec<ApplicationProblem> = errors.map(ApplicationProblem::Config).collect();
    problems.push(if is_deploying && inputs.seldon_is_related() {
        ApplicationProblem::SeldonIsDeploying
    } else {
        ApplicationProblem::Api(error.clone())
    });
    Report::without_models(&problems, &commands)
}

/// A hook tool failed, so nothing is known at all.
pub fn tool_failed(context: &HookContext, identity: &Identity, error: &ToolError) -> Report {
    let commands = identity.commands(context.version.as_ref());
    Report::without_models(&[ApplicationProblem::HookTool(clean(&error.to_string()))], &commands)
}
