//! The secrets that models refer to, and the Kubernetes Secrets made from their content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::ByteString;
use serde_json::{Value as Json, json};
use zeroize::Zeroize;

use super::error::{ConfigError, Location};
use super::value::{SecretRef, SecretUri, Violation};
use super::{Config, Model, ServerOptions};
use crate::shell::{command, juju_config, setting};
use juju_hooks::{SecretContent, SecretError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// For pulling images.
    ImagePull,
    /// For Seldon's storage initializer, which fetches the model's files.
    Storage,
}

impl Purpose {
    /// The option.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image-pull-secret",
            Self::Storage => "storage-secret",
        }
    }

    /// The keys of such a Juju secret.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::ImagePull => &["registry", "username", "password"],
            Self::Storage => &["access-key-id", "secret-access-key", "endpoint"],
        }
    }

    /// The end of a name for such a secret.
    fn kind(self) -> &'static str {
        match self {
            Self::ImagePull => "registry",
            Self::Storage => "storage",
        }
    }

    /// The type of such a Secret in `kubectl create secret`.
    fn kubectl(self) -> &'static str {
        match self {
            Self::ImagePull => "docker-registry",
            Self::Storage => "generic",
        }
    }
}

/// A reference to a secret with its location, for errors that are found when the secret is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSecret {
    pub reference: SecretRef,
    pub(super) location: Location,
}

/// The content of a Kubernetes Secret. Its values are never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretData(BTreeMap<String, String>);

impl SecretData {
    pub fn encoded(&self) -> BTreeMap<String, ByteString> {
        let encode = |(key, value): (&String, &String)| (key.clone(), ByteString(value.clone().into_bytes()));
        self.0.iter().map(encode).collect()
    }

    /// The values of these keys in a Secret; `None` if one of them is missing or not text.
    pub fn decoded<'a>(data: &Json, keys: impl Iterator<Item = &'a str>) -> Option<Self> {
        let decode = |key: &str| {
            let ByteString(bytes) = serde_json::from_value(data.get(key)?.clone()).ok()?;
            Some((key.to_owned(), String::from_utf8(bytes).ok()?))
        };
        keys.map(decode).collect::<Option<_>>().map(Self)
    }
}

impl Drop for SecretData {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The content of the Juju secrets that the valid models refer to.
pub type SecretDataByUse = BTreeMap<(Purpose, SecretUri), SecretData>;

/// What Juju answered for each secret.
pub type SecretContents = BTreeMap<SecretUri, Result<SecretContent, SecretError>>;

impl ServerOptions {
    /// Without files to fetch it needs no storage secret.
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
    /// An explainer's files are fetched with the storage secret of the model.
    pub fn explainer_secret(&self) -> Option<&NamedSecret> {
        let files = self
            .explainer
            .as_ref()
            .and_then(|explainer| explainer.model_uri.as_ref());
        self.server.storage_secret.as_ref().filter(|_| files.is_some())
    }

    pub fn juju_secrets(&self) -> impl Iterator<Item = (Purpose, &SecretUri)> {
        self.named_secrets().map(|(purpose, uri, _)| (purpose, uri))
    }

    /// The Juju secrets with the locations of their references.
    fn named_secrets(&self) -> impl Iterator<Item = (Purpose, &SecretUri, &Location)> {
        let server = Some(&self.server).filter(|_| self.manifest.is_none());
        let canary = self.canary.as_ref().map(|canary| &canary.server);
        let shadow = self.shadow.as_ref().map(|shadow| &shadow.server);
        let servers = [server, canary, shadow].into_iter().flatten();
        let explainer = self.explainer_secret().map(|named| (Purpose::Storage, named));
        servers
            .flat_map(ServerOptions::secrets)
            .chain(explainer)
            .filter_map(|(purpose, named)| match &named.reference {
                SecretRef::Juju(uri) => Some((purpose, uri, &named.location)),
                SecretRef::Kubernetes(_) => None,
            })
    }
}

impl Config {
    pub fn juju_secrets(&self) -> BTreeSet<SecretUri> {
        let all = self.models.iter().flat_map(Model::juju_secrets);
        all.map(|(_, uri)| uri.clone()).collect()
    }

