//! What Juju asks for: options, relations and secrets, as the hook tools tell them and as they are understood.

pub mod gateway;
pub mod tracing;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api_error::ApiError;
use crate::config::secret::SecretContents;
use crate::config::value::{SecretUri, Tracing};
use crate::config::{self, Config};
use crate::gateway::GatewayKind;
use crate::identity::Identity;
use crate::inputs::gateway::RelatedGateway;
use crate::permissions::Needs;
use juju_hooks::{Event, HookContext, HookTools, Relation, SecretContent, SecretError, ToolError};

/// The endpoint that says that Juju deployed Seldon. Only its presence counts.
const SELDON_CORE: &str = "seldon-core";
/// The endpoint that takes metrics and alert rules.
pub const METRICS: &str = "metrics-endpoint";
/// The endpoint that takes dashboards.
pub const DASHBOARD: &str = "grafana-dashboard";
/// The endpoints whose relations count in every hook. `goal-state` would have them in one answer, but not those that were made through an
/// offer of ours, and any endpoint can be offered: Grafana offers `grafana-dashboard`, which it requires
/// (canonical/cos-lite-bundle, overlays/offers-overlay.yaml). And while one proxy of a remote application is left over it fails
/// as a whole (juju/juju, issue 23212). `relation-ids` is answered by the unit's agent.
const ENDPOINTS: [&str; 5] = [
    GatewayKind::Istio.endpoint(),
    GatewayKind::GatewayApi.endpoint(),
    tracing::ENDPOINT,
    METRICS,
    DASHBOARD,
];

/// What Juju says of secrets, by their URIs.
pub type Secrets = BTreeMap<String, Result<SecretContent, SecretError>>;

/// What the hook tools told, as it stands: all that a plan rests on, but for the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JujuState {
    /// The options that have a value.
    pub options: Map<String, Value>,
    /// The endpoints that are related to something.
    pub related: BTreeSet<String>,
    /// The ids of their relations, for what is written there. Whoever only reads needs none.
    #[serde(skip)]
    pub relation_ids: BTreeMap<String, Vec<String>>,
    /// The relations that name an Istio Gateway.
    pub gateway: Vec<Relation>,
    /// The relations that name a gateway of the Gateway API.
    #[serde(default)]
    pub gateway_metadata: Vec<Relation>,
    /// The relations that take traces.
    pub tracing: Vec<Relation>,
    /// The secrets that were read of those that the options name, or why one cannot be had.
    pub secrets: Secrets,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Whose objects are ours.
    pub identity: Identity,
    /// What it was read from.
    pub juju: JujuState,
    /// The options, understood.
    pub config: Config,
    /// What the gateway relations say.
    pub gateway: RelatedGateway,
    /// Where the tracing relation wants traces to go.
    pub tracing: Option<Tracing>,
}

impl Inputs {
    /// Asks Juju.
    ///
    /// # Errors
    /// When a hook tool fails.
    pub fn read(tools: HookTools, context: &HookContext, identity: &Identity) -> Result<Self, ToolError> {
        Self::with_options(tools, context, identity, tools.config_get()?)
    }

    /// Asks Juju for all but the options, which are these, and secrets, which are read only when they may have changed.
    ///
    /// # Errors
    /// When a hook tool fails.
    pub fn with_options(
        tools: HookTools,
        context: &HookContext,
        identity: &Identity,
        options: Map<String, Value>,
    ) -> Result<Self, ToolError> {
        let mut relation_ids = BTreeMap::new();
        for endpoint in ENDPOINTS {
            let ids = juju_hooks::relation_ids(tools, context, endpoint)?;
            if !ids.is_empty() {
                relation_ids.insert(endpoint.to_owned(), ids);
            }
        }
        let relations = |endpoint: &str| match relation_ids.get(endpoint) {
            Some(ids) => juju_hooks::relations(tools, ids),
            None => Ok(Vec::new()),
        };
        let (gateway, tracing) = (relations(GatewayKind::Istio.endpoint())?, relations(tracing::ENDPOINT)?);
        let gateway_metadata = relations(GatewayKind::GatewayApi.endpoint())?;
        let config = config::parse(&identity.application, &options);
        let told = JujuState {
            secrets: unsupported_secrets(context, &config),
            options,
            related: relation_ids.keys().cloned().collect(),
            relation_ids,
            gateway,
            gateway_metadata,
            tracing,
        };
        Ok(Self::parse(identity.clone(), told, config))
    }

