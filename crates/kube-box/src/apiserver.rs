//! A Kubernetes API of one's own: etcd and kube-apiserver on loopback, for tests and for a site in a box.
//!
//! They are the real programs, with roles, tokens and TLS as at a site. By themselves they have nothing that acts on
//! objects: no controller, no scheduler, no kubelet. A Deployment stays what was written, a deleted namespace stays
//! Terminating, and no service account is made. A node ([`crate::node`]) has all of that, and then both programs run in
//! its network, and the port on loopback leads there.

mod certificates;
mod definitions;
mod kubeconfig;
mod programs;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use serde::{Deserialize, Serialize};

use crate::assets::Assets;
use crate::port;
use crate::process::{Lifetime, Process};
use crate::space::{API_PORT, Space};
use certificates::{Certificates, private_folder};
use programs::{API, ETCD};

pub(crate) use certificates::private_file;
pub(crate) use kubeconfig::{Credentials, text as kubeconfig};
pub(crate) use programs::arguments;

pub use definitions::install_crds;

/// The addresses of Services: as in `MicroK8s`.
pub(crate) const SERVICES: &str = "10.152.183.0/24";
/// The first of them, which is the API server's own.
pub(crate) const SERVICE: &str = "10.152.183.1";

/// How long the server may take until it answers. Two cores take three seconds.
const READY: Duration = Duration::from_secs(60);
/// Between two looks at whether it answers.
const POLL: Duration = Duration::from_millis(50);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);
/// How often another port is tried when somebody was quicker.
const PORTS: usize = 5;
/// How long a service account's token is valid, in seconds: a day of trying out.
const TOKEN: i64 = 24 * 60 * 60;
/// What a later command must know of a server, in its folder.
const RECORD: &str = "server.json";
/// What leads into the node: the name of its log and of its pid file.
const WAY_IN: &str = "kube-apiserver-port";

/// Somebody else listens on a port.
#[derive(Debug, thiserror::Error)]
#[error("the port is taken: {0}")]
struct Taken(std::io::Error);

/// A running etcd and kube-apiserver.
#[derive(Debug)]
pub struct ApiServer {
    // In this order they are dropped: the server before what it stores in.
    api: Option<Process>,
    etcd: Process,
    /// What leads from the port on loopback into the node.
    way_in: Option<Process>,
    space: Option<Space>,
    lifetime: Lifetime,
    folder: PathBuf,
    certificates: Certificates,
    kubeconfig: PathBuf,
    url: String,
    record: Record,
    /// Held while this value lives: two servers in one folder would wait for each other's data.
    _lock: Option<File>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    port: u16,
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    /// What leads a port into the network of the node, where the server is in one.
    #[serde(default)]
    lead: Option<PathBuf>,
}

impl ApiServer {
    /// Starts both programs, with data, certificates and logs in `dir`, and waits until the server answers. They end
    /// when this value is dropped, and when this process ends for any reason. What an earlier server stored in `dir` is
    /// there again.
    ///
    /// # Errors
    /// When a program cannot be started or ends, or the server is not ready within a minute; the text names the log.
    pub async fn start(dir: &Path, assets: &Assets) -> Result<Self> {
        Self::begin(dir, assets, Lifetime::Bound, None, None).await
    }

    /// The same, but both programs outlive this value and this process, until [`ApiServer::stop`].
    ///
    /// # Errors
    /// As [`ApiServer::start`], and when a server runs in `dir` already.
    pub async fn start_detached(dir: &Path, assets: &Assets) -> Result<Self> {
        Self::begin(dir, assets, Lifetime::Detached, None, None).await
    }

    /// The same in the network of a node, with a port on loopback that leads there by the program `lead`
    /// ([`crate::space::Space::lead`]). It ends with the node.
    ///
    /// # Errors
    /// As [`ApiServer::start_detached`].
    pub async fn start_in(dir: &Path, assets: &Assets, space: Space, lead: &Path) -> Result<Self> {
        Self::begin(dir, assets, Lifetime::Detached, Some(space), Some(lead.to_owned())).await
    }

