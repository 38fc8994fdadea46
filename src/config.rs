//! Options in, models out. Every fault is collected, each naming option, value, rule and mend.
//!
//! One vocabulary: an entry of `models` uses the words of the options, parsed by the same code. With `models` set
//! the options are the defaults of each entry; without it there is one model, named after the application.

mod check;
pub mod command;
mod error;
mod explain;
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
pub use explain::Explainer;
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

/// Longest text of an option that is looked into, in bytes. A list of a hundred models takes about 20 KiB.
const LONGEST_OPTION: usize = 256 * 1024;

/// Most models of one application: as many as a hook can look after within its time.
const MOST_MODELS: usize = 200;

/// What a model is served from. At least one of image and implementation is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The image of the model server.
    pub image: Option<Image>,
    /// Seldon's name of a prepackaged server.
    pub implementation: Option<Implementation>,
    /// Where the model's files are, for Seldon's storage initializer.
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

/// What answers requests, as one set of words describes it: a server and its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// The nodes that a request goes through, where there are several. Then the words of one server say nothing.
    pub graph: Option<Node>,
    /// What is served.
    pub source: Source,
    /// Parameters of the model server.
    pub parameters: Vec<Parameter>,
    /// Environment of the model's container.
    pub env: BTreeMap<String, String>,
    /// What the model's container asks for and may take.
    pub resources: Option<Resources>,
    /// The same for Seldon's executor beside it.
    pub engine_resources: Option<Resources>,
    /// How many pods; none when it is stopped on purpose.
    pub replicas: u16,
    /// Who else decides how many.
    pub autoscale: Option<Autoscale>,
    /// How many of them may be away while a node is emptied.
    pub disruption_budget: Option<DisruptionBudget>,
    /// When the node pulls the image.
    pub image_pull_policy: PullPolicy,
    /// What it is allowed to pull it with.
    pub image_pull_secret: Option<NamedSecret>,
    /// What the model's files are fetched with.
    pub storage_secret: Option<NamedSecret>,
    /// What else its pods are to have.
    pub pod: Option<PodFields>,
    /// Where copies of requests and answers go.
    pub logger: Option<Logger>,
    /// Where traces go.
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

/// A model as it was asked for: sound, and complete but for the site it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name, and so the name of its objects.
    pub name: String,
    /// Whether it is an entry of `models`, so that what is to be changed is changed there.
    pub is_entry: bool,
    /// The whole of it, if it was written as a SeldonDeployment. Then the words that describe a server say nothing.
    pub manifest: Option<Manifest>,
    /// What serves it.
    pub server: ServerOptions,
    /// The words that say so, as they were set, wherever that was.
    pub options: Map<String, Json>,
    /// Those that its canary says for itself.
    pub canary_options: Map<String, Json>,
    /// The protocol its clients speak; `None` leaves it to Seldon, which means `seldon`.
    pub protocol: Option<Protocol>,
    /// What gets some of its requests.
    pub canary: Option<Canary>,
    /// What gets copies of its requests.
    pub shadow: Option<Shadow>,
    /// What explains its answers.
    pub explainer: Option<Explainer>,
    /// The path that leads to it.
    pub prefix: Prefix,
    /// The host names it answers to.
    pub hosts: Vec<String>,
    /// The host name by which its calls over gRPC are known without headers.
    pub grpc_host: Option<String>,
    /// How long the gateway waits for an answer.
    pub timeout: Option<Milliseconds>,
    /// How often the gateway tries again; `None` leaves it to Istio.
    pub retries: Option<u8>,
    /// What becomes of headers on the way.
    pub headers: Headers,
    /// The gateway that was named for it, instead of the related one.
    pub gateway: Option<GatewayName>,
    /// Labels for its objects and pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations for its pods.
    pub annotations: BTreeMap<String, String>,
}

impl Model {
    /// In a few words what it serves.
    #[must_use]
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

