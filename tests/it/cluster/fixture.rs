//! One API server for all tests; a namespace, an application and a gateway for each.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use juju_sim::agent::{Cluster, HookRun};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use kube_box::apiserver::{self, ApiServer};
use kube_box::assets;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::kinds::{deployment, http_route, sdep, vs};
use crate::support::{Edge, status};

/// Started once; the servers end with this process.
pub fn api_server() -> &'static ApiServer {
    static SERVER: OnceLock<ApiServer> = OnceLock::new();
    SERVER.get_or_init(|| start("cluster", true))
}

/// A server for one test, which would disturb the others.
pub fn start(name: &str, with_definitions: bool) -> ApiServer {
    let name = name.to_owned();
    thread::spawn(move || {
        let say = |line: &str| eprintln!("{line}");
        let folder = folder(&name);
        runtime().block_on(async {
            let server = ApiServer::start(&folder, &assets::find(&say).unwrap()).await.unwrap();
            if with_definitions {
                let files = assets::crds(&say).unwrap();
                let client = server.client().unwrap();
                apiserver::install_crds(client, &files, &say).await.unwrap();
            }
            server
        })
    })
    .join()
    .unwrap()
}

/// A folder of this process. Deletes those of ended processes.
fn folder(name: &str) -> PathBuf {
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

/// The charm in a namespace of its own.
pub struct Live {
    edge: Edge,
    runtime: Runtime,
    pub client: Client,
    pub cluster: Cluster,
}

impl Deref for Live {
    type Target = Edge;
    fn deref(&self) -> &Edge {
        &self.edge
    }
}

impl DerefMut for Live {
    fn deref_mut(&mut self) -> &mut Edge {
        &mut self.edge
    }
}

/// Deletes its routes: every charm lists those of all namespaces.
impl Drop for Live {
    fn drop(&mut self) {
        for routes in [vs(), http_route()] {
            let routes = self.api(&routes);
            let (parameters, every) = (DeleteParams::default(), ListParams::default());
            let all = routes.delete_collection(&parameters, &every);
            // There may be none to delete, or no server any more.
            let _ = self.runtime.block_on(all);
        }
    }
}

impl Live {
    /// With `juju trust`, and a gateway.
    pub fn new(model: &str) -> Self {
        Self::trusted_on(api_server(), model)
    }

    /// The same on that server.
    pub fn trusted_on(server: &ApiServer, model: &str) -> Self {
        let live = Self::on(server, model);
        live.trust(true);
        live.wait(live.cluster.apply_gateway(model, "gate")).unwrap();
        live
    }

    /// Without any permission of its own.
    pub fn untrusted(model: &str) -> Self {
        Self::on(api_server(), model)
    }

    /// The same on that server.
    pub fn on(server: &ApiServer, model: &str) -> Self {
        let mut live = Self::unregistered(server, model);
        live.wait(live.cluster.add_model(&live.world.model)).unwrap();
        live.trust(false);
        let text = live.wait(server.service_account_kubeconfig(model, "iris")).unwrap();
        let path = folder("kubeconfigs").join(model);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        live.agent.kubeconfig = Some(path);
        live
    }

    /// Only its view of a namespace that somebody else makes.
    pub fn unregistered(server: &ApiServer, model: &str) -> Self {
        let runtime = runtime();
        let client = runtime.block_on(async { server.client().unwrap() });
        Self {
            edge: Edge::new(model),
            cluster: Cluster::new(client.clone()),
            client,
            runtime,
        }
    }

    pub fn trust(&self, trust: bool) {
        let model = &self.world.model;
        self.wait(self.cluster.apply_application(model, "iris", trust, 1))
            .unwrap();
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.model(), resource)
    }

    pub fn get(&self, resource: &ApiResource, name: &str) -> Option<Value> {
        let found = self.wait(self.api(resource).get_opt(name)).unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub fn sdep(&self, name: &str) -> Option<Value> {
        self.get(&sdep(), name)
    }

    pub fn route(&self, model: &str) -> Option<Value> {
        self.get(&vs(), &format!("{model}-route"))
    }

    /// The last entry of its route, which is for all requests.
    pub fn requests(&self, model: &str) -> Value {
        let route = self.route(model).unwrap();
        route["spec"]["http"].as_array().unwrap().last().unwrap().clone()
    }

    /// Applies an object with that field manager.
    pub fn apply_as(&self, manager: &str, resource: &ApiResource, name: &str, object: &Value) {
        let patch = Patch::Apply(with_type(resource, name, object));
        let parameters = PatchParams::apply(manager).force();
        self.wait(self.api(resource).patch(name, &parameters, &patch)).unwrap();
    }

    /// Creates an object without a field manager that applies. For a moment after a definition was edited, the API server rejects
    /// requests for its objects as if it were shutting down.
    pub fn create(&self, resource: &ApiResource, name: &str, object: &Value) {
        const MOMENT: Duration = Duration::from_secs(10);
        let object = serde_json::from_value(with_type(resource, name, object)).unwrap();
        let start = Instant::now();
        loop {
            match self.wait(self.api(resource).create(&PostParams::default(), &object)) {
                Err(kube::Error::Api(status)) if status.code == 503 && start.elapsed() < MOMENT => {
                    thread::sleep(Duration::from_millis(50));
                }
                made => return drop(made.unwrap()),
            }
        }
    }

    pub fn merge(&self, resource: &ApiResource, name: &str, change: &Value) {
        let patch = Patch::Merge(change);
        self.wait(self.api(resource).patch(name, &PatchParams::default(), &patch))
            .unwrap();
    }

    /// Changes an object as a program of that name would.
    pub fn merge_as(&self, manager: &str, resource: &ApiResource, name: &str, change: &Value) {
        let parameters = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.wait(self.api(resource).patch(name, &parameters, &Patch::Merge(change)))
            .unwrap();
    }

    pub fn merge_status(&self, resource: &ApiResource, name: &str, change: &Value) {
        let patch = Patch::Merge(json!({"status": change}));
        self.wait(self.api(resource).patch_status(name, &PatchParams::default(), &patch))
            .unwrap();
    }

    pub fn delete(&self, resource: &ApiResource, name: &str) {
        self.wait(self.api(resource).delete(name, &DeleteParams::default()))
            .unwrap();
    }

    /// Does what Seldon's operator and Kubernetes' controllers would do until a model serves its SeldonDeployment:
    /// Deployments with each predictor's labels and annotations, their pods available, and the state.
    pub fn seldon_serves(&self, model: &str) {
        let predictors = self.sdep(model).unwrap()["spec"]["predictors"].clone();
        for predictor in predictors.as_array().unwrap() {
            self.predictor_serves(model, predictor);
        }
        let first = predictors[0]["name"].as_str().unwrap();
        let url = format!(
            "http://{model}-{first}.{}.svc.cluster.local:8000/api/v1.0/predictions",
            self.model()
        );
        let services: serde_json::Map<String, Value> = predictors
            .as_array()
            .unwrap()
            .iter()
            .map(|predictor| format!("{model}-{}", text(&predictor["name"])))
            .map(|service| {
                let end = format!("{service}.{}:5001", self.model());
                (service.clone(), json!({"svcName": service, "grpcEndpoint": end}))
            })
            .collect();
        // As a Seldon Core that runs with KEDA.
        let keda = json!({"type": "KedaReady", "status": "True"});
        let says = json!({
            "state": "Available", "address": {"url": url}, "serviceStatus": services, "conditions": [keda],
        });
        self.merge_status(&sdep(), model, &says);
    }

    /// The same for one of its predictors, without the state.
    pub fn predictor_serves(&self, model: &str, predictor: &Value) {
        let of = self.sdep(model).unwrap();
        let name = predictor["name"].as_str().unwrap();
        let mut deployments: Vec<String> = (0..predictor["componentSpecs"].as_array().map_or(1, Vec::len))
            .map(|at| format!("{model}-{name}-{at}-{model}"))
            .collect();
        let explainer = format!("{model}-{name}-explainer");
        if predictor["explainer"]["type"].is_string() {
            deployments.push(explainer);
        } else if self.get(&deployment(), &explainer).is_some() {
            self.delete(&deployment(), &explainer);
        }
        let replicas = predictor["replicas"].as_u64().unwrap_or(1);
        let metadata = json!({"labels": predictor["labels"], "annotations": predictor["annotations"]});
        let pod = json!({"metadata": metadata, "spec": {"containers": [{"name": model, "image": "x"}]}});
        let spec = json!({
            "replicas": replicas,
            "selector": {"matchLabels": {"seldon-model/model": model, "seldon-model/predictor": name}},
            "template": pod,
        });
        let mut object = json!({"metadata": metadata, "spec": spec});
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": of["apiVersion"], "kind": of["kind"], "name": model,
            "uid": of["metadata"]["uid"], "controller": true,
        }]);
        for name in deployments {
            self.apply_as("seldon", &deployment(), &name, &object);
            let generation = self.get(&deployment(), &name).unwrap()["metadata"]["generation"].clone();
            self.merge_status(
                &deployment(),
                &name,
                &json!({
                    "observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas,
                    "updatedReplicas": replicas, "availableReplicas": replicas,
                }),
            );
        }
    }

    /// The destinations of a model's requests, as `predictor weight`, without those for a canary's headers.
    pub fn shares(&self, model: &str) -> Vec<String> {
        let route = self.requests(model)["route"].clone();
        let share = |share: &Value| {
            let host = text(&share["destination"]["host"]);
            let weight = share["weight"].as_u64().unwrap_or(100);
            let service = host.split('.').next().unwrap();
            format!("{} {weight}", service.strip_prefix(&format!("{model}-")).unwrap())
        };
        route.as_array().unwrap().iter().map(share).collect()
    }

    pub fn predictors(&self, model: &str) -> Vec<String> {
        let all = self.sdep(model).unwrap()["spec"]["predictors"].clone();
        all.as_array()
            .unwrap()
            .iter()
            .map(|predictor| text(&predictor["name"]))
            .collect()
    }

    /// Runs config-changed, Seldon's and Kubernetes' part, and another hook. Returns the status.
    #[track_caller]
    pub fn serves(&mut self) -> String {
        self.hook("config-changed");
        let models: Vec<String> = self
            .wait(self.api(&sdep()).list(&ListParams::default()))
            .unwrap()
            .iter()
            .map(kube::ResourceExt::name_any)
            .collect();
        for model in models {
            self.seldon_serves(&model);
        }
        status(&self.hook("update-status"))
    }

    /// Runs a hook. Returns its requests to the API server, as `verb resource`, from the audit log.
    pub fn audited(&mut self, hook: &str) -> (HookRun, Vec<String>) {
        let before = audit(&self.user()).len();
        let run = self.hook(hook);
        let requests = audit(&self.user()).split_off(before);
        (run, requests)
    }

    /// The charm's user name at the API server.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:iris", self.model())
    }

    /// The resource versions of all our objects, which stay the same as long as nothing is written.
    pub fn versions(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for resource in [sdep(), vs(), http_route()] {
            let list = self.wait(self.api(&resource).list(&ListParams::default())).unwrap();
            all.extend(list.iter().map(|o| (o.name_any(), o.resource_version().unwrap())));
        }
        all
    }
}

