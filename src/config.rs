//! Options in, models out. Every error is collected, each with option, rule, command, value and example.
//!
//! One vocabulary: the keys of an entry in `models` are the names of the options, parsed by the same code. With `models` set
//! the options are the defaults of each entry; without it there is one model, named after the application.

mod check;
pub mod command;
mod error;
mod explainer;
pub mod graph;
pub mod manifest;
mod options;
pub mod proposal;
mod reader;
mod release;
mod resolve;
mod resolver;
pub mod secret;
mod suggestion;
pub mod value;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

use crate::api::seldon;
use crate::gateway::GatewayName;
use crate::gateway::prefix::Prefix;
use crate::shell::juju_config;
pub use error::ConfigError;
use error::Location;
pub use explainer::Explainer;
use graph::Node;
use manifest::Manifest;
pub(crate) use options::ENTRY_KEYS;
pub use release::{Canary, Shadow};
use resolver::OptionResolver;
use secret::{NamedSecret, SecretDataByUse};
use value::{
    Autoscale, DisruptionBudget, Headers, Image, Implementation, Logger, Milliseconds, Parameter, PodFields, Protocol,
    PullPolicy, Resources, Tracing, Violation,
};
pub(crate) use yaml::yaml;

/// Longest text of an option that is parsed, in bytes. A list of a hundred models takes about 20 KiB.
const LONGEST_OPTION: usize = 256 * 1024;

/// Most models of one application: as many as a hook can reconcile within its time.
const MOST_MODELS: usize = 200;

/// At least one of image and implementation is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    pub image: Option<Image>,
    /// Seldon's name of a prepackaged server.
    pub implementation: Option<Implementation>,
    /// The model's files, for Seldon's storage initializer.
    pub model_uri: Option<String>,
}

impl Source {
    fn version(&self) -> String {
        match (&self.image, &self.model_uri, &self.implementation) {
            (Some(image), _, _) => image.version().to_owned(),
            (None, Some(uri), _) => uri.trim_end_matches('/').rsplit('/').next().unwrap_or(uri).to_owned(),
            (None, None, server) => server.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.image, &self.implementation, &self.model_uri) {
            (Some(image), _, _) => write!(f, "{image}"),
            (None, Some(server), Some(uri)) => write!(f, "{uri} with {server}"),
            (None, Some(server), None) => write!(f, "{server}"),
            (None, None, _) => f.write_str("nothing"),
        }
    }
}

/// The server of a model, a canary or a shadow, and its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Replaces the options of a single server.
    pub graph: Option<Node>,
    pub source: Source,
    pub parameters: Vec<Parameter>,
    pub env: BTreeMap<String, String>,
    /// Of the model's container.
    pub resources: Option<Resources>,
    /// Of Seldon's executor in the same pod.
    pub engine_resources: Option<Resources>,
    /// The number of pods; 0 stops the model.
    pub replicas: u16,
    pub autoscale: Option<Autoscale>,
    pub disruption_budget: Option<DisruptionBudget>,
    pub image_pull_policy: PullPolicy,
    pub image_pull_secret: Option<NamedSecret>,
    /// For the model's files.
    pub storage_secret: Option<NamedSecret>,
    pub pod: Option<PodFields>,
    pub logger: Option<Logger>,
    pub tracing: Option<Tracing>,
}

impl std::fmt::Display for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.graph {
            Some(graph) => write!(f, "the graph {graph}"),
            None => write!(f, "{}", self.source),
        }
    }
}

/// A valid model, complete except for what depends on the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name of its objects too.
    pub name: String,
    /// Whether it is an entry of `models`, which is then the option to change.
    pub is_entry: bool,
    /// Replaces the options of the server.
    pub manifest: Option<Manifest>,
    pub server: ServerOptions,
    /// The options of the server as they were set.
    pub options: Map<String, Json>,
    /// The canary's own options.
    pub canary_options: Map<String, Json>,
    /// `None` leaves it to Seldon, which uses `seldon`.
    pub protocol: Option<Protocol>,
    pub canary: Option<Canary>,
    pub shadow: Option<Shadow>,
    pub explainer: Option<Explainer>,
    pub prefix: Prefix,
    pub hosts: Vec<String>,
    /// The hostname that identifies its gRPC calls without headers.
    pub grpc_host: Option<String>,
    pub timeout: Option<Milliseconds>,
    /// `None` leaves it to Istio.
    pub retries: Option<u8>,
    pub headers: Headers,
    /// Used instead of the related gateway.
    pub gateway: Option<GatewayName>,
    /// Labels for its objects and pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations for its pods.
    pub annotations: BTreeMap<String, String>,
}

impl Model {
    /// What it serves, in short.
    pub fn serves(&self) -> String {
        if let Some(manifest) = &self.manifest {
            return manifest.to_string();
        }
        let canary = self.canary.iter().map(ToString::to_string);
        let shadow = self.shadow.iter().map(ToString::to_string);
        let all: Vec<String> = [self.server.to_string()]
            .into_iter()
            .chain(canary)
            .chain(shadow)
            .collect();
        all.join(", ")
    }