    /// Adds the content of secrets. A model whose secret cannot be read or used is frozen, as with any invalid option. A secret
    /// that was not read keeps the Kubernetes Secret that exists already.
    pub fn resolve_secrets(&mut self, application: &str, namespace: &str, answers: &SecretContents) {
        let resolver = SecretResolver { application, namespace };
        let Self {
            models,
            errors,
            frozen,
            secrets,
            ..
        } = self;
        models.retain(|model| {
            let mut valid = true;
            for (purpose, uri, location) in model.named_secrets() {
                let Some(answer) = answers.get(uri) else {
                    continue;
                };
                match resolver.content(purpose, uri, location, answer) {
                    Ok(data) => {
                        secrets.insert((purpose, uri.clone()), data);
                    }
                    Err(error) => {
                        valid = false;
                        // A secret that several models share is one error.
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

/// What the commands in messages are about.
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
        let (application, option) = (self.application, purpose.as_str());
        let error = |rule: &str, detail: String| {
            let violation = Violation::new(rule, "").with_detail(detail);
            ConfigError::new(application, location, option, violation)
        };
        let uri = uri.to_string();
        match answer {
            Ok(content) => {
                let data = match purpose {
                    Purpose::ImagePull => image_pull(content),
                    Purpose::Storage => storage(content),
                };
                data.map_err(|violation| {
                    ConfigError::new(application, location, option, violation)
                        .fixed_by(with_keys(&["juju", "update-secret", &uri], purpose))
                })
            }
            Err(SecretError::NotGranted) => {
                let command = command(&["juju", "grant-secret", &uri, application]);
                Err(error("is not granted", String::new()).fixed_by(command))
            }
            Err(SecretError::Unsupported(version)) => {
                let create = ["kubectl", "-n", self.namespace, "create", "secret", purpose.kubectl()];
                let detail = format!("Juju {version} has no secrets; first {} …", command(&create));
                let error = error("secrets need Juju 3.0.3 or later", detail);
                Err(match location {
                    Location::Option(_) => error.fixed_by(juju_config(application, option, "kubernetes:…")),
                    _ => error.because(format!("set {option}: kubernetes:…")),
                })
            }
            Err(SecretError::NotFound) => {
                // A name that the reader may change; Juju accepts every name of an application.
                let name = format!("{application}-{}", purpose.kind());
                let grant = command(&["juju", "grant-secret", &name, application]);
                let error = error("does not exist", uri);
                let set = match location {
                    Location::Option(_) => juju_config(application, option, "secret:…"),
                    _ => format!("set {option}: secret:… and {}", error.run().unwrap_or_default()),
                };
                Err(error
                    .because(format!("then {grant}, {set}"))
                    .fixed_by(with_keys(&["juju", "add-secret", &name], purpose)))
            }
        }
    }
}

/// A command with the keys of a secret behind it.
fn with_keys(words: &[&str], purpose: Purpose) -> String {
    let keys = purpose.keys().iter().map(|key| format!(" {}", setting(key, "…")));
    command(words) + &keys.collect::<String>()
}

fn missing_key(key: &str) -> Violation {
    Violation::new(format!("missing key `{key}`"), "")
}

/// The configuration file of container runtimes, with the credentials of registries.
const DOCKER_CONFIG: &str = "dockerconfigjson";
/// The key of such a Secret (kubernetes/api, `core/v1/types.go`, `DockerConfigJsonKey`).
const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";

fn image_pull(content: &SecretContent) -> Result<SecretData, Violation> {
    let required = |key: &str| content.get(key).ok_or_else(|| missing_key(key));
    let config = if let Some(whole) = content.get(DOCKER_CONFIG) {
        let read: Option<Json> = serde_json::from_str(whole).ok();
        let valid = read.is_some_and(|read| read.get("auths").is_some_and(Json::is_object));
        if !valid {
            let rule = format!("`{DOCKER_CONFIG}` is not valid");
            return Err(Violation::new(rule, "").with_detail("must be JSON with a map auths"));
        }
        whole.to_owned()
    } else {
        let registry = content
            .get("registry")
            .or(content.get("server"))
            .map_or_else(|| required("registry"), Ok)?
            .trim();
        if registry.is_empty() || registry.contains(char::is_whitespace) {
            return Err(Violation::new("`registry` is not a valid host", ""));
        }
        let (username, password) = (required("username")?, required("password")?);
        let auth = ByteString(format!("{username}:{password}").into_bytes());
        json!({"auths": {registry: {"username": username, "password": password, "auth": auth}}}).to_string()
    };
    Ok(SecretData([(DOCKER_CONFIG_JSON.to_owned(), config)].into()))
}

/// Keys for a store with the S3 protocol, with the settings of rclone's remote `s3` that they set (rclone, docs, "S3").
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
fn storage(content: &SecretContent) -> Result<SecretData, Violation> {
    let setting = |name: &str| format!("RCLONE_CONFIG_S3_{name}");
    let mut data = BTreeMap::new();
    if content
        .iter()
        .any(|(key, _)| S3.iter().any(|(option, _)| *option == key))
    {
        for key in ["access-key-id", "secret-access-key"] {
            if content.get(key).is_none() {
                return Err(missing_key(key));
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
        return Err(missing_key("access-key-id").with_detail("nor one that begins with rclone-config-"));
    }
    Ok(SecretData(data))
}
