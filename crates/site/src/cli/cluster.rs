//! The Kubernetes a site stands on: a small one of its own, a full one of its own, or one that is there.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ::site::full::Full;
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use kube_box::apiserver::{self, ApiServer};
use kube_box::assets;
use kube_box::build_plan::{Part, Progress};
use kube_box::images::Models;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::progress;

/// The folder of a cluster of the site's own, in the site's directory.
pub const KUBERNETES: &str = "kubernetes";

/// How long a service account's token is good, in seconds. Each command asks for a new one.
const TOKEN_SECONDS: i64 = 3_600;

/// What a cluster of the site's own has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// etcd and kube-apiserver.
    Small,
    /// With a node, Seldon Core and Istio, and images of those models.
    Full(Models),
}

impl Size {
    /// What has to be made before such a cluster can start.
    pub fn parts(self, progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
        match self {
            Self::Full(models) => Full::parts(models, progress),
            Self::Small if kubeconfig().is_some() => assets::crd_parts(progress),
            Self::Small => {
                let mut parts = assets::crd_parts(progress)?;
                parts.extend(assets::api_parts(progress)?);
                Ok(parts)
            }
        }
    }
}

/// The kubeconfig of a cluster that is there, as the environment names it.
pub fn kubeconfig() -> Option<PathBuf> {
    std::env::var_os("KUBECONFIG")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Which of the three, as a file of the site says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The kubeconfig of a cluster that was there; none for the site's own.
    pub kubeconfig: Option<PathBuf>,
    /// Whether the site's own has a node, Seldon Core and Istio.
    #[serde(default)]
    pub full: bool,
    /// Which images of models that has.
    #[serde(default)]
    models: Models,
}

impl Choice {
    /// What the environment and the command line ask for: with `KUBECONFIG` set, that cluster.
    pub fn new(size: Size) -> Result<Self> {
        let (full, models) = match size {
            Size::Small => (false, Models::default()),
            Size::Full(models) => (true, models),
        };
        let kubeconfig = kubeconfig()
            .map(|path| {
                path.canonicalize().with_context(|| {
                    format!(
                        "KUBECONFIG names {}, which cannot be read; unset it for a small cluster of the site's own",
                        path.display()
                    )
                })
            })
            .transpose()?;
        ensure!(
            !full || kubeconfig.is_none(),
            "KUBECONFIG is set, and a site on that cluster uses the Seldon Core and the Istio that are there; for a full site of its own, unset it"
        );
        Ok(Self {
            kubeconfig,
            full,
            models,
        })
    }
}

/// A Kubernetes API that can be reached.
pub enum Platform {
    /// etcd and kube-apiserver, started by the site.
    Own(Box<ApiServer>),
    /// With a node, Seldon Core and Istio.
    Full(Box<Full>),
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
        let directory = directory.join(KUBERNETES);
        if choice.full {
            let full = match Full::attach(&directory, &progress).await? {
                Some(running) => running,
                None => Full::start_detached(&directory, choice.models, &progress).await?,
            };
            let client = full.server().client()?;
            return Ok((Self::Full(Box::new(full)), client));
        }
        if let Some(mut running) = ApiServer::attach(&directory)? {
            // etcd first, then the API server: with one alone, the other has crashed or was killed.
            if running.pids().len() < 2 {
                progress("kube-apiserver had ended, starting it again …");
                running.restart_apiserver().await?;
            }
            let client = running.client()?;
            return Ok((Self::Own(Box::new(running)), client));
        }
        let assets = assets::find(&progress)?;
        progress("starting etcd and kube-apiserver …");
        let server = ApiServer::start_detached(&directory, &assets).await?;
        progress(&format!(
            "kube-apiserver answers at {}; kubectl --kubeconfig {}",
            server.url(),
            server.admin_kubeconfig().display()
        ));
        let client = server.client()?;
        Ok((Self::Own(Box::new(server)), client))
    }

    /// Installs Seldon's and Istio's definitions where they are missing.
    pub async fn define(client: &Client) -> Result<()> {
        let files = assets::crds(&progress)?;
        apiserver::install_crds(client.clone(), &files, &progress).await?;
        Ok(())
    }

    /// Whether the site runs it.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Existing(_))
    }

    /// The full one.
    pub fn full(&self) -> Option<&Full> {
        match self {
            Self::Full(full) => Some(full),
            Self::Own(_) | Self::Existing(_) => None,
        }
    }

    /// Writes a kubeconfig with a new token of a service account, for its owner only, since the token is a secret.
    pub async fn write_kubeconfig(&self, client: &Client, namespace: &str, name: &str, file: &Path) -> Result<()> {
        let text = match self {
            Self::Own(server) => server.service_account_kubeconfig(namespace, name).await?,
            // Its units are in the node's network.
            Self::Full(full) => full.within(&full.server().service_account_kubeconfig(namespace, name).await?),
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

    /// Ends what runs of a cluster of the site's own, and removes what is left on the machine of what was killed.
    pub fn stop_own(choice: &Choice, directory: &Path) -> Result<()> {
        let directory = directory.join(KUBERNETES);
        if choice.full {
            return Full::end(&directory);
        }
        ApiServer::attach(&directory)?.map_or(Ok(()), ApiServer::stop)
    }

    /// Ends the site's own cluster.
    pub fn stop(self) -> Result<()> {
        match self {
            Self::Own(server) => server.stop(),
            Self::Full(full) => full.stop(),
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
