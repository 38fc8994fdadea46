//! One full site for all tests, and a Juju model with the charm for each.

use std::fs;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use juju_sim::agent::Cluster;
use juju_sim::juju::Life;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use site::full::Full;
use tokio::runtime::Runtime;

use crate::load::{Answer, send};
use crate::support::kinds::{self, deployment};
use crate::support::{Edge, status};

/// One iris: the lengths and widths of its sepals and petals.
pub const FLOWER: &str = r#"{"data": {"ndarray": [[5.1, 3.5, 1.4, 0.2]]}}"#;
/// How long a model may take until it serves: Seldon's probes begin after 20 s, and four tests share two cores.
pub const SERVES: Duration = Duration::from_secs(180);
/// How long anything without a new pod may take.
pub const SOON: Duration = Duration::from_secs(30);
/// The one gateway of the site, which all models share: its namespace and name.
const GATEWAY: (&str, &str) = ("istio-system", "gate");
/// Between two polls.
const POLL: Duration = Duration::from_millis(250);

static FULL: OnceLock<Mutex<Full>> = OnceLock::new();

/// Starts the site that all tests use.
pub fn start() {
    let folder = folder("e2e");
    let say = |line: &str| eprintln!("{line}");
    let full = runtime().block_on(async {
        let full = Full::start(&folder, &say).await.unwrap();
        let cluster = Cluster::new(full.server().client().unwrap());
        cluster.apply_gateway(GATEWAY.0, GATEWAY.1).await.unwrap();
        full
    });
    assert!(FULL.set(Mutex::new(full)).is_ok(), "the site was started before");
}

/// The site. A test that holds it keeps others from using it, not from running.
pub fn full() -> MutexGuard<'static, Full> {
    FULL.get().unwrap().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends it; nothing of it may stay, even if tests failed.
pub fn stop() {
    full().end_now().unwrap();
}

