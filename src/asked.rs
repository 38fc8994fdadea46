//! What Juju asks for: options, relations and secrets, as the hook tools tell them and as they are understood.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cluster::Needs;
use crate::config::secret::Answers;
use crate::config::value::{SecretUri, Tracing};
use crate::config::{self, Config};
use crate::dispatch::identity;
use crate::juju::{self, Content, HookTools, Invocation, Relation, ToolError, Unreadable};
use crate::render::{Language, RelatedGateway};
use crate::traces;

/// The endpoint that says that Juju deployed Seldon. Only its presence counts.
const SELDON_CORE: &str = "seldon-core";

/// What Juju says of secrets, by their URIs.
pub type Secrets = BTreeMap<String, Result<Content, Unreadable>>;

/// What the hook tools told, as it stands: all that a plan rests on, but for the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The options that have a value.
    pub options: Map<String, Value>,
    /// The endpoints that are related to something.
    pub related: BTreeSet<String>,
    /// The relations that name an Istio Gateway.
    pub gateway: Vec<Relation>,
    /// The relations that name a gateway of the Gateway API.
    #[serde(default)]
    pub gateway_metadata: Vec<Relation>,
    /// The relations that take traces.
    pub tracing: Vec<Relation>,
    /// The secrets that the options name, or why one cannot be had.
    pub secrets: Secrets,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What it was read from.
    pub told: Told,
    /// The options, understood.
    pub config: Config,
    /// What the gateway relations say.
    pub gateway: RelatedGateway,
    /// Where the tracing relation wants traces to go.
    pub tracing: Option<Tracing>,
}

impl Asked {
    /// Asks Juju.
    ///
    /// # Errors
    /// When a hook tool fails.
    pub fn read(tools: HookTools, invocation: &Invocation) -> Result<Self, ToolError> {
        Self::read_with(tools, invocation, tools.config()?)
    }

    /// Asks Juju for all but the options, which are these.
    ///
    /// # Errors
    /// When a hook tool fails.
    pub fn read_with(
        tools: HookTools,
        invocation: &Invocation,
        options: Map<String, Value>,
    ) -> Result<Self, ToolError> {
        // One question for the endpoints that are seldom related, instead of one for each.
        let related = tools.goal()?.related;
        let relations = |endpoint: &str| {
            if related.contains(endpoint) {
                juju::relations(tools, invocation, endpoint)
            } else {
                Ok(Vec::new())
            }
        };
        let (gateway, tracing) = (relations(Language::Istio.endpoint())?, relations(traces::ENDPOINT)?);
        let gateway_metadata = relations(Language::GatewayApi.endpoint())?;
        let config = config::parse(&invocation.application, &options);
        let told = Told {
            secrets: secrets(tools, invocation, &config)?,
            options,
            related,
            gateway,
            gateway_metadata,
            tracing,
        };
        Ok(Self::understood(invocation, told, config))
    }

    /// Understands what was told before.
    #[must_use]
    pub fn new(invocation: &Invocation, told: Told) -> Self {
        let config = config::parse(&invocation.application, &told.options);
        Self::understood(invocation, told, config)
    }

    fn understood(invocation: &Invocation, told: Told, mut config: Config) -> Self {
        let answers: Answers = config
            .juju_secrets()
            .into_iter()
            .filter_map(|uri| {
                let answer = told.secrets.get(&uri.to_string())?.clone();
                Some((uri, answer))
            })
            .collect();
        config.take_in(&invocation.application, &identity(invocation).namespace, &answers);
        Self {
            gateway: RelatedGateway::read(&told.gateway, &told.gateway_metadata),
            tracing: traces::read(&told.tracing),
            config,
            told,
        }
    }

    /// What is needed beside a model's own objects.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut models = self.config.models.iter();
        Needs {
            secrets: models.any(|model| model.juju_secrets().next().is_some()),
            http_routes: self.gateway.language() == Language::GatewayApi,
        }
    }

    /// Whether a watcher is wanted between hooks.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.told.options.get("watch").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Whether Juju says that it deploys a Seldon for us.
    #[must_use]
    pub fn seldon_is_related(&self) -> bool {
        self.told.related.contains(SELDON_CORE)
    }
}

/// Asks Juju for the secrets that models name. Every unit may: they are granted to the application.
fn secrets(tools: HookTools, invocation: &Invocation, config: &Config) -> Result<Secrets, ToolError> {
    let without = invocation.version.as_ref().filter(|version| !version.has_secrets());
    let ask = |uri: SecretUri| {
        let uri = uri.to_string();
        let answer = match without {
            Some(version) => Err(Unreadable::NoSecrets(version.clone())),
            None => tools.secret(&uri)?,
        };
        Ok((uri, answer))
    };
    config.juju_secrets().into_iter().map(ask).collect()
}