/// A user's requests to the shared API server so far, as `verb resource`.
pub fn audit(user: &str) -> Vec<String> {
    audited(user, |event| {
        format!("{} {}", text(&event["verb"]), text(&event["objectRef"]["resource"]))
    })
}

/// The same with the response codes. A watch is logged when it begins too, and that entry counts here.
pub fn audit_answers(user: &str) -> Vec<(String, u64)> {
    let mut all = audited(user, |event| {
        let request = format!("{} {}", text(&event["verb"]), text(&event["objectRef"]["resource"]));
        (request, event["responseStatus"]["code"].as_u64().unwrap_or_default())
    });
    all.dedup();
    all
}

/// The same as `verb address`.
pub fn audit_addresses(user: &str) -> Vec<String> {
    audited(user, |event| {
        format!("{} {}", text(&event["verb"]), text(&event["requestURI"]))
    })
}

fn audited<T>(user: &str, shown: impl Fn(&Value) -> T) -> Vec<T> {
    audit_log()
        .lines()
        // Most lines are of other users, and parsing them takes seconds.
        .filter(|line| line.contains(user))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["user"]["username"] == user)
        .map(|event| shown(&event))
        .collect()
}

/// The audit log, including what kube-apiserver has rotated, which it does at 100 MB: `audit-<time>.log`.
fn audit_log() -> String {
    let current = api_server().audit_log();
    let mut files: Vec<PathBuf> = fs::read_dir(current.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("audit") && name.ends_with(".log")
        })
        .collect();
    // The rotated ones come first: `-` sorts before `.`.
    files.sort();
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn with_type(resource: &ApiResource, name: &str, object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(resource.api_version);
    object["kind"] = json!(resource.kind);
    object["metadata"]["name"] = json!(name);
    object
}

/// A foreign VirtualService that takes a prefix on a gateway.
pub fn takes(gateway: &str, prefix: &str) -> Value {
    json!({"spec": {
        "hosts": ["*"],
        "gateways": [gateway],
        "http": [{
            "match": [{"uri": {"prefix": prefix}}],
            "route": [{"destination": {"host": "theirs", "port": {"number": 80}}}],
        }],
    }})
}
