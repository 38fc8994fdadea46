//! Deployments and pods, as far as they show whether a model runs, and why not.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Object;
use serde::{Deserialize, Serialize};

use crate::text;

pub type Deployment = Object<DeploymentSpec, DeploymentStatus>;
pub type Pod = Object<PodSpec, PodStatus>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// Always set by Kubernetes.
    pub replicas: i64,
    /// Always set by Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// The generation that this status is of.
    pub observed_generation: i64,
    /// Of all pods, whatever their spec.
    pub replicas: i64,
    /// Of pods with the newest spec.
    pub updated_replicas: i64,
    /// Of pods that have been ready for `minReadySeconds`.
    pub available_replicas: i64,
    /// `Available`, `Progressing`, `ReplicaFailure`.
    pub conditions: Vec<WorkloadCondition>,
}

/// A condition of a Deployment or a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkloadCondition {
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    #[serde(deserialize_with = "text::deserialize")]
    pub reason: String,
    #[serde(deserialize_with = "text::deserialize_lines")]
    pub message: String,
    /// Only Deployments set it.
    #[serde(rename = "lastUpdateTime", skip_serializing_if = "Option::is_none")]
    pub updated: Option<Time>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSpec {
    pub containers: Vec<PodContainer>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodContainer {
    pub name: String,
    /// As in the manifest, with its tag.
    #[serde(deserialize_with = "text::deserialize")]
    pub image: String,
    pub resources: Limits,
    pub ports: Vec<PodPort>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodPort {
    pub name: String,
    pub container_port: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub limits: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// The pod's IP; empty until it has one.
    #[serde(rename = "podIP")]
    pub address: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    pub conditions: Vec<WorkloadCondition>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub container_statuses: Vec<ContainerStatus>,
}

/// Whether a pod is ready for requests.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .any(|condition| condition.kind == "Ready" && condition.status == "True")
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    pub name: String,
    #[serde(deserialize_with = "text::deserialize")]
    pub image: String,
    /// With the digest that the image had when it was pulled; empty until then.
    #[serde(rename = "imageID", deserialize_with = "text::deserialize")]
    pub image_id: String,
    pub ready: bool,
    pub state: ContainerState,
    /// Of the previous container, before the last restart.
    pub last_state: ContainerState,
}

/// At most one is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    pub waiting: Option<Waiting>,
    pub terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Such as `ErrImagePull`.
    #[serde(deserialize_with = "text::deserialize")]
    pub reason: String,
    #[serde(deserialize_with = "text::deserialize_lines")]
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    /// Such as `OOMKilled`.
    #[serde(deserialize_with = "text::deserialize")]
    pub reason: String,
    /// The termination message, which the container writes.
    #[serde(deserialize_with = "text::deserialize_lines")]
    pub message: String,
    pub exit_code: i32,
}