    async fn begin(
        dir: &Path,
        assets: &Assets,
        lifetime: Lifetime,
        space: Option<Space>,
        lead: Option<PathBuf>,
    ) -> Result<Self> {
        private_folder(&dir.join(ETCD))?;
        let folder = dir
            .canonicalize()
            .with_context(|| format!("{} cannot be opened", dir.display()))?;
        if let Some(running) = Self::attach_in(&folder, space)? {
            bail!(
                "a server runs in {} already, at {}; stop it first, or take another folder",
                folder.display(),
                running.url
            );
        }
        let lock = File::create(folder.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!(
                "another command runs a server in {}; end it first, or take another folder",
                folder.display()
            );
        }
        let certificates = Certificates::of(&folder.join("pki"))?;
        // The port of an earlier server in this folder, so that its kubeconfigs stay good.
        let earlier = read_record(&folder).ok().map(|record| record.port);
        let port = port::free(earlier)?;
        let etcd = programs::etcd(&assets.etcd, &folder, lifetime, space.as_ref())?;
        let mut server = Self {
            api: None,
            etcd,
            way_in: None,
            space,
            lifetime,
            kubeconfig: folder.join("admin.kubeconfig"),
            folder,
            certificates,
            url: String::new(),
            record: Record {
                port,
                etcd: assets.etcd.clone(),
                kube_apiserver: assets.kube_apiserver.clone(),
                lead,
            },
            _lock: Some(lock),
        };
        match server.launch_on_a_port().await {
            Ok(()) => Ok(server),
            Err(error) => {
                // A detached server that never was one must not stay behind; why it failed is what the reader needs.
                let _ = server.stop();
                Err(error)
            }
        }
    }

    async fn launch_on_a_port(&mut self) -> Result<()> {
        let mut left = PORTS;
        loop {
            self.publish()?;
            let Err(error) = self.launch().await else {
                return Ok(());
            };
            let api = self.api.take();
            let clash = api
                .as_ref()
                .is_some_and(|api| api.last_lines().contains("address already in use"))
                || error.downcast_ref::<Taken>().is_some();
            if let Some(api) = api {
                api.stop()?;
            }
            left = left.saturating_sub(1);
            if !clash || left == 0 {
                return Err(error);
            }
            self.record.port = port::free(None)?;
        }
    }

    /// Writes what others find the server by.
    fn publish(&mut self) -> Result<()> {
        self.url = format!("https://127.0.0.1:{}", self.record.port);
        let record = serde_json::to_vec(&self.record)?;
        private_file(&self.folder.join(RECORD), &record)?;
        let text = kubeconfig(
            &self.url,
            &self.certificates.ca_pem,
            "admin",
            "default",
            Credentials::Certificate {
                certificate: self.certificates.read("admin.crt")?,
                key: self.certificates.read("admin.key")?,
            },
        )?;
        private_file(&self.kubeconfig, text.as_bytes())
    }