    /// Its version, short enough for `juju status`: the tag of its image, or the last part of its model URI.
    pub fn version(&self) -> String {
        match (&self.manifest, &self.server.graph) {
            (Some(_), _) => "manifest".to_owned(),
            (None, Some(_)) => "graph".to_owned(),
            (None, None) => self.server.source.version(),
        }
    }

    /// The names of its predictors' Services.
    pub fn services(&self) -> Vec<String> {
        if let Some(manifest) = &self.manifest {
            return manifest.services(&self.name);
        }
        let canary = self.canary.as_ref().map(|_| seldon::CANARY);
        let shadow = self.shadow.as_ref().map(|_| seldon::SHADOW);
        let predictors = [Some(seldon::PREDICTOR), canary, shadow].into_iter().flatten();
        predictors
            .map(|predictor| format!("{}-{predictor}", self.name))
            .collect()
    }

    /// The command that sets an option of a predictor.
    pub fn predictor_config_command(&self, application: &str, predictor: &str, option: &str, value: &str) -> String {
        let is_release = [seldon::CANARY, seldon::SHADOW].contains(&predictor);
        if self.manifest.is_some() || self.is_entry || !is_release {
            return self.config_command(application, option, value);
        }
        juju_config(application, predictor, "…")
    }

    /// The command that sets an option. Inside a file of the reader, the message says what to set.
    pub fn config_command(&self, application: &str, option: &str, value: &str) -> String {
        let is_node_key = options::NODE_KEYS.contains(&option);
        if self.is_entry {
            juju_config(application, "models", "@models.yaml")
        } else if self.server.graph.is_some() && is_node_key {
            juju_config(application, "graph", "@graph.yaml")
        } else if self.manifest.is_some() && !["prefix", "grpc-host", "gateway"].contains(&option) {
            juju_config(application, "manifest", "@manifest.yaml")
        } else {
            juju_config(application, option, value)
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The valid models, sorted by name.
    pub models: Vec<Model>,
    /// In the order of the options.
    pub errors: Vec<ConfigError>,
    /// Models with errors: their objects in the cluster stay unchanged.
    pub frozen: BTreeSet<String>,
    /// The content of the valid models' Juju secrets, as far as they were read.
    pub secrets: SecretDataByUse,
}

/// Reads the answer of `config-get`. Total: whatever is wrong with it is in the result.
pub fn parse(application: &str, options: &Map<String, Json>) -> Config {
    let mut config = Config::default();
    let entries = match models(options) {
        Ok(Some(entries)) => entries,
        Ok(None) => vec![(application.to_owned(), Ok(None))],
        Err(violation) => {
            let location = Location::Option("models");
            config
                .errors
                .push(ConfigError::new(application, &location, "models", violation));
            return config;
        }
    };
    for (name, entry) in &entries {
        let entry = match entry {
            Ok(entry) => entry.as_ref(),
            Err(violation) => {
                let location = Location::Entry(name.clone());
                config
                    .errors
                    .push(ConfigError::new(application, &location, "", violation.clone()));
                config.frozen.insert(name.clone());
                continue;
            }
        };
        let mut resolver = OptionResolver::new(application, name, options, entry);
        let model = resolver.model();
        let errors = resolver.into_errors();
        if let (Some(model), true) = (model, errors.is_empty()) {
            config.models.push(model);
        } else {
            config.frozen.insert(name.clone());
        }
        for error in errors {
            // An invalid default is one error, however many models share it.
            if !config.errors.contains(&error) {
                config.errors.push(error);
            }
        }
    }
    check::route_names(application, &mut config);
    check::service_names(application, &mut config);
    check::overlaps(application, &mut config);
    check::grpc_hosts(application, &mut config);
    config.models.sort_by(|a, b| a.name.cmp(&b.name));
    config
}

/// The models by name, each with its entry in `models` if it has one.
type Entries = Vec<(String, Result<Option<Mapping>, Violation>)>;

/// The entries of `models`; `None` when the option is not set.
fn models(options: &Map<String, Json>) -> Result<Option<Entries>, Violation> {
    const EXAMPLE: &str = "@models.yaml";
    let Some(text) = options.get("models").and_then(Json::as_str) else {
        return Ok(None);
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let Value::Mapping(map) = yaml::yaml(text)? else {
        return Err(Violation::new("must be a YAML map of model names", EXAMPLE)
            .with_detail("such as {iris: {image: seldonio/sklearn-iris:0.3}}"));
    };
    if map.len() > MOST_MODELS {
        let rule = format!("has {} models, must be at most {MOST_MODELS}", map.len());
        return Err(Violation::new(rule, EXAMPLE));
    }
    let entry = |(name, entry)| match (name, entry) {
        (Value::String(name), Value::Null) => (name, Ok(Some(Mapping::new()))),
        (Value::String(name), Value::Mapping(entry)) => (name, Ok(Some(entry))),
        (Value::String(name), _) => {
            let violation =
                Violation::new("must be a map", "").with_detail("such as {image: seldonio/sklearn-iris:0.3}");
            (name, Err(violation))
        }
        (name, _) => {
            let violation = Violation::new("the model's name must be text", "").with_detail("put it in quotes");
            (value::scalar(&name).unwrap_or_default(), Err(violation))
        }
    };
    Ok(Some(map.into_iter().map(entry).collect()))
}

#[cfg(test)]
pub(crate) mod tests;
