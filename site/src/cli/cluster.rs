//! The Kubernetes a site stands on: a small one of its own, or one that is there.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ::site::apiserver::{self, ApiServer};
use ::site::assets;
use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::say;

/// How long a service account's token is good, in seconds. Each command asks for a new one.
const TOKEN_SECONDS: i64 = 3_600;

/// Which of the two, as a file of the site says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The kubeconfig of a cluster that was there; none for the site's own.
    pub kubeconfig: Option<PathBuf>,
}

impl Choice {
    /// What the environment asks for: with `KUBECONFIG` set, that cluster.
    pub fn from_environment() -> Result<Self> {
        let named = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty());
        let kubeconfig = named
            .map(|path| {
                let path = PathBuf::from(path);
                path.canonicalize().with_context(|| {
                    format!(
                        "KUBECONFIG names {}, which cannot be read; unset it for a small cluster of the site's own",
                        path.display()
                    )
                })
            })
            .transpose()?;
        Ok(Self { kubeconfig })
    }
}

/// A Kubernetes API that can be reached.
pub enum Platform {
    /// etcd and kube-apiserver, started by the site.
    Own(Box<ApiServer>),
    /// A cluster that was there.
    Existing(Box<Kubeconfig>),
}

impl Platform {
    /// Reaches the cluster, starting the site's own where it does not run, and installs the definitions that are missing.
    pub async fn reach(choice: &Choice, directory: &Path) -> Result<(Self, Client)> {
        if let Some(path) = &choice.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
            let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default())
                .await
                .with_context(|| format!("{} cannot be used", path.display()))?;
            let client = Client::try_from(config)?;
            return Ok((Self::Existing(Box::new(kubeconfig)), client));
        }
        let directory = directory.join("kubernetes");
        if let Some(mut running) = ApiServer::attach(&directory)? {
            // etcd first, then the API server: with one alone, the other has crashed or was killed.
            if running.pids().len() < 2 {
                say("kube-apiserver had ended, starting it again …");
                running.restart_apiserver().await?;
            }
            let client = running.client()?;
            return Ok((Self::Own(Box::new(running)), client));
        }
        let assets = assets::find(&say)?;
        say("starting etcd and kube-apiserver …");
        let server = ApiServer::start_detached(&directory, &assets).await?;
        say(&format!(
            "kube-apiserver answers at {}; kubectl --kubeconfig {}",
            server.url(),
            server.admin_kubeconfig().display()
        ));
        let client = server.client()?;
        Ok((Self::Own(Box::new(server)), client))
    }

    /// Installs Seldon's and Istio's definitions where they are missing.
    pub async fn define(client: &Client) -> Result<()> {
        let files = assets::crds(&say)?;
        apiserver::install_crds(client.clone(), &files, &say).await?;
        Ok(())
    }

    /// Whether the site runs it.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Writes a kubeconfig with a new token of a service account, for its owner only, since the token is a secret.
    pub async fn write_kubeconfig(&self, client: &Client, namespace: &str, name: &str, file: &Path) -> Result<()> {
        let text = match self {
            Self::Own(server) => server.service_account_kubeconfig(namespace, name).await?,
            Self::Existing(kubeconfig) => with_token(kubeconfig, client, namespace, name).await?,
        };
        let write = || -> std::io::Result<()> {
            use std::io::Write as _;
            let mut options = fs::OpenOptions::new();
            let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
            out.set_permissions(fs::Permissions::from_mode(0o600))?;
            out.write_all(text.as_bytes())
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }

    /// Ends the site's own cluster.
    pub fn stop(self) -> Result<()> {
        match self {
            Self::Own(server) => server.stop(),
            Self::Existing(_) => Ok(()),
        }
    }
}

/// The same cluster as a kubeconfig's current one, with a service account's token.
async fn with_token(kubeconfig: &Kubeconfig, client: &Client, namespace: &str, name: &str) -> Result<String> {
    let wrong = "the kubeconfig has no current context with a cluster";
    let current = kubeconfig.current_context.as_ref().context(wrong)?;
    let context = kubeconfig.contexts.iter().find(|context| &context.name == current);
    let context = context.and_then(|context| context.context.as_ref()).context(wrong)?;
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|cluster| cluster.name == context.cluster)
        .context(wrong)?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .with_context(|| format!("the cluster gives no token for service account {namespace}/{name}"))?
        .status
        .context("the cluster answered without a token")?
        .token;
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "site", "context": {"cluster": cluster.name, "user": name, "namespace": namespace}}],
        "current-context": "site",
    });
    Ok(text.to_string())
}
