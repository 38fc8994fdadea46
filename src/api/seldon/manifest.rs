//! Reads the spec of a SeldonDeployment from any source, as far as Seldon's validation, routes and readiness depend
//! on it.
//!
//! Lenient: missing fields have Seldon's defaults, which are those of `SeldonIO/seldon-core` operator v1.16.0,
//! `apis/machinelearning.seldon.io/v1/defaults.go`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManifestSpec {
    /// `seldon`, `tensorflow`, `v2` or its old name `kfserving`; empty for `seldon`.
    pub protocol: String,
    /// `rest` or `grpc`.
    pub transport: String,
    /// `rpc` or `kafka`.
    pub server_type: String,
    /// Settings of the operator and the executor.
    pub annotations: BTreeMap<String, String>,
    /// The default for predictors.
    pub replicas: Option<i64>,
    pub predictors: Vec<ManifestPredictor>,
}

/// `predictors[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManifestPredictor {
    pub name: String,
    /// Some are settings of the operator.
    pub annotations: BTreeMap<String, String>,
    pub replicas: Option<i64>,
    /// In percent; of a shadow the mirrored part.
    pub traffic: i64,
    pub shadow: bool,
    pub graph: ManifestUnit,
    pub component_specs: Vec<ManifestPods>,
    pub svc_orch_spec: ManifestOrchestrator,
    pub explainer: Option<ManifestExplainer>,
}

/// `graph`, and its children.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManifestUnit {
    /// Also the name of its container.
    pub name: String,
    /// Such as `MODEL`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A prepackaged server, or one of [`NO_SERVERS`].
    pub implementation: Option<String>,
    /// The methods it supports, if the type does not determine them.
    pub methods: Option<Vec<String>>,
    pub model_uri: String,
    pub parameters: Vec<ManifestParameter>,
    pub endpoint: Option<ManifestEndpoint>,
    pub logger: Option<ManifestLogger>,
    pub children: Vec<ManifestUnit>,
}

/// `graph.parameters[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestParameter {
    pub name: String,
    /// Text whatever the type is.
    pub value: String,
    /// Such as `INT`.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestEndpoint {
    /// `REST`, `GRPC` or empty.
    #[serde(rename = "type")]
    pub kind: String,
    /// The port of an explainer.
    pub service_port: u16,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestLogger {
    /// `all`, `request` or `response`.
    pub mode: String,
}

/// `componentSpecs[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManifestPods {
    pub spec: ManifestPodSpec,
    pub replicas: Option<i64>,
    pub hpa_spec: Option<Value>,
    pub keda_spec: Option<Value>,
}

/// `componentSpecs[].spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestPodSpec {
    pub containers: Vec<ManifestContainer>,
    pub tolerations: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestContainer {
    pub name: String,
    /// Empty for the image of a prepackaged server.
    pub image: String,
    pub env: Vec<ManifestEnvVar>,
}

/// `svcOrchSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestOrchestrator {
    pub env: Vec<ManifestEnvVar>,
    /// If the executor has pods of its own.
    pub replicas: Option<i64>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestEnvVar {
    pub name: String,
    /// Text; it may be secret.
    pub value: Option<String>,
}

impl fmt::Debug for ManifestEnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManifestEnvVar").field(&self.name).finish()
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManifestExplainer {
    /// Such as `AnchorTabular`; empty for no explainer.
    #[serde(rename = "type")]
    pub kind: String,
    pub endpoint: Option<ManifestEndpoint>,
    pub replicas: Option<i64>,
}

/// Implementations that are not prepackaged servers (`prepack.go`, `IsPrepack`).
pub const NO_SERVERS: [&str; 5] = [
    "UNKNOWN_IMPLEMENTATION",
    "SIMPLE_MODEL",
    "SIMPLE_ROUTER",
    "RANDOM_ABTEST",
    "AVERAGE_COMBINER",
];

