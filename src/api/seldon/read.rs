//! A SeldonDeployment's spec as far as Seldon's rules, routes and readiness rest on it, whoever wrote it.
//!
//! Lenient: what is not there is as Seldon takes it. Defaults are read from `SeldonIO/seldon-core` operator v1.16.0,
//! `apis/machinelearning.seldon.io/v1/defaults.go`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// `seldon`, `tensorflow`, `v2` or its old name `kfserving`; empty for `seldon`.
    pub protocol: String,
    /// `rest` or `grpc`.
    pub transport: String,
    /// `rpc` or `kafka`.
    pub server_type: String,
    /// Settings of the operator and of the executor.
    pub annotations: BTreeMap<String, String>,
    /// For predictors that do not say.
    pub replicas: Option<i64>,
    /// The predictors.
    pub predictors: Vec<Predictor>,
}

/// `predictors[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Predictor {
    /// Its name.
    pub name: String,
    /// Some are settings of the operator.
    pub annotations: BTreeMap<String, String>,
    /// How many pods.
    pub replicas: Option<i64>,
    /// Its part of the requests, in percent; of a shadow the part that is mirrored.
    pub traffic: i64,
    /// Whether it gets a copy of requests, its answers being thrown away.
    pub shadow: bool,
    /// What a request goes through.
    pub graph: Unit,
    /// The pods.
    pub component_specs: Vec<ComponentSpec>,
    /// The executor.
    pub svc_orch_spec: SvcOrchSpec,
    /// The explainer.
    pub explainer: Option<Explainer>,
}

/// `graph`, and its children.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Unit {
    /// Its name, and that of its container.
    pub name: String,
    /// `MODEL` and the like.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A prepackaged server, or one of the names that are none.
    pub implementation: Option<String>,
    /// Which calls it takes, where its type does not say.
    pub methods: Option<Vec<String>>,
    /// Files to fetch.
    pub model_uri: String,
    /// How it is called.
    pub endpoint: Option<Endpoint>,
    /// Where its requests and answers are copied to.
    pub logger: Option<Logger>,
    /// What comes behind it.
    pub children: Vec<Unit>,
}

/// `endpoint`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// `REST`, `GRPC` or empty.
    #[serde(rename = "type")]
    pub kind: String,
    /// The port of an explainer.
    pub service_port: u16,
}

/// `logger`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Logger {
    /// `all`, `request` or `response`.
    pub mode: String,
}

/// `componentSpecs[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ComponentSpec {
    /// The pod.
    pub spec: PodSpec,
    /// How many pods.
    pub replicas: Option<i64>,
    /// With it Kubernetes decides how many pods there are.
    pub hpa_spec: Option<Value>,
    /// With it KEDA does.
    pub keda_spec: Option<Value>,
}

/// `componentSpecs[].spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodSpec {
    /// Its containers.
    pub containers: Vec<Container>,
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it runs; empty for a prepackaged server's own.
    pub image: String,
}

/// `svcOrchSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SvcOrchSpec {
    /// Its environment.
    pub env: Vec<EnvVar>,
    /// How many pods, where it has pods of its own.
    pub replicas: Option<i64>,
}

/// The name of an environment variable.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
}

/// `explainer`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Explainer {
    /// `AnchorTabular` and the like; empty for none.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it is called.
    pub endpoint: Option<Endpoint>,
    /// How many pods.
    pub replicas: Option<i64>,
}

/// Names that a unit may have as its implementation without being a prepackaged server (`prepack.go`, `IsPrepack`).
pub const NO_SERVERS: [&str; 5] = [
    "UNKNOWN_IMPLEMENTATION",
    "SIMPLE_MODEL",
    "SIMPLE_ROUTER",
    "RANDOM_ABTEST",
    "AVERAGE_COMBINER",
];

/// On `spec`: the executor has pods of its own.
pub const SEPARATE_POD: &str = "seldon.io/engine-separate-pod";
/// On a predictor: there is no executor.
pub const NO_ENGINE: &str = "seldon.io/no-engine";
/// On a predictor: the name of its Service.
pub const SVC_NAME: &str = "seldon.io/svc-name";

