//! A charm as Juju reads it: metadata.yaml, config.yaml and actions.yaml of a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options::OptionSpec;

/// One end of a possible relation. Scope and limit are left out: the agent enforces neither (juju/charm@v12:meta.go).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The interface it speaks.
    pub interface: String,
}

/// An action of the charm.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionSpec {
    /// What it does.
    pub description: String,
    /// JSON schemas of its parameters.
    pub params: BTreeMap<String, Value>,
    /// Parameters that must be given.
    pub required: Vec<String>,
    /// `false` refuses parameters that are not listed.
    pub additional_properties: Option<bool>,
}

/// What Juju knows of a charm.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Charm {
    /// Its name in metadata.yaml.
    pub name: String,
    /// The directory it was read from; empty for a fake.
    #[serde(default)]
    pub directory: PathBuf,
    /// Counts upgrades; the agent runs upgrade-charm when it differs from what it last saw.
    #[serde(default)]
    pub revision: u64,
    /// Where it came from, for `site status`: a channel or `local`.
    #[serde(default)]
    pub channel: String,
    /// Whether it runs no code here, as istio-pilot, istio-gateway and seldon-core.
    #[serde(default)]
    pub fake: bool,
    /// Endpoints by name.
    #[serde(default)]
    pub requires: BTreeMap<String, Endpoint>,
    /// Endpoints by name.
    #[serde(default)]
    pub provides: BTreeMap<String, Endpoint>,
    /// Endpoints by name.
    #[serde(default)]
    pub peers: BTreeMap<String, Endpoint>,
    /// Options by name.
    #[serde(default)]
    pub options: BTreeMap<String, OptionSpec>,
    /// Actions by name.
    #[serde(default)]
    pub actions: BTreeMap<String, ActionSpec>,
}

/// The part of metadata.yaml that counts here.
#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    requires: BTreeMap<String, Written>,
    #[serde(default)]
    provides: BTreeMap<String, Written>,
    #[serde(default)]
    peers: BTreeMap<String, Written>,
}

/// An endpoint in metadata.yaml: a map, or the bare interface (juju/charm@v12:meta.go).
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Bare(String),
    Map(Endpoint),
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    options: BTreeMap<String, OptionSpec>,
}

fn endpoints(written: BTreeMap<String, Written>) -> BTreeMap<String, Endpoint> {
    written
        .into_iter()
        .map(|(name, written)| match written {
            Written::Bare(interface) => (name, Endpoint { interface }),
            Written::Map(endpoint) => (name, endpoint),
        })
        .collect()
}

impl Charm {
    /// Reads a charm directory.
    ///
    /// # Errors
    /// metadata.yaml cannot be read, or one of the three files is not of its form.
    pub fn read(directory: &Path) -> Result<Self> {
        let metadata: Metadata = parse(&directory.join("metadata.yaml"))?.with_context(|| {
            format!(
                "{} holds no metadata.yaml, so it is no charm directory",
                directory.display()
            )
        })?;
        let config: Config = parse(&directory.join("config.yaml"))?.unwrap_or_default();
        let actions: Option<BTreeMap<String, ActionSpec>> = parse(&directory.join("actions.yaml"))?;
        let directory = directory
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", directory.display()))?;
        Ok(Self {
            name: metadata.name,
            directory,
            revision: 0,
            channel: "local".to_owned(),
            fake: false,
            requires: endpoints(metadata.requires),
            provides: endpoints(metadata.provides),
            peers: endpoints(metadata.peers),
            options: config.options,
            actions: actions.unwrap_or_default(),
        })
    }

    /// A charm that runs no code here. Of those the site knows, the endpoints and options that matter to a model are
    /// as in their charms (canonical/istio-operators, canonical/seldon-core-operator); any other is empty.
    #[must_use]
    pub fn fake(name: &str, channel: &str) -> Self {
        let one = |endpoint: &str, interface: &str| {
            BTreeMap::from([(
                endpoint.to_owned(),
                Endpoint {
                    interface: interface.to_owned(),
                },
            )])
        };
        let option = |name: &str, default: &str| {
            let spec = OptionSpec {
                default: Some(Value::from(default)),
                ..OptionSpec::default()
            };
            (name.to_owned(), spec)
        };
        let mut charm = Self {
            name: name.to_owned(),
            channel: channel.to_owned(),
            fake: true,
            ..Self::default()
        };
        match name {
            "istio-pilot" => {
                charm.provides = one("gateway-info", "istio-gateway-info");
                charm.provides.extend(one("istio-pilot", "k8s-service"));
                charm.options = BTreeMap::from([option("default-gateway", "istio-gateway")]);
            }
            "istio-gateway" => {
                charm.requires = one("istio-pilot", "k8s-service");
                charm.options = BTreeMap::from([option("kind", ""), option("gateway_service_type", "LoadBalancer")]);
            }
            "istio-ingress-k8s" => {
                charm.provides = one("gateway-metadata", "gateway_metadata");
                charm.provides.extend(one("istio-ingress-route", "istio_ingress_route"));
                charm.provides.extend(one("ingress", "ingress"));
                charm.requires = one("certificates", "tls-certificates");
                charm.options = BTreeMap::from([option("external_hostname", "")]);
            }
            "seldon-core" => {
                charm.requires = one("gateway-info", "istio-gateway-info");
                charm.provides = one("metrics-endpoint", "prometheus_scrape");
                charm.options = BTreeMap::from([option("istio-gateway", "istio-system/seldon-gateway")]);
            }
            _ => {}
        }
        charm
    }

    /// The interface of an endpoint, whatever its role; `juju-info` is every charm's, unasked
    /// (juju/juju, state/application.go).
    #[must_use]
    pub fn interface(&self, endpoint: &str) -> Option<&str> {
        [&self.provides, &self.requires, &self.peers]
            .into_iter()
            .find_map(|role| role.get(endpoint))
            .map(|endpoint| endpoint.interface.as_str())
            .or_else(|| (endpoint == "juju-info").then_some("juju-info"))
    }
}

/// A YAML file, `None` where there is none or it is empty.
fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_yaml::from_str(&text).with_context(|| format!("{} is not of its form", path.display()))
}
