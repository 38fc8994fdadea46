//! Seldon Core's SeldonDeployment: the fields this charm writes and reads, and no more.
//!
//! Read from `SeldonIO/seldon-core` at v1.17.1, `operator/apis/machinelearning.seldon.io/v1/`.

pub mod read;

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The port of a predictor's Service while the Service is not there to be asked: Seldon's default.
pub const DEFAULT_HTTP_PORT: u16 = 8000;
/// The same for gRPC.
pub const DEFAULT_GRPC_PORT: u16 = 5001;

/// The predictor of a model.
pub const PREDICTOR: &str = "default";
/// The one beside it that gets some of the requests.
pub const CANARY: &str = "canary";
/// The one beside it that gets copies of requests.
pub const SHADOW: &str = "shadow";

/// How calls over gRPC are told from other requests, and the calls of one model from those of another.
pub mod grpc {
    /// The header that tells calls over gRPC apart.
    pub const CONTENT_TYPE: &str = "content-type";
    /// What its value begins with, whatever service is called (`grpc/grpc`, `doc/PROTOCOL-HTTP2.md`).
    pub const MEDIA_TYPE: &str = "application/grpc";
    /// The headers by which Seldon's own routes and its Python client name a model and its namespace (`SeldonIO/seldon-core` v1.17.1,
    /// `operator/controllers/seldondeployment_controller.go` and `python/seldon_core/seldon_client.py`).
    pub const SELDON: &str = "seldon";
    /// See [`SELDON`].
    pub const NAMESPACE: &str = "namespace";
    /// All of these.
    pub const HEADERS: [&str; 3] = [CONTENT_TYPE, SELDON, NAMESPACE];
}

/// What a model is made of.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "machinelearning.seldon.io",
    version = "v1",
    kind = "SeldonDeployment",
    plural = "seldondeployments",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct SeldonDeploymentSpec {
    /// The operator copies these to Deployments and pods, where the executor reads its settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Left out for Seldon's default, `seldon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The pods and their graphs.
    pub predictors: Vec<Predictor>,
}

/// Pods that serve one graph behind one Service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predictor {
    /// Its name; the Service is `<SeldonDeployment>-<name>`.
    pub name: String,
    /// Copied to the Deployment, its pods and the Service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How many pods; left out where an autoscaler decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u16>,
    /// Its part of the requests in percent, which Seldon wants to be 100 in all where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<u8>,
    /// Whether it gets copies of requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// What a request goes through.
    pub graph: PredictiveUnit,
    /// The pods' containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub component_specs: Vec<ComponentSpec>,
    /// The executor's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub svc_orch_spec: Option<SvcOrchSpec>,
    /// What explains its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explainer: Option<Explainer>,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveUnit {
    /// Its name, its container's too, and the model's in the URLs of protocol v2.
    pub name: String,
    /// What it does: `MODEL`, `TRANSFORMER`, `OUTPUT_TRANSFORMER`, `ROUTER` or `COMBINER`; none for what the executor does itself.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How it is called.
    pub endpoint: Endpoint,
    /// The prepackaged server, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
    /// Files for the storage initializer to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_uri: Option<String>,
    /// The Secret with the environment of what fetches them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_secret_ref_name: Option<String>,
    /// Parameters of the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Where its requests and answers are copied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<Logger>,
    /// What comes behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<PredictiveUnit>,
}

/// How a node is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `REST` or `GRPC`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A parameter: its value is text whatever its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// `INT`, `FLOAT`, `DOUBLE`, `STRING` or `BOOL`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Where the executor sends copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logger {
    /// `all`, `request` or `response`.
    pub mode: String,
    /// Who takes them; Seldon's own setting where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// What is in it: a [`PodSpec`], and what else Kubernetes knows of a pod.
    pub spec: Value,
    /// How Kubernetes is to scale it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa_spec: Option<Value>,
    /// How KEDA is to scale it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keda_spec: Option<Value>,
    /// How many may be away while a node is emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdb_spec: Option<Value>,
}

/// The part of a pod that is the model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeldonPodSpec {
    /// The Secrets that the node may pull its images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<SecretName>,
    /// Containers, each named as its node.
    pub containers: Vec<Container>,
}

/// A Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretName {
    /// Its name.
    pub name: String,
}

/// A container. The image of a prepackaged server is filled in by Seldon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When the node pulls that.
    pub image_pull_policy: String,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// What it asks for and may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Amounts by resource name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ResourceRequirements {
    /// What must be free.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    /// What it is held to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

/// Seldon's executor, which takes the requests of a predictor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SvcOrchSpec {
    /// Its resources; Seldon's own where they are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
}

/// Explains a predictor's answers, from pods of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explainer {
    /// `AnchorTabular` and the like.
    #[serde(rename = "type")]
    pub kind: String,
    /// Files for the storage initializer to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_uri: Option<String>,
    /// A Secret with the variables of the storage initializer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_secret_ref_name: Option<String>,
    /// Its container, where that is not to be Seldon's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_spec: Option<ExplainerContainer>,
    /// Flags for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// What it is made with, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_parameters: Option<String>,
    /// How many pods.
    pub replicas: u16,
}

/// An explainer's container. The operator fills in the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplainerContainer {
    /// Its name, which the definition wants.
    pub name: String,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What it asks for and may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// What the operator says of a SeldonDeployment. It names no generation, so `state` may be that of an older spec.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentState {
    /// `Available`, `Creating`, `Failed`, or empty before the operator first saw it.
    pub state: String,
    /// Why it failed.
    pub description: String,
    /// Where the first predictor answers, with the port of its Service; renewed at every pass of the operator.
    pub address: Address,
    /// What else it says, by name.
    pub conditions: Vec<SeldonCondition>,
    /// What the operator says of Services, by name. Written once and not renewed.
    #[serde(rename = "serviceStatus")]
    pub services: BTreeMap<String, ServiceState>,
}

/// One of the things that the operator says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SeldonCondition {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

/// What the operator says of a Service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceState {
    /// `<service>.<namespace>:<port>`
    pub grpc_endpoint: String,
}

impl ServiceState {
    /// The port in the endpoint.
    pub fn grpc_port(&self) -> Option<u16> {
        self.grpc_endpoint.rsplit_once(':')?.1.parse().ok()
    }
}

/// A place inside the cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// `http://<service>.<namespace>.svc.cluster.local:<port>/…`
    pub url: String,
}

impl Address {
    /// The port in the URL.
    pub fn port(&self) -> Option<u16> {
        let authority = self.url.split_once("://")?.1.split('/').next()?;
        authority.rsplit_once(':')?.1.parse().ok()
    }
}