impl Unit {
    /// Whether Seldon brings its server.
    pub fn is_prepackaged(&self) -> bool {
        self.implementation
            .as_deref()
            .is_some_and(|name| !name.is_empty() && !NO_SERVERS.contains(&name))
    }

    /// It and all below it.
    pub fn all(&self) -> Vec<&Unit> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Unit::all));
        all
    }
}

impl ComponentSpec {
    /// Whether Kubernetes or KEDA decides how many pods there are.
    pub fn is_autoscaled(&self) -> bool {
        self.hpa_spec.is_some() || self.keda_spec.is_some()
    }
}

impl Predictor {
    /// The name of its Service (`seldondeployment_types.go`, `GetPredictorKey`), but for one that would be too long.
    pub fn service(&self, deployment: &str) -> String {
        let named = self.annotations.get(SVC_NAME).cloned();
        named.unwrap_or_else(|| format!("{deployment}-{}", self.name))
    }

    /// The container of that name, and the pod that it is in.
    pub fn container(&self, name: &str) -> Option<(usize, &Container)> {
        self.component_specs.iter().enumerate().find_map(|(at, pod)| {
            let found = pod.spec.containers.iter().find(|container| container.name == name);
            found.map(|container| (at, container))
        })
    }

    /// Whether there is an executor in front of it.
    pub fn has_engine(&self) -> bool {
        !self.annotations.get(NO_ENGINE).is_some_and(|value| is_true(value))
    }

    /// Whether Seldon explains its answers.
    pub fn has_explainer(&self) -> bool {
        self.explainer
            .as_ref()
            .is_some_and(|explainer| !explainer.kind.is_empty())
    }

    /// The Service of its explainer, which is called as its Deployment (`GetExplainerDeploymentName`), but for one that would be too
    /// long; and that Service's port.
    pub fn explainer_service(&self, deployment: &str) -> Option<(String, u16)> {
        const DEFAULT_PORT: u16 = 9000;
        let explainer = self.explainer.as_ref().filter(|_| self.has_explainer())?;
        let port = explainer.endpoint.as_ref().map(|endpoint| endpoint.service_port);
        let port = port.filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
        Some((format!("{deployment}-{}-explainer", self.name), port))
    }

    /// Whether its executor has pods of its own.
    pub fn has_own_executor(&self, spec: &Spec) -> bool {
        self.has_engine() && spec.annotations.get(SEPARATE_POD).is_some_and(|value| is_true(value))
    }

    /// How many Deployments Seldon makes of it (`seldondeployment_controller.go`, `createComponents`).
    pub fn deployments(&self, spec: &Spec) -> usize {
        let adopts = self
            .graph
            .all()
            .iter()
            .any(|unit| unit.is_prepackaged() && self.container(&unit.name).is_none());
        let pods = self
            .component_specs
            .iter()
            .enumerate()
            // A prepackaged server without a container of its own is put into the first pod.
            .filter(|(at, pod)| !pod.spec.containers.is_empty() || (*at == 0 && adopts))
            .count();
        pods.max(1) + usize::from(self.has_own_executor(spec)) + usize::from(self.has_explainer())
    }

    /// How many pods each of its Deployments may have; `None` where that is somebody else's to decide: of an autoscaler, or of
    /// nobody, as Seldon leaves a Deployment's count alone where none is asked for.
    pub fn replicas(&self, spec: &Spec) -> Option<Vec<i64>> {
        let general = self.replicas.or(spec.replicas);
        if self.component_specs.iter().any(ComponentSpec::is_autoscaled) {
            return None;
        }
        let mut all = vec![general];
        if !self.component_specs.is_empty() {
            all = self
                .component_specs
                .iter()
                .map(|pod| pod.replicas.or(general))
                .collect();
        }
        if self.has_own_executor(spec) {
            all.push(self.svc_orch_spec.replicas.or(general));
        }
        if self.has_explainer() && general != Some(0) {
            all.push(
                self.explainer
                    .as_ref()
                    .and_then(|explainer| explainer.replicas)
                    .or(Some(1)),
            );
        }
        all.into_iter().collect()
    }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}