    async fn launch(&mut self) -> Result<()> {
        let assets = Assets {
            etcd: self.record.etcd.clone(),
            kube_apiserver: self.record.kube_apiserver.clone(),
        };
        let api = programs::api(
            &assets,
            &self.folder,
            self.record.port,
            &self.certificates,
            self.lifetime,
            self.space.as_ref(),
        )?;
        self.api = Some(api);
        if let (Some(space), Some(lead)) = (self.space, &self.record.lead)
            && self.way_in.as_ref().is_none_or(|way_in| way_in.check().is_err())
        {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.record.port)).map_err(Taken)?;
            self.way_in = Some(space.start_lead(WAY_IN, &self.folder, listener, API_PORT, lead)?);
        }
        self.wait().await
    }

    async fn wait(&self) -> Result<()> {
        let client = self.client()?;
        let start = Instant::now();
        loop {
            self.etcd.check()?;
            if let Some(api) = &self.api {
                api.check()?;
            }
            let look = tokio::time::timeout(LOOK, answers(&client)).await;
            let Err(why) = look.unwrap_or_else(|_| Err(anyhow!("no answer in two seconds"))) else {
                return Ok(());
            };
            if start.elapsed() > READY {
                return Err(why).with_context(|| {
                    format!(
                        "kube-apiserver is not ready after {} s; see {}",
                        READY.as_secs(),
                        self.folder.join(format!("{API}.log")).display()
                    )
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The server that [`ApiServer::start_detached`] left running in `dir`, if it still runs. What files say of
    /// processes that are gone is cleaned up; an API server whose etcd is gone is ended. An etcd whose API server is
    /// gone is a server to be started again with [`ApiServer::restart_apiserver`].
    ///
    /// # Errors
    /// When a server runs but the files of its folder cannot be read.
    pub fn attach(dir: &Path) -> Result<Option<Self>> {
        Self::attach_in(dir, None)
    }

    /// The same of [`ApiServer::start_in`].
    pub fn attach_in(dir: &Path, space: Option<Space>) -> Result<Option<Self>> {
        let Ok(folder) = dir.canonicalize() else {
            return Ok(None);
        };
        let api = Process::attach(&folder, API);
        let Some(etcd) = Process::attach(&folder, ETCD) else {
            if let Some(api) = api {
                api.stop()?;
            }
            return Ok(None);
        };
        let record = read_record(&folder)?;
        Ok(Some(Self {
            api,
            etcd,
            way_in: space.and_then(|_| Process::attach(&folder, WAY_IN)),
            space,
            lifetime: Lifetime::Detached,
            certificates: Certificates::of(&folder.join("pki"))?,
            kubeconfig: folder.join("admin.kubeconfig"),
            url: format!("https://127.0.0.1:{}", record.port),
            folder,
            record,
            _lock: None,
        }))
    }

    /// Ends both programs, and nothing else, and waits until they are gone. Data, certificates and logs stay.
    ///
    /// # Errors
    /// When one of them does not end.
    pub fn stop(mut self) -> Result<()> {
        let api = self.stop_apiserver();
        let way_in = self.way_in.take().map_or(Ok(()), Process::stop);
        // Whatever became of the one, the others must not stay behind.
        self.etcd.stop().and(way_in).and(api)
    }

    /// Ends the API server alone, as an outage would: connections break, and what was stored stays.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_apiserver(&mut self) -> Result<()> {
        self.api.take().map_or(Ok(()), Process::stop)
    }

    /// Starts the API server again, at the same address and with the same certificates, and waits until it answers. One
    /// that runs is ended first.
    ///
    /// # Errors
    /// As [`ApiServer::start`]; also when somebody has taken its port.
    pub async fn restart_apiserver(&mut self) -> Result<()> {
        self.stop_apiserver()?;
        self.launch().await
    }

    /// `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate that the server's is signed with.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificates.ca_pem
    }

    /// The file of a kubeconfig that may do everything; only its owner can read it.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// One JSON object a line for every request that was answered (`audit.k8s.io/v1`, level `Metadata`).
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join(programs::AUDIT_LOG)
    }

    /// The file of one of the certificates or keys, as in `apiserver/certificates.rs`.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.certificates.path(name)
    }

    /// The numbers of the processes: etcd's, and the API server's if it runs.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let api = self.api.as_ref().map(Process::pid);
        std::iter::once(self.etcd.pid()).chain(api).collect()
    }

    /// A client that may do everything and retries nothing by itself. It belongs to the Tokio runtime it is made in.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn client(&self) -> Result<Client> {
        // Not from the kubeconfig: a proxy that the environment names must not stand before loopback.
        let mut config = Config::new(self.url.parse()?);
        config.root_cert_file = Some(self.certificates.path("ca.crt"));
        config.default_retry = false;
        let file = |name: &str| Some(self.certificates.path(name).to_string_lossy().into_owned());
        config.auth_info = AuthInfo {
            client_certificate: file("admin.crt"),
            client_key: file("admin.key"),
            ..AuthInfo::default()
        };
        Ok(Client::try_from(config)?)
    }

    /// The text of a kubeconfig for a service account's token; what names no namespace means `default_namespace`.
    ///
    /// # Errors
    /// When it cannot be written as YAML.
    pub fn kubeconfig_for(
        &self,
        service_account_namespace: &str,
        name: &str,
        token: &str,
        default_namespace: &str,
    ) -> Result<String> {
        kubeconfig(
            &self.url,
            &self.certificates.ca_pem,
            &format!("system:serviceaccount:{service_account_namespace}:{name}"),
            default_namespace,
            Credentials::Token(token.to_owned()),
        )
    }

    /// The text of a kubeconfig for a service account, with a new token that is valid for a day and ends with the
    /// account.
    ///
    /// # Errors
    /// When the server gives no token, as for an account that does not exist.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for service account {namespace}/{name}"))?
            .status
            .context("the server answered without a token")?
            .token;
        self.kubeconfig_for(namespace, name, &token, namespace)
    }
}

/// Whether the server says that it is ready, and has the namespace that everything begins in: that one is made a moment
/// after.
async fn answers(client: &Client) -> Result<()> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await?;
    Api::<Namespace>::all(client.clone()).get("default").await?;
    Ok(())
}

fn read_record(folder: &Path) -> Result<Record> {
    let file = folder.join(RECORD);
    let text = fs::read(&file).with_context(|| {
        format!(
            "{} cannot be read, so the server in {} cannot be found",
            file.display(),
            folder.display()
        )
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not ours", file.display()))
}
