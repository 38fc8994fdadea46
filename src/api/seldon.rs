//! Seldon Core's SeldonDeployment, with the fields that the charm writes.
//!
//! Read from `SeldonIO/seldon-core` at v1.17.1, `operator/apis/machinelearning.seldon.io/v1/`. [`manifest`] reads the
//! same kind from any source.

pub mod manifest;

use std::collections::BTreeMap;

use http::Uri;
use http::uri::Authority;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text;

/// Seldon's default port, as long as the Service does not exist.
pub const DEFAULT_HTTP_PORT: u16 = 8000;
/// Seldon's default port, as long as the Service does not exist.
pub const DEFAULT_GRPC_PORT: u16 = 5001;

pub const PREDICTOR: &str = "default";
pub const CANARY: &str = "canary";
pub const SHADOW: &str = "shadow";

/// How gRPC requests are recognized, and to which model they go.
pub mod grpc {
    pub const CONTENT_TYPE: &str = "content-type";
    /// A prefix of the content type of all gRPC requests (`grpc/grpc`, `doc/PROTOCOL-HTTP2.md`).
    pub const MEDIA_TYPE: &str = "application/grpc";
    /// Seldon's own routes and its Python client name a model and its namespace by these headers
    /// (`SeldonIO/seldon-core` v1.17.1, `operator/controllers/seldondeployment_controller.go` and
    /// `python/seldon_core/seldon_client.py`).
    pub const SELDON: &str = "seldon";
    /// See [`SELDON`].
    pub const NAMESPACE: &str = "namespace";
    pub const HEADERS: [&str; 3] = [CONTENT_TYPE, SELDON, NAMESPACE];
}

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
    /// Copied to Deployments and pods, where the executor reads its settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// `None` for Seldon's default, `seldon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    pub predictors: Vec<Predictor>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predictor {
    /// The Service is `<SeldonDeployment>-<name>`.
    pub name: String,
    /// Copied to the Deployment, its pods and the Service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// `None` where an autoscaler sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u16>,
    /// In percent. Seldon requires a sum of 100 for several predictors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<u8>,
    /// A shadow gets mirrored requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    pub graph: PredictiveUnit,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub component_specs: Vec<ComponentSpec>,
    /// The executor's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub svc_orch_spec: Option<SvcOrchSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explainer: Option<SeldonExplainer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveUnit {
    /// Also the name of its container, and of the model in the URLs of protocol v2.
    pub name: String,
    /// `MODEL`, `TRANSFORMER`, `OUTPUT_TRANSFORMER`, `ROUTER` or `COMBINER`; `None` for implementations in the
    /// executor.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub endpoint: SeldonEndpoint,
    /// The prepackaged server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
    /// Downloaded by the storage initializer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_uri: Option<String>,
    /// A Secret with the environment of the storage initializer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_secret_ref_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<SeldonParameter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<SeldonLogger>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<PredictiveUnit>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeldonEndpoint {
    /// `REST` or `GRPC`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The value is text, whatever its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeldonParameter {
    pub name: String,
    pub value: String,
    /// `INT`, `FLOAT`, `DOUBLE`, `STRING` or `BOOL`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The executor sends copies of requests and responses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeldonLogger {
    /// `all`, `request` or `response`.
    pub mode: String,
    /// `None` for Seldon's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// A [`SeldonPodSpec`] with the configured pod fields.
    pub spec: Value,
    /// For a `HorizontalPodAutoscaler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa_spec: Option<Value>,
    /// For a KEDA `ScaledObject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keda_spec: Option<Value>,
    /// For a `PodDisruptionBudget`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdb_spec: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeldonPodSpec {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<SecretName>,
    /// Named after their nodes.
    pub containers: Vec<Container>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretName {
    pub name: String,
}

/// Seldon sets the image of a prepackaged server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub image_pull_policy: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvVar {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ResourceRequirements {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

/// The executor, which receives the requests of a predictor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SvcOrchSpec {
    /// `None` for Seldon's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
}

/// Runs in pods of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeldonExplainer {
    /// Such as `AnchorTabular`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Downloaded by the storage initializer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_uri: Option<String>,
    /// A Secret with the environment of the storage initializer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_secret_ref_name: Option<String>,
    /// `None` for Seldon's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_spec: Option<ExplainerContainer>,
    /// Command-line flags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// As JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_parameters: Option<String>,
    pub replicas: u16,
}

/// The operator adds the other fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplainerContainer {
    /// Required by the CRD.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// The status that the operator writes. It has no observedGeneration, so `state` may be that of an older spec.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentState {
    /// `Available`, `Creating`, `Failed`, or empty until the operator has seen the object.
    #[serde(deserialize_with = "text::deserialize")]
    pub state: String,
    /// The reason of a failure.
    #[serde(deserialize_with = "text::deserialize")]
    pub description: String,
    /// The URL of the first predictor. The operator updates it in every reconciliation.
    pub address: Address,
    pub conditions: Vec<SeldonCondition>,
    /// By name. The operator writes an entry once and never updates it.
    #[serde(rename = "serviceStatus")]
    pub services: BTreeMap<String, ServiceState>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SeldonCondition {
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceState {
    /// `<service>.<namespace>:<port>`
    pub grpc_endpoint: String,
}

impl ServiceState {
    pub fn grpc_port(&self) -> Option<u16> {
        self.grpc_endpoint.parse::<Authority>().ok()?.port_u16()
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// `http://<service>.<namespace>.svc.cluster.local:<port>/…`
    pub url: String,
}

impl Address {
    pub fn port(&self) -> Option<u16> {
        self.url.parse::<Uri>().ok()?.port_u16()
    }
}