/// A folder of this process. Deletes those of ended processes.
pub fn folder(name: &str) -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let of = entry.file_name().to_string_lossy().into_owned();
        let pid = of.rsplit('-').next().unwrap_or_default().to_owned();
        if !Path::new("/proc").join(&pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    all.join(format!("{name}-{}", std::process::id()))
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Polls until the condition holds; panics with what it saw last.
#[track_caller]
pub fn until<T>(limit: Duration, what: &str, mut snapshot: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match snapshot() {
            Ok(seen) => return seen,
            Err(seen) if start.elapsed() > limit => panic!("{what}: not in {} s, but {seen}", limit.as_secs()),
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// The charm in a namespace of its own, with the permissions of `rbac.yaml` and no others.
pub struct Model {
    edge: Edge,
    runtime: Runtime,
    pub client: Client,
    pub cluster: Cluster,
    gateway: SocketAddr,
    name: String,
}

impl Deref for Model {
    type Target = Edge;
    fn deref(&self) -> &Edge {
        &self.edge
    }
}

impl DerefMut for Model {
    fn deref_mut(&mut self) -> &mut Edge {
        &mut self.edge
    }
}

impl Model {
    /// At `/model/<name>/`, with version 1 of the model.
    pub fn new(name: &str) -> Self {
        let model = Self::without_rights(name);
        model.grant();
        model
    }

    pub fn without_rights(name: &str) -> Self {
        let runtime = runtime();
        let (client, gateway) = {
            let full = full();
            (
                runtime.block_on(async { full.server().client().unwrap() }),
                full.gateway(),
            )
        };
        let mut cluster = Cluster::new(client.clone());
        cluster.unit_image = Some(kube_box::images::PAUSE);
        let mut model = Self {
            edge: Edge::new(name),
            runtime,
            client,
            cluster,
            gateway,
            name: name.to_owned(),
        };
        model.wait(model.cluster.add_model(&model.world.model)).unwrap();
        model
            .wait(model.cluster.apply_application(&model.world.model, "iris", false, 1))
            .unwrap();
        let text = {
            let full = full();
            model
                .wait(full.server().service_account_kubeconfig(name, "iris"))
                .unwrap()
        };
        let path = folder("kubeconfigs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        model.agent.kubeconfig = Some(path);
        let prefix = format!("/model/{name}/");
        model.config(&[("image", kube_box::images::IRIS_1), ("prefix", &prefix)]);
        model.publish_gateway(&[("gateway_namespace", GATEWAY.0), ("gateway_name", GATEWAY.1)]);
        model
    }

    /// The same with hooks and actions in the node's network, as in its pod.
    pub fn inside(name: &str) -> Self {
        let mut model = Self::new(name);
        let path = model.agent.kubeconfig.clone().unwrap();
        let full = full();
        let text = full.within(&fs::read_to_string(&path).unwrap());
        fs::write(&path, text).unwrap();
        model.agent.network = Some(full.network().unwrap());
        model
    }

    /// Applies `rbac.yaml` as its header describes.
    pub fn grant(&self) {
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rbac.yaml")).unwrap();
        let text = text
            .replace("namespace: edge", &format!("namespace: {}", self.name))
            .replace("edge-iris", &format!("{}-iris", self.name));
        for document in text.split("\n---") {
            let Ok(object @ Value::Object(_)) = serde_yaml::from_str::<Value>(document) else {
                continue;
            };
            let kind = kinds::kind("rbac.authorization.k8s.io", "v1", object["kind"].as_str().unwrap());
            let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
                None => Api::all_with(self.client.clone(), &kind),
            };
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            self.wait(api.patch(&name, &PatchParams::apply("admin").force(), &Patch::Apply(&object)))
                .unwrap();
        }
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.name, resource)
    }

    /// The objects of a kind in the model's namespace.
    pub fn objects(&self, resource: &ApiResource) -> Vec<Value> {
        let list = self.wait(self.api(resource).list(&ListParams::default())).unwrap();
        list.into_iter()
            .map(|object| serde_json::to_value(object).unwrap())
            .collect()
    }

    pub fn names(&self, resource: &ApiResource) -> Vec<String> {
        let list = self.wait(self.api(resource).list(&ListParams::default())).unwrap();
        list.iter().map(kube::ResourceExt::name_any).collect()
    }

    /// Changes an object as a program of that name would.
    pub fn change_as(&self, manager: &str, resource: &ApiResource, name: &str, change: &Value) {
        let parameters = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.wait(self.api(resource).patch(name, &parameters, &Patch::Merge(change)))
            .unwrap();
    }

    pub fn delete(&self, resource: &ApiResource, name: &str) {
        self.wait(self.api(resource).delete(name, &kube::api::DeleteParams::default()))
            .unwrap();
    }

    /// The URL of a path at the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway)
    }

    /// The URL of a model's predictions.
    pub fn predictions(&self, model: &str) -> String {
        self.url(&format!("/model/{model}/api/v0.1/predictions"))
    }

    /// The blog's request.
    pub fn predict(&self) -> Answer {
        send(&self.predictions(&self.name), FLOWER)
    }

    /// How many requests the executor of a predictor has counted.
    pub fn requests_counted(&self, predictor: &str) -> u64 {
        let is_predictor = |pod: &Value| pod["metadata"]["labels"]["seldon-model/predictor"] == predictor;
        self.executor_counts(is_predictor)
            .lines()
            .filter(|line| line.starts_with("seldon_api_executor_server_requests_seconds_count"))
            .filter(|line| line.contains("service=\"predictions\"") && line.contains("deployment_name=\"iris\""))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// The executor's metrics of the selected pod.
    pub fn executor_counts(&self, selects: impl Fn(&Value) -> bool) -> String {
        let pods = self.objects(&kinds::pod());
        let address = pods
            .iter()
            .find(|pod| selects(pod))
            .and_then(|pod| pod["status"]["podIP"].as_str())
            .unwrap()
            .to_owned();
        let output = full()
            .enter()
            .unwrap()
            .args(["curl", "-s", &format!("http://{address}:8000/prometheus")])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Sets options and runs config-changed. Returns the status.
    #[track_caller]
    pub fn configure(&mut self, pairs: &[(&str, &str)]) -> String {
        self.config(pairs);
        self.says()
    }

    /// The status after an update-status.
    #[track_caller]
    pub fn update_status(&mut self) -> String {
        status(&self.hook("update-status"))
    }

    /// Runs update-status until the status contains all these parts. Returns the status.
    #[track_caller]
    pub fn until_says(&mut self, limit: Duration, parts: &[&str]) -> String {
        until(limit, &format!("{} says {parts:?}", self.name.clone()), || {
            let says = self.update_status();
            if parts.iter().all(|part| says.contains(part)) {
                Ok(says)
            } else {
                Err(says)
            }
        })
    }

    /// With version 1 serving.
    #[track_caller]
    pub fn serving(name: &str) -> Self {
        let mut model = Self::new(name);
        model.says();
        model.until_says(SERVES, &["active: "]);
        model
    }

    /// Removes the application as Juju does: the last hook, and Juju's own objects.
    pub fn remove_application(&mut self) {
        self.world.unit_mut("iris/0").unwrap().life = Life::Dying;
        self.hook("remove");
        self.wait(self.cluster.remove_application(&self.world.model, "iris"))
            .unwrap();
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // Later tests need its memory and prefix. A failed test reports its own reason.
        let _ = self.wait(self.cluster.remove_model(&self.world.model));
    }
}

/// Scales one of the site's own Deployments, and waits until it has that many pods.
pub fn scale(namespace: &str, name: &str, replicas: u32) {
    let runtime = runtime();
    runtime.block_on(async {
        let client = full().server().client().unwrap();
        let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &deployment());
        let change = json!({"spec": {"replicas": replicas}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(&change))
            .await
            .unwrap();
        let start = Instant::now();
        loop {
            let object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
            let available = object["status"]["availableReplicas"].as_u64().unwrap_or_default();
            let there = object["status"]["replicas"].as_u64().unwrap_or_default();
            if available == u64::from(replicas) && there == available {
                return;
            }
            assert!(start.elapsed() < SERVES, "{name}: {}", object["status"]);
            tokio::time::sleep(POLL).await;
        }
    });
}
