//! What Juju wants: options, relations and secrets, as the hook tools report them and parsed.

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
use crate::shell::Commands;
use juju_hooks::{Event, HookContext, HookTools, Relation, SecretError, ToolError, Version};

/// A relation means that Juju deployed Seldon Core. Only its presence counts.
const SELDON_CORE: &str = "seldon-core";
/// Metrics and alert rules.
pub const METRICS: &str = "metrics-endpoint";
pub const DASHBOARD: &str = "grafana-dashboard";
/// The endpoints whose relations are read in every hook. `goal-state` would report all of them at once, but leaves
/// out those made through an offer of ours, and any endpoint can be offered: Grafana offers `grafana-dashboard`,
/// which it requires (canonical/cos-lite-bundle, overlays/offers-overlay.yaml). It also fails entirely while a stale
/// remote application exists (juju/juju, issue 23212). The unit agent answers `relation-ids` without the controller.
const ENDPOINTS: [&str; 5] = [
    GatewayKind::Istio.endpoint(),
    GatewayKind::GatewayApi.endpoint(),
    tracing::ENDPOINT,
    METRICS,
    DASHBOARD,
];

/// The raw output of the hook tools: everything that a plan depends on, except the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JujuState {
    /// Those that have a value.
    pub options: Map<String, Value>,
    /// The endpoints with at least one relation.
    pub related: BTreeSet<String>,
    /// By endpoint, for writing to them. Not needed by the watcher.
    #[serde(skip)]
    pub relation_ids: BTreeMap<String, Vec<String>>,
    /// `gateway-info` relations, which name an Istio Gateway.
    pub gateway: Vec<Relation>,
    /// `gateway-metadata` relations, which name a gateway of the Gateway API.
    #[serde(default)]
    pub gateway_metadata: Vec<Relation>,
    pub tracing: Vec<Relation>,
    /// The referenced secrets that were read, or why they could not be.
    pub secrets: SecretContents,
    /// The version of Juju, if it is known. Commands in messages depend on it.
    #[serde(default)]
    pub version: Option<Version>,
}

#[derive(Debug, Clone)]
pub struct Inputs {
    pub identity: Identity,
    pub juju: JujuState,
    pub config: Config,
    pub gateway: RelatedGateway,
    /// From the tracing relation.
    pub tracing: Option<Tracing>,
}

impl Inputs {
    pub fn read(tools: HookTools, context: &HookContext, identity: &Identity) -> Result<Self, ToolError> {
        Self::with_options(tools, context, identity, tools.config_get()?)
    }

    /// Reads everything except the options, which are given, and secrets, which are read only when they may have
    /// changed.
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
        let state = JujuState {
            secrets: unsupported_secrets(context, &config),
            version: context.version.clone(),
            options,
            related: relation_ids.keys().cloned().collect(),
            relation_ids,
            gateway,
            gateway_metadata,
            tracing,
        };
        Ok(Self::parse(identity.clone(), state, config))
    }

    /// Reads the newest revision of secrets. Every unit may: secrets are granted to the application.
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
            let answer = match context.event {
                Event::Action(_) => tools.secret_peek(&uri.to_string())?,
                _ => tools.secret_get(&uri.to_string())?,
            };
            self.juju.secrets.insert(uri.clone(), answer);
        }
        *self = Self::new(self.identity.clone(), self.juju.clone());
        Ok(())
    }

    /// Parses a state that was read earlier.
    pub fn new(identity: Identity, state: JujuState) -> Self {
        let config = config::parse(&identity.application, &state.options);
        Self::parse(identity, state, config)
    }

    fn parse(identity: Identity, state: JujuState, mut config: Config) -> Self {
        config.resolve_secrets(&identity.application, &identity.namespace, &state.secrets);
        Self {
            identity,
            gateway: RelatedGateway::read(&state.gateway, &state.gateway_metadata),
            tracing: tracing::read(&state.tracing),
            config,
            juju: state,
        }
    }

    /// The commands about this application, for messages.
    pub fn commands(&self) -> Commands<'_> {
        self.identity.commands(self.juju.version.as_ref())
    }

    /// Which optional permissions are needed.
    pub fn needs(&self) -> Needs {
        let mut models = self.config.models.iter();
        Needs {
            secrets: models.any(|model| model.juju_secrets().next().is_some()),
            http_routes: self.gateway.kind() == GatewayKind::GatewayApi,
            // Known once the gateways' pods are found.
            policies: BTreeSet::new(),
        }
    }

    /// Whether metrics or dashboards are related.
    pub fn is_monitored(&self) -> bool {
        [METRICS, DASHBOARD]
            .iter()
            .any(|endpoint| self.juju.related.contains(*endpoint))
    }

    /// Reads whether Juju deployed Seldon Core. It matters only for the status, and only if the cluster has no
    /// Seldon.
    pub fn read_seldon_relation(&mut self, tools: HookTools, context: &HookContext) -> Result<(), ToolError> {
        if !juju_hooks::relation_ids(tools, context, SELDON_CORE)?.is_empty() {
            self.juju.related.insert(SELDON_CORE.to_owned());
        }
        Ok(())
    }

    /// Reads what else the status needs to explain an error.
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

    /// Whether Juju deployed Seldon Core, if that was read.
    pub fn seldon_is_related(&self) -> bool {
        self.juju.related.contains(SELDON_CORE)
    }
}

/// Secrets that cannot be read because this Juju has none for charms.
fn unsupported_secrets(context: &HookContext, config: &Config) -> SecretContents {
    let unsupported = context.version.as_ref().filter(|version| !version.has_secrets());
    let secrets = unsupported.map(|version| {
        let uris = config.juju_secrets().into_iter();
        uris.map(|uri| (uri, Err(SecretError::Unsupported(version.clone()))))
    });
    secrets.into_iter().flatten().collect()
}
