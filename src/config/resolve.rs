//! Reads a model from its options, and checks them with each other.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::explainer::{Explainer, explainer};
use super::graph::graph;
use super::manifest::{Manifest, manifest};
use super::options::{NODE_KEYS, SERVER_KEYS};
use super::resolver::OptionResolver;
use super::secret::{NamedSecret, Purpose};
use super::value::{self, Protocol};
use super::yaml::yaml;
use super::{Model, ServerOptions, Source, check};

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
            hosts,
            timeout: self.text("timeout", value::duration),
            retries: self
                .number("retries", 0..=10)
                .and_then(|attempts| attempts.try_into().ok()),
            headers: self.yaml("headers", value::headers).unwrap_or_default(),
            gateway: self.text("gateway", value::gateway),
            labels: self.yaml("labels", value::labels).unwrap_or_default(),
            annotations: self.yaml("annotations", value::annotations).unwrap_or_default(),
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

    /// Reads the options of a server, which must have a source where one is needed.
    pub fn server(&mut self, protocol: Option<Protocol>, needed: bool) -> ServerOptions {
        let graph = if needed && self.exclusive("graph", &NODE_KEYS) {
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
        if !self.exclusive("manifest", &SERVER_KEYS) {
            return None;
        }
        let manifest = self.take("manifest", manifest)?;
        check::services(self, &manifest);
        Some(manifest)
    }
}