    /// Reads secrets of Juju's: the newest content of each, or why there is none. Every unit may: they are granted to the application.
    ///
    /// # Errors
    /// When `secret-get` fails in passing.
    pub fn read_secrets(
        &mut self,
        tools: HookTools,
        context: &HookContext,
        uris: &BTreeSet<SecretUri>,
    ) -> Result<(), ToolError> {
        if uris.is_empty() {
            return Ok(());
        }
        for uri in uris {
            let uri = uri.to_string();
            let answer = match context.event {
                Event::Action(_) => tools.secret_peek(&uri)?,
                _ => tools.secret_get(&uri)?,
            };
            self.juju.secrets.insert(uri, answer);
        }
        *self = Self::new(self.identity.clone(), self.juju.clone());
        Ok(())
    }

    /// Understands what was told before.
    pub fn new(identity: Identity, told: JujuState) -> Self {
        let config = config::parse(&identity.application, &told.options);
        Self::parse(identity, told, config)
    }

    fn parse(identity: Identity, told: JujuState, mut config: Config) -> Self {
        let answers: SecretContents = config
            .juju_secrets()
            .into_iter()
            .filter_map(|uri| {
                let answer = told.secrets.get(&uri.to_string())?.clone();
                Some((uri, answer))
            })
            .collect();
        config.resolve_secrets(&identity.application, &identity.namespace, &answers);
        Self {
            identity,
            gateway: RelatedGateway::read(&told.gateway, &told.gateway_metadata),
            tracing: tracing::read(&told.tracing),
            config,
            juju: told,
        }
    }

    /// What is needed beside a model's own objects.
    pub fn needs(&self) -> Needs {
        let mut models = self.config.models.iter();
        Needs {
            secrets: models.any(|model| model.juju_secrets().next().is_some()),
            http_routes: self.gateway.kind() == GatewayKind::GatewayApi,
        }
    }

    /// Whether something related takes metrics or dashboards.
    pub fn is_monitored(&self) -> bool {
        [METRICS, DASHBOARD]
            .iter()
            .any(|endpoint| self.juju.related.contains(*endpoint))
    }

    /// Whether a watcher is wanted between hooks.
    pub fn is_watched(&self) -> bool {
        self.juju.options.get("watch").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Reads whether Juju deploys a Seldon for us. That matters only to a report, and where the cluster knows none.
    ///
    /// # Errors
    /// When `relation-ids` fails.
    pub fn read_seldon_relation(&mut self, tools: HookTools, context: &HookContext) -> Result<(), ToolError> {
        if !juju_hooks::relation_ids(tools, context, SELDON_CORE)?.is_empty() {
            self.juju.related.insert(SELDON_CORE.to_owned());
        }
        Ok(())
    }

    /// Reads what else explains that refusal.
    ///
    /// # Errors
    /// When a hook tool fails.
    pub fn read_cause_of(
        &mut self,
        tools: HookTools,
        context: &HookContext,
        error: &ApiError,
    ) -> Result<(), ToolError> {
        match error {
            ApiError::CrdMissing { kind } if kind == "SeldonDeployment" => self.read_seldon_relation(tools, context),
            _ => Ok(()),
        }
    }

    /// Whether Juju says that it deploys a Seldon for us, where that was read.
    pub fn seldon_is_related(&self) -> bool {
        self.juju.related.contains(SELDON_CORE)
    }
}

/// What is known of secrets without reading one: that this Juju has none for charms.
fn unsupported_secrets(context: &HookContext, config: &Config) -> Secrets {
    let without = context.version.as_ref().filter(|version| !version.has_secrets());
    let rejected = without.map(|version| {
        let all = config.juju_secrets().into_iter();
        all.map(|uri| (uri.to_string(), Err(SecretError::Unsupported(version.clone()))))
    });
    rejected.into_iter().flatten().collect()
}
