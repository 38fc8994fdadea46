//! The secrets that models name, and what is made of their content for Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::ByteString;
use serde_json::{Value as Json, json};

use super::error::{ConfigError, Location};
use super::value::{SecretRef, SecretUri, Violation};
use super::{Config, Model, ServerOptions};
use crate::shell::command;
use juju_hooks::{SecretContent, SecretError};

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// With it the node pulls images.
    ImagePull,
    /// With it Seldon's storage initializer fetches the model's files.
    Storage,
}

impl Purpose {
    /// The word that names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image-pull-secret",
            Self::Storage => "storage-secret",
        }
    }

    /// What `juju add-secret` and `juju update-secret` take for it.
    fn keys(self) -> &'static str {
        match self {
            Self::ImagePull => "registry=… username=… password=…",
            Self::Storage => "access-key-id=… secret-access-key=… endpoint=…",
        }
    }

    /// The kind of Secret that `kubectl create secret` makes for it.
    fn kubectl(self) -> &'static str {
        match self {
            Self::ImagePull => "docker-registry",
            Self::Storage => "generic",
        }
    }
}

/// A secret that a word names, and where it does, for what is found out about it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSecret {
    /// Which it is.
    pub of: SecretRef,
    pub(super) location: Location,
}

/// What is in a Secret of Kubernetes, by key. Its values are shown nowhere, not even to whoever debugs.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretData(BTreeMap<String, String>);

impl SecretData {
    /// As the API has it.
    #[must_use]
    pub fn encoded(&self) -> BTreeMap<String, ByteString> {
        let encode = |(key, value): (&String, &String)| (key.clone(), ByteString(value.clone().into_bytes()));
        self.0.iter().map(encode).collect()
    }

    /// What a Secret of the API has under these keys; `None` if one of them is missing or no text.
    #[must_use]
    pub fn decoded<'a>(data: &Json, keys: impl Iterator<Item = &'a str>) -> Option<Self> {
        let decode = |key: &str| {
            let ByteString(bytes) = serde_json::from_value(data.get(key)?.clone()).ok()?;
            Some((key.to_owned(), String::from_utf8(bytes).ok()?))
        };
        keys.map(decode).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What was read of the secrets of Juju's that the sound models name.
pub type SecretDataByUse = BTreeMap<(Purpose, SecretUri), SecretData>;

/// What Juju answered when it was asked for secrets.
pub type SecretContents = BTreeMap<SecretUri, Result<SecretContent, SecretError>>;

impl ServerOptions {
    /// The secrets that it needs. One for files is of no use where none are fetched.
    pub fn secrets(&self) -> impl Iterator<Item = (Purpose, &NamedSecret)> {
        let files = match &self.graph {
            Some(graph) => graph.all().iter().any(|node| node.source.model_uri.is_some()),
            None => self.source.model_uri.is_some(),
        };
        let storage = self.storage_secret.iter().filter(move |_| files);
        let pull = self.image_pull_secret.iter().map(|secret| (Purpose::ImagePull, secret));
        pull.chain(storage.map(|secret| (Purpose::Storage, secret)))
    }
}

impl Model {
    /// What its explainer's files are fetched with, if it has any: the same as the model's own would be.
    #[must_use]
    pub fn explainer_secret(&self) -> Option<&NamedSecret> {
        let files = self
            .explainer
            .as_ref()
            .and_then(|explainer| explainer.model_uri.as_ref());
        self.server.storage_secret.as_ref().filter(|_| files.is_some())
    }

    /// The secrets of Juju's that it needs.
    pub fn juju_secrets(&self) -> impl Iterator<Item = (Purpose, &SecretUri)> {
        self.named_secrets().map(|(purpose, uri, _)| (purpose, uri))
    }

    /// The same with where each is named.
    fn named_secrets(&self) -> impl Iterator<Item = (Purpose, &SecretUri, &Location)> {
        let server = Some(&self.server).filter(|_| self.manifest.is_none());
        let canary = self.canary.as_ref().map(|canary| &canary.server);
        let shadow = self.shadow.as_ref().map(|shadow| &shadow.server);
        let servers = [server, canary, shadow].into_iter().flatten();
        let of_explainer = self.explainer_secret().map(|named| (Purpose::Storage, named));
        servers
            .flat_map(ServerOptions::secrets)
            .chain(of_explainer)
            .filter_map(|(purpose, named)| match &named.of {
                SecretRef::Juju(uri) => Some((purpose, uri, &named.location)),
                SecretRef::Kubernetes(_) => None,
            })
    }
}

impl Config {
    /// The secrets that Juju has to be asked for.
    #[must_use]
    pub fn juju_secrets(&self) -> BTreeSet<SecretUri> {
        let all = self.models.iter().flat_map(Model::juju_secrets);
        all.map(|(_, uri)| uri.clone()).collect()
    }

    /// Takes in what Juju answered. A model whose secret cannot be read, or is none of its purpose, is held as a faulty one. A secret
    /// that was not read is what is made of it already.
    pub fn resolve_secrets(&mut self, application: &str, namespace: &str, answers: &SecretContents) {
        let location = SecretResolver { application, namespace };
        let Self {
            models,
            errors,
            frozen,
            secrets,
        } = self;
        models.retain(|model| {
            let mut valid = true;
            for (purpose, uri, written) in model.named_secrets() {
                let Some(answer) = answers.get(uri) else {
                    continue;
                };
                match location.content(purpose, uri, written, answer) {
                    Ok(data) => {
                        secrets.insert((purpose, uri.clone()), data);
                    }
                    Err(error) => {
                        valid = false;
                        // One secret that many models share is one fault.
                        if !errors.contains(&error) {
                            errors.push(error);
                        }
                    }
                }
            }
            if !valid {
                frozen.insert(model.name.clone());
            }
            valid
        });
    }
}

/// Who asks, for what to type.
struct SecretResolver<'a> {
    application: &'a str,
    namespace: &'a str,
}