/// On the spec: the executor has pods of its own.
pub const SEPARATE_POD: &str = "seldon.io/engine-separate-pod";
/// On a predictor: there is no executor.
pub const NO_ENGINE: &str = "seldon.io/no-engine";
/// On a predictor: the name of its Service.
pub const SVC_NAME: &str = "seldon.io/svc-name";
/// On the object or, with precedence, its spec: the gateway of the VirtualService that the operator itself creates.
pub const ISTIO_GATEWAY: &str = "seldon.io/istio-gateway";

impl ManifestUnit {
    pub fn is_prepackaged(&self) -> bool {
        self.implementation
            .as_deref()
            .is_some_and(|name| !name.is_empty() && !NO_SERVERS.contains(&name))
    }

    /// The node itself and all its descendants.
    pub fn all(&self) -> Vec<&ManifestUnit> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(ManifestUnit::all));
        all
    }
}

impl ManifestPods {
    pub fn is_autoscaled(&self) -> bool {
        self.hpa_spec.is_some() || self.keda_spec.is_some()
    }
}

impl ManifestPredictor {
    /// The name of its Service (`seldondeployment_types.go`, `GetPredictorKey`). Seldon shortens names that are too
    /// long, which is not handled here.
    pub fn service(&self, deployment: &str) -> String {
        let named = self.annotations.get(SVC_NAME).cloned();
        named.unwrap_or_else(|| format!("{deployment}-{}", self.name))
    }

    /// A container by name, and the index of its pod.
    pub fn container(&self, name: &str) -> Option<(usize, &ManifestContainer)> {
        self.component_specs.iter().enumerate().find_map(|(at, pod)| {
            let found = pod.spec.containers.iter().find(|container| container.name == name);
            found.map(|container| (at, container))
        })
    }

    pub fn has_engine(&self) -> bool {
        !self.annotations.get(NO_ENGINE).is_some_and(|value| is_true(value))
    }

    pub fn has_explainer(&self) -> bool {
        self.explainer
            .as_ref()
            .is_some_and(|explainer| !explainer.kind.is_empty())
    }

    /// The Service of its explainer with its port. The Service has the name of the Deployment
    /// (`GetExplainerDeploymentName`). Seldon shortens names that are too long, which is not handled here.
    pub fn explainer_service(&self, deployment: &str) -> Option<(String, u16)> {
        const DEFAULT_PORT: u16 = 9000;
        let explainer = self.explainer.as_ref().filter(|_| self.has_explainer())?;
        let port = explainer.endpoint.as_ref().map(|endpoint| endpoint.service_port);
        let port = port.filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
        Some((format!("{deployment}-{}-explainer", self.name), port))
    }

    /// Whether the executor has pods of its own.
    pub fn has_own_executor(&self, spec: &ManifestSpec) -> bool {
        self.has_engine() && spec.annotations.get(SEPARATE_POD).is_some_and(|value| is_true(value))
    }

    /// The number of Deployments that Seldon creates for it (`seldondeployment_controller.go`, `createComponents`).
    pub fn deployments(&self, spec: &ManifestSpec) -> usize {
        let adopts = self
            .graph
            .all()
            .iter()
            .any(|unit| unit.is_prepackaged() && self.container(&unit.name).is_none());
        let pods = self
            .component_specs
            .iter()
            .enumerate()
            // A prepackaged server without a container is added to the first pod.
            .filter(|(at, pod)| !pod.spec.containers.is_empty() || (*at == 0 && adopts))
            .count();
        pods.max(1) + usize::from(self.has_own_executor(spec)) + usize::from(self.has_explainer())
    }

    /// The possible replicas of its Deployments. `None` if an autoscaler sets them, or if none are specified: then
    /// Seldon leaves a Deployment's replicas alone.
    pub fn replicas(&self, spec: &ManifestSpec) -> Option<Vec<i64>> {
        let general = self.replicas.or(spec.replicas);
        if self.component_specs.iter().any(ManifestPods::is_autoscaled) {
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
