//! The full site: a Kubernetes node with Seldon Core and Istio on it, and one port of loopback that leads to the gateway.

mod manifests;
mod memory;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::{Api, Client};
use kube_box::apiserver::{self, ApiServer};
use kube_box::assets::{self, NodePrograms};
use kube_box::build_plan::{self, Part, Progress};
use kube_box::images::{self, Images, Models};
use kube_box::node::{self, Lifetime, Node};
use kube_box::port;

use crate::programs::site_binary;
use manifests::NODE_PORT;

/// How long each step may take until it has done what it is for. The slowest takes a quarter of that on two cores.
const WAIT: Duration = Duration::from_secs(120);
/// Between two looks.
const POLL: Duration = Duration::from_millis(200);
/// What leads to the gateway: the name of its log and of its pid file.
const GATEWAY: &str = "gateway-port";
/// The file that says which port of loopback that is.
const PORT: &str = "gateway.port";

/// The Deployments that the site stands on: namespace and name.
const PARTS: [(&str, &str); 3] = [
    ("istio-system", "istiod"),
    ("istio-system", "istio-ingressgateway"),
    ("seldon-system", "seldon-controller-manager"),
];

/// A running site.
#[derive(Debug)]
pub struct Full {
    // In this order they are dropped: the server's records before the node that ends its processes.
    server: ApiServer,
    node: Node,
    programs: NodePrograms,
    gateway: u16,
}

impl Full {
    /// Whether this machine can run one.
    ///
    /// # Errors
    /// Why it cannot, for the person who asked for it.
    pub fn possible() -> Result<(), String> {
        node::possible().map_err(|why| format!("{why:#}"))
    }

    /// Starts everything, with data and logs in `dir`, and waits until the node is ready, and Seldon's controller,
    /// istiod and the gateway are available. What is not in the cache yet is built first. It all ends when this value
    /// is dropped, and when this process ends for any reason.
    ///
    /// # Errors
    /// When the machine cannot run it, or a part does not come up in two minutes; the text says where its log is.
    pub async fn start(dir: &Path, progress: Progress<'_>) -> Result<Self> {
        Self::begin(dir, Models::All, Lifetime::Bound, progress).await
    }

    /// The same with the images of those models, and it outlives this process, until [`Full::stop`].
    ///
    /// # Errors
    /// As [`Full::start`].
    pub async fn start_detached(dir: &Path, models: Models, progress: Progress<'_>) -> Result<Self> {
        Self::begin(dir, models, Lifetime::Detached, progress).await
    }

    /// What has to be made before the site can start, in the order in which the longest chain ends soonest.
    ///
    /// # Errors
    /// When there is no place for a cache.
    pub fn parts(models: Models, progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
        let mut parts = node::parts(progress);
        parts.extend(assets::crd_parts(progress)?);
        parts.extend(assets::api_parts(progress)?);
        parts.extend(assets::node_parts(progress)?);
        parts.extend(images::parts(models, progress)?);
        Ok(parts)
    }

    async fn begin(dir: &Path, models: Models, lifetime: Lifetime, progress: Progress<'_>) -> Result<Self> {
        node::possible()?;
        build_plan::run(Self::parts(models, progress)?, progress)?;
        let assets = assets::find(progress)?;
        let programs = assets::node_programs(progress)?;
        let images = images::find(models, progress)?;
        let definitions = assets::crds(progress)?;

        let start = Instant::now();
        fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let folder = dir.canonicalize()?;
        Node::clear(&folder)?;
        progress("starting a node …");
        let mut node = Node::make(&folder, lifetime)?;
        let server = async {
            node.start_containerd(images.pause)?;
            ApiServer::start_in(&folder, &assets, node.space()?, &site_binary()?).await
        };
        let server = match server.await {
            Ok(server) => server,
            Err(error) => {
                // Why it failed is what the reader needs.
                let _ = node.end();
                return Err(error);
            }
        };
        let mut site = Self {
            server,
            node,
            programs,
            gateway: 0,
        };
        if let Err(error) = site.provision(&folder, &definitions, &images, progress).await {
            let _ = site.node.end();
            return Err(error);
        }
        progress(&format!(
            "the site is ready after {} s, its logs are in {}; kubectl --kubeconfig {}",
            start.elapsed().as_secs(),
            folder.display(),
            site.server.admin_kubeconfig().display(),
        ));
        Ok(site)
    }

    /// Makes a cluster of the API server, and an edge site of the cluster.
    async fn provision(
        &mut self,
        folder: &Path,
        definitions: &[PathBuf],
        images: &Images,
        progress: Progress<'_>,
    ) -> Result<()> {
        // The longest step, and nothing but the pods needs it.
        let importing = thread::spawn({
            let (space, archive) = (self.node.space()?, images.archive.clone());
            move || node::import(space, &archive)
        });
        self.node.join(&self.server, &self.programs)?;
        let client = self.server.client()?;
        apiserver::install_crds(client.clone(), definitions, progress).await?;
        let begun = Instant::now();
        until("the node is not ready", &self.node, || node_is_ready(&client)).await?;
        progress("bringing the images in …");
        importing
            .join()
            .map_err(|_| anyhow!("the import of the images broke off"))??;
        progress(&format!(
            "the node has its images after {} s",
            begun.elapsed().as_secs()
        ));
        manifests::apply(&client, &self.server, images).await?;
        for (namespace, name) in PARTS {
            let why = format!("{namespace}/{name} is not available");
            until(&why, &self.node, || is_available(&client, namespace, name)).await?;
        }
        let earlier = fs::read_to_string(folder.join(PORT)).ok();
        self.gateway = port::free(earlier.and_then(|port| port.trim().parse().ok()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.gateway))
            .with_context(|| format!("port {} of 127.0.0.1 is taken", self.gateway))?;
        fs::write(folder.join(PORT), self.gateway.to_string())?;
        let space = self.node.space()?;
        space.lead(GATEWAY, folder, listener, NODE_PORT, &site_binary()?)
    }