impl SecretResolver<'_> {
    fn content(
        &self,
        purpose: Purpose,
        uri: &SecretUri,
        location: &Location,
        answer: &Result<SecretContent, SecretError>,
    ) -> Result<SecretData, ConfigError> {
        let application = self.application;
        let (keys, option) = (purpose.keys(), purpose.as_str());
        let error = |rule: String, example: &str| {
            let rule = Violation {
                value: Some(uri.to_string()),
                ..Violation::new(rule, example)
            };
            ConfigError::new(application, location, option, rule)
        };
        match answer {
            Ok(content) => {
                let data = match purpose {
                    Purpose::ImagePull => image_pull(content),
                    Purpose::Storage => storage(content),
                };
                data.map_err(|rule| {
                    error(rule, "").fixed_by(format!(
                        "{} {keys}",
                        command(&["juju", "update-secret", &uri.to_string()])
                    ))
                })
            }
            Err(SecretError::NotGranted) => Err(error(format!("is not granted to {application}"), "")
                .fixed_by(command(&["juju", "grant-secret", &uri.to_string(), application]))),
            Err(SecretError::Unsupported(version)) => Err(error(
                format!("Juju {version} has no secrets for charms, as Juju has from 3.0.3 on"),
                "kubernetes:NAME",
            )
            .fixed_after(&format!(
                "{} NAME …",
                command(&["kubectl", "-n", self.namespace, "create", "secret", purpose.kubectl()])
            ))),
            Err(SecretError::NotFound) => Err(error("there is no such secret (any more)".to_owned(), "secret:…")
                .fixed_after(&format!(
                    "{} {keys}, {}",
                    command(&["juju", "add-secret", "NAME"]),
                    command(&["juju", "grant-secret", "NAME", application])
                ))),
        }
    }
}

/// The whole of a registry's credentials, as container runtimes have them in a file.
const DOCKER_CONFIG: &str = "dockerconfigjson";
/// The key of such a Secret (kubernetes/api, `core/v1/types.go`, `DockerConfigJsonKey`).
const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";

/// A Secret with which a node pulls images.
fn image_pull(content: &SecretContent) -> Result<SecretData, String> {
    let need = |key: &str| content.get(key).ok_or_else(|| format!("the secret has no key {key}"));
    let config = if let Some(whole) = content.get(DOCKER_CONFIG) {
        let read: Option<Json> = serde_json::from_str(whole).ok();
        let valid = read.is_some_and(|read| read.get("auths").is_some_and(Json::is_object));
        if !valid {
            return Err(format!("the secret's key {DOCKER_CONFIG} is no JSON with a map auths"));
        }
        whole.to_owned()
    } else {
        let registry = content
            .get("registry")
            .or(content.get("server"))
            .map_or_else(|| need("registry"), Ok)?
            .trim();
        if registry.is_empty() || registry.contains(char::is_whitespace) {
            return Err("the secret's key registry is no host of a registry".to_owned());
        }
        let (username, password) = (need("username")?, need("password")?);
        let auth = ByteString(format!("{username}:{password}").into_bytes());
        json!({"auths": {registry: {"username": username, "password": password, "auth": auth}}}).to_string()
    };
    Ok(SecretData([(DOCKER_CONFIG_JSON.to_owned(), config)].into()))
}

/// Keys for a store that speaks S3, with the settings of rclone's remote `s3` that they are (rclone, docs, "S3").
const S3: [(&str, &str); 6] = [
    ("provider", "PROVIDER"),
    ("access-key-id", "ACCESS_KEY_ID"),
    ("secret-access-key", "SECRET_ACCESS_KEY"),
    ("session-token", "SESSION_TOKEN"),
    ("endpoint", "ENDPOINT"),
    ("region", "REGION"),
];

/// A Secret with the environment of Seldon's storage initializer, which is rclone (SeldonIO/seldon-core v1.17.1,
/// `components/rclone-storage-initializer`).
fn storage(content: &SecretContent) -> Result<SecretData, String> {
    let setting = |name: &str| format!("RCLONE_CONFIG_S3_{name}");
    let mut data = BTreeMap::new();
    if content
        .iter()
        .any(|(key, _)| S3.iter().any(|(option, _)| *option == key))
    {
        for key in ["access-key-id", "secret-access-key"] {
            if content.get(key).is_none() {
                return Err(format!("the secret has no key {key}"));
            }
        }
        let provider = if content.get("endpoint").is_some() {
            "Other"
        } else {
            "AWS"
        };
        for (name, value) in [("TYPE", "s3"), ("ENV_AUTH", "false"), ("PROVIDER", provider)] {
            data.insert(setting(name), value.to_owned());
        }
    }
    for (key, value) in content.iter() {
        let name = match S3.iter().find(|(option, _)| *option == key) {
            Some((_, name)) => setting(name),
            None => key.to_ascii_uppercase().replace('-', "_"),
        };
        data.insert(name, value.to_owned());
    }
    if !data
        .keys()
        .any(|name| name.starts_with("RCLONE_") || name.starts_with("AWS_"))
    {
        return Err("the secret has no key access-key-id, nor one that begins with rclone-config-".to_owned());
    }
    Ok(SecretData(data))
}