    /// The version of what it serves, as short as `juju status` has room for: the tag of its image, or the last part of where its
    /// files are.
    #[must_use]
    pub fn version(&self) -> String {
        match (&self.manifest, &self.server.graph) {
            (Some(_), _) => "manifest".to_owned(),
            (None, Some(_)) => "graph".to_owned(),
            (None, None) => self.server.source.version(),
        }
    }

    /// The names of its predictors' Services.
    #[must_use]
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

    /// What an operator types to set a word of that predictor of this model.
    #[must_use]
    pub fn predictor_config_command(&self, application: &str, predictor: &str, option: &str, value: &str) -> String {
        if self.manifest.is_some() || ![seldon::CANARY, seldon::SHADOW].contains(&predictor) {
            return self.config_command(application, option, value);
        }
        if self.is_entry {
            self.config_command(application, &format!("{option} in {predictor}"), value)
        } else {
            format!("set {option} in it and {}", juju_config(application, predictor, "{…}"))
        }
    }

    /// What an operator types to set a word of this model.
    #[must_use]
    pub fn config_command(&self, application: &str, option: &str, value: &str) -> String {
        if self.is_entry {
            let file = juju_config(application, "models", "@models.yaml");
            format!("set {option} of {} and {file}", self.name)
        } else if self.server.graph.is_some() && options::NODE_KEYS.contains(&option) {
            format!(
                "set {option} in the graph and {}",
                juju_config(application, "graph", "@graph.yaml")
            )
        } else if self.manifest.is_some() && !["prefix", "grpc-host", "gateway"].contains(&option) {
            let file = juju_config(application, "manifest", "@manifest.yaml");
            format!("set {option} in the manifest and {file}")
        } else {
            juju_config(application, option, value)
        }
    }
}

/// What the options ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The sound models, by name.
    pub models: Vec<Model>,
    /// What is wrong, in the order of the options.
    pub errors: Vec<ConfigError>,
    /// Models that were named but are faulty: what they have in the cluster stays as it is.
    pub frozen: BTreeSet<String>,
    /// What is in those secrets of Juju's that the sound models name and that were read.
    pub secrets: SecretDataByUse,
}

/// Reads what `config-get` answered. Total: whatever is in there, the result says it.
#[must_use]
pub fn parse(application: &str, options: &Map<String, Json>) -> Config {
    let mut config = Config::default();
    let entries = match models(options) {
        Ok(Some(entries)) => entries,
        Ok(None) => vec![(application.to_owned(), Ok(None))],
        Err(rule) => {
            config.errors.push(ConfigError::new(
                application,
                &Location::Option("models"),
                "models",
                rule,
            ));
            return config;
        }
    };
    for (name, entry) in &entries {
        let entry = match entry {
            Ok(entry) => entry.as_ref(),
            Err(rule) => {
                let location = Location::Entry(name.clone());
                config
                    .errors
                    .push(ConfigError::new(application, &location, "entry", rule.clone()));
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
            // A faulty default is one fault, however many models share it.
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

/// The models by name, each with its entry in `models` if there is one, or what is wrong with that.
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
        return Err(Violation::new(
            "must be a YAML map of model name to entry, such as {iris: {image: seldonio/sklearn-iris:0.3}}",
            EXAMPLE,
        ));
    };
    if map.len() > MOST_MODELS {
        let rule = format!(
            "has {} models, at most {MOST_MODELS} are served by one application",
            map.len()
        );
        return Err(Violation::new(rule, EXAMPLE));
    }
    let entry = |(name, entry)| match (name, entry) {
        (Value::String(name), Value::Null) => (name, Ok(Some(Mapping::new()))),
        (Value::String(name), Value::Mapping(entry)) => (name, Ok(Some(entry))),
        (Value::String(name), _) => {
            let rule = "must be a map, such as {image: seldonio/sklearn-iris:0.3}";
            (name, Err(Violation::new(rule, "")))
        }
        (name, _) => {
            let rule = "the name of a model must be text, such as iris";
            (value::scalar(&name).unwrap_or_default(), Err(Violation::new(rule, "")))
        }
    };
    Ok(Some(map.into_iter().map(entry).collect()))
}

#[cfg(test)]
mod tests;