    /// The site that [`Full::start_detached`] left running in `dir`, if it still runs.
    ///
    /// # Errors
    /// When it runs but the files of its folder cannot be read.
    pub async fn attach(dir: &Path, progress: Progress<'_>) -> Result<Option<Self>> {
        let Ok(folder) = dir.canonicalize() else {
            return Ok(None);
        };
        let Some(node) = Node::attach(&folder) else {
            return Ok(None);
        };
        let Some(mut server) = ApiServer::attach_in(&folder, Some(node.space()?))? else {
            return Ok(None);
        };
        // etcd, and the API server if it runs.
        if server.pids().len() < 2 {
            progress("kube-apiserver had ended, starting it again …");
            server.restart_apiserver().await?;
        }
        let port = folder.join(PORT);
        let gateway = fs::read_to_string(&port).with_context(|| format!("{} cannot be read", port.display()))?;
        Ok(Some(Self {
            server,
            node,
            programs: assets::node_programs(progress)?,
            gateway: gateway.trim().parse()?,
        }))
    }

    /// Ends the site of a folder, whole or not, and removes what a killed one has left on the machine outside the folder.
    ///
    /// # Errors
    /// When something does not end.
    pub fn end(dir: &Path) -> Result<()> {
        let Ok(folder) = dir.canonicalize() else {
            return Ok(());
        };
        if let Some(mut node) = Node::attach(&folder) {
            node.end()?;
        }
        Node::clear(&folder)
    }

    /// The Kubernetes API.
    #[must_use]
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Ends the API server alone, as an outage would.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_apiserver(&mut self) -> Result<()> {
        self.server.stop_apiserver()
    }

    /// Starts the API server again, and waits until it answers.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub async fn restart_apiserver(&mut self) -> Result<()> {
        self.server.restart_apiserver().await
    }

    /// Ends the kubelet alone: its pods go on, and nobody looks after them.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_kubelet(&mut self) -> Result<()> {
        self.node.stop_kubelet()
    }

    /// Starts the kubelet again, and waits until its node is ready.
    ///
    /// # Errors
    /// When it is not in two minutes.
    pub async fn start_kubelet(&mut self) -> Result<()> {
        self.node.start_kubelet(&self.programs.kubelet)?;
        let client = self.server.client()?;
        until("the node is not ready", &self.node, || node_is_ready(&client)).await
    }

    /// Where every model is reached.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.gateway).into()
    }

    /// The beginning of a command that runs in the node, where pods and Services are reached by their addresses. What is
    /// added to it is the program and its arguments.
    ///
    /// # Errors
    /// When the node has ended.
    pub fn enter(&self) -> Result<Command> {
        Ok(self.node.space()?.enter())
    }

    /// The node's network, for [`juju_sim::agent::Agent::network`].
    ///
    /// # Errors
    /// When the node has ended.
    pub fn network(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/ns/net", self.node.space()?.init())))
    }

    /// A kubeconfig of this site's API server for who is in the node's network.
    #[must_use]
    pub fn within(&self, kubeconfig: &str) -> String {
        kubeconfig.replace(
            self.server.url(),
            &format!("https://{}:{}", node::ADDRESS, node::API_PORT),
        )
    }

    /// What each program of the site holds in memory, in bytes, by name: pages that several share count for each its
    /// part.
    ///
    /// # Errors
    /// When the node has ended.
    pub fn memory(&self) -> Result<Vec<(String, u64)>> {
        memory::of(self.node.space()?.init())
    }

    /// Ends every process of the site, pods with them, and waits until they are gone. Data and logs stay.
    ///
    /// # Errors
    /// When something does not end.
    pub fn stop(mut self) -> Result<()> {
        self.end_now()
    }

    /// The same for who only borrows it. Nothing of it works any more.
    ///
    /// # Errors
    /// As [`Full::stop`].
    pub fn end_now(&mut self) -> Result<()> {
        self.node.end()
    }
}

/// Waits until something is so.
async fn until<F: Future<Output = Result<bool>>>(why: &str, node: &Node, mut is: impl FnMut() -> F) -> Result<()> {
    let start = Instant::now();
    loop {
        node.check()?;
        let seen = is().await;
        if matches!(seen, Ok(true)) {
            return Ok(());
        }
        if start.elapsed() > WAIT {
            seen.with_context(|| why.to_owned())?;
            bail!("{why} after {} s", WAIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn node_is_ready(client: &Client) -> Result<bool> {
    let nodes: Api<NodeObject> = Api::all(client.clone());
    let node = nodes.get_opt(node::NAME).await?;
    let conditions = node.and_then(|node| node.status?.conditions).unwrap_or_default();
    Ok(conditions.iter().any(|of| of.type_ == "Ready" && of.status == "True"))
}

async fn is_available(client: &Client, namespace: &str, name: &str) -> Result<bool> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let status = deployments.get(name).await?.status.unwrap_or_default();
    Ok(status.available_replicas.unwrap_or_default() > 0)
}
