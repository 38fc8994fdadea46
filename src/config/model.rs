//! A model: its options, and how they are read and checked with each other.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::check;
use super::explainer::{Explainer, explainer};
use super::graph::{Node, graph};
use super::manifest::{Manifest, manifest};
use super::options::{self, Scope};
use super::release::{Canary, Shadow};
use super::resolver::OptionResolver;
use super::secret::{NamedSecret, Purpose};
use super::value::{
    self, Access, Autoscale, DisruptionBudget, Headers, Image, Implementation, Logger, Milliseconds, Parameter,
    PodFields, Protocol, PullPolicy, Resources, Tracing,
};
use super::yaml::yaml;
use crate::api::seldon;
use crate::gateway::GatewayName;
use crate::gateway::prefix::Prefix;
use crate::shell::juju_config;

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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl fmt::Display for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// `None` lets everyone in who reaches the gateway.
    pub access: Option<Access>,
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
        if self.is_entry {
            juju_config(application, "models", "@models.yaml")
        } else if self.server.graph.is_some() && options::is_within(option, Scope::Node) {
            juju_config(application, "graph", "@graph.yaml")
        } else if self.manifest.is_some() && options::is_within(option, Scope::SeldonDeployment) {
            juju_config(application, "manifest", "@manifest.yaml")
        } else {
            juju_config(application, option, value)
        }
    }
}

impl OptionResolver<'_> {
    /// Reads every option. `None` if there is no model to return; one that is returned may have errors.
    pub fn model(&mut self) -> Option<Model> {
        self.check_keys();
        check::name(self);
        let protocol = self.text("protocol", value::protocol);
        let manifest = self.manifest();
        let server = self.server(protocol, manifest.is_none());
        let is_manifest = manifest.is_some();
        let (canary, shadow) = if is_manifest {
            (None, None)
        } else {
            (self.canary(protocol), self.shadow(protocol))
        };
        let default_prefix = value::prefix(&format!("/model/{}/", self.name)).ok();
        let prefix = self.text("prefix", value::prefix).or(default_prefix)?;
        let hosts = self.hosts();
        let annotations = self.yaml("annotations", value::annotations).unwrap_or_default();
        let access = self.access(&hosts, &annotations, manifest.as_ref());
        let model = Model {
            name: self.name.to_owned(),
            is_entry: self.is_entry(),
            manifest,
            server,
            options: self.options(),
            canary_options: self.map("canary"),
            protocol,
            canary,
            shadow,
            explainer: if is_manifest { None } else { self.explainer(protocol) },
            prefix,
            grpc_host: self.grpc_host(&hosts),
            timeout: self.text("timeout", value::duration),
            retries: self
                .number("retries", 0..=10)
                .and_then(|attempts| attempts.try_into().ok()),
            headers: self.yaml("headers", value::headers).unwrap_or_default(),
            access,
            gateway: self.text("gateway", value::gateway),
            labels: self.yaml("labels", value::labels).unwrap_or_default(),
            annotations,
            hosts,
        };
        Some(model)
    }

    fn hosts(&mut self) -> Vec<String> {
        let hosts = self.take("hosts", |value| match value {
            // `*` and `*.domain` are not YAML.
            Value::String(text) if !text.trim_start().starts_with('[') => value::hosts(value),
            Value::String(text) => value::hosts(&yaml(text)?),
            other => value::hosts(other),
        });
        hosts.unwrap_or_else(|| vec!["*".to_owned()])
    }

    fn grpc_host(&mut self, hosts: &[String]) -> Option<String> {
        let host = self.text("grpc-host", value::host)?;
        check::grpc_host(self, &host, hosts);
        Some(host)
    }

    fn access(
        &mut self,
        hosts: &[String],
        annotations: &BTreeMap<String, String>,
        manifest: Option<&Manifest>,
    ) -> Option<Access> {
        let access = self.yaml("access", value::access)?;
        let of_manifest = manifest.and_then(|manifest| manifest.spec.get("annotations")?.as_object());
        let of_manifest = of_manifest.into_iter().flat_map(serde_json::Map::keys);
        check::access(self, hosts, annotations.keys().chain(of_manifest));
        Some(access)
    }

    /// Reads the options of a server, which must have a source where one is needed.
    pub fn server(&mut self, protocol: Option<Protocol>, needed: bool) -> ServerOptions {
        let graph = if needed && self.exclusive("graph", &options::names(Scope::Node)) {
            self.take("graph", |value| graph(value, protocol))
        } else {
            None
        };
        if graph.is_some() {
            let server = ServerOptions { graph, ..self.pods() };
            check::pods(self, &server, needed);
            return server;
        }
        let source = Source {
            image: self.text("image", value::image),
            implementation: self.text("implementation", value::implementation),
            model_uri: self.text("model-uri", value::model_uri),
        };
        if !self.has_errors() && needed {
            check::source(self, &source, protocol);
        }
        let server = ServerOptions {
            source,
            parameters: self.yaml("parameters", value::parameters).unwrap_or_default(),
            env: self.yaml("env", value::env).unwrap_or_default(),
            resources: self.yaml("resources", value::resources),
            ..self.pods()
        };
        check::pods(self, &server, needed);
        server
    }

    fn explainer(&mut self, protocol: Option<Protocol>) -> Option<Explainer> {
        let explainer = self.take("explainer", |value| match value {
            Value::String(text) => explainer(&yaml(text)?, protocol),
            other => explainer(other, protocol),
        })?;
        check::explainer(self);
        Some(explainer)
    }

    /// Reads the options that a single server and a graph have in common.
    fn pods(&mut self) -> ServerOptions {
        ServerOptions {
            graph: None,
            source: Source::default(),
            parameters: Vec::new(),
            env: BTreeMap::new(),
            resources: None,
            engine_resources: self.yaml("engine-resources", value::resources),
            replicas: self.number("replicas", 0..=100).unwrap_or(1),
            autoscale: self.yaml("autoscale", value::autoscale),
            disruption_budget: self.yaml("disruption-budget", value::disruption_budget),
            image_pull_policy: self.text("image-pull-policy", value::pull_policy).unwrap_or_default(),
            image_pull_secret: self.secret(Purpose::ImagePull),
            storage_secret: self.secret(Purpose::Storage),
            pod: self.yaml("pod", value::pod),
            logger: self.yaml("logger", value::logger),
            tracing: self.yaml("tracing", value::tracing),
        }
    }

    fn secret(&mut self, purpose: Purpose) -> Option<NamedSecret> {
        let reference = self.text(purpose.as_str(), value::secret)?;
        let location = self.location(purpose.as_str());
        Some(NamedSecret { reference, location })
    }

    /// The manifest, if it describes the model.
    fn manifest(&mut self) -> Option<Manifest> {
        if !self.exclusive("manifest", &options::names(Scope::SeldonDeployment)) {
            return None;
        }
        let manifest = self.take("manifest", manifest)?;
        check::services(self, &manifest);
        Some(manifest)
    }
}
