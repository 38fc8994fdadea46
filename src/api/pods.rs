//! Deployments and pods, as far as they say whether a model runs and why not.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Object;
use serde::{Deserialize, Serialize};

pub type Deployment = Object<DeploymentSpec, DeploymentStatus>;
pub type Pod = Object<PodSpecView, PodStatus>;

/// `spec` of a Deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// How many pods it is to have; Kubernetes always fills it in.
    pub replicas: i64,
    /// Within how many seconds a rollout must make progress; Kubernetes always fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<u64>,
}

/// `status` of a Deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// The generation that the rest speaks of.
    pub observed_generation: i64,
    /// Pods of any spec.
    pub replicas: i64,
    /// Pods of the newest spec.
    pub updated_replicas: i64,
    /// Pods that have been ready for long enough.
    pub available_replicas: i64,
    /// `Available`, `Progressing`, `ReplicaFailure`.
    pub conditions: Vec<DeploymentCondition>,
}

/// A condition of a Deployment or a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentCondition {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A word for programs.
    pub reason: String,
    /// A line for people.
    pub message: String,
    /// When a Deployment's controller last touched it; a pod's conditions do not have it.
    #[serde(rename = "lastUpdateTime", skip_serializing_if = "Option::is_none")]
    pub updated: Option<Time>,
}

/// `spec` of a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSpecView {
    /// Its containers.
    pub containers: Vec<PodContainer>,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodContainer {
    /// Its name.
    pub name: String,
    /// What it may take at most, by resource.
    pub resources: Limits,
    /// Where it listens.
    pub ports: Vec<PodPort>,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodPort {
    /// Its name.
    pub name: String,
    /// Its number.
    pub container_port: u16,
}

/// The limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Amounts by resource.
    pub limits: BTreeMap<String, String>,
}

/// `status` of a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// Where it is reached; empty until its node has given it an address.
    #[serde(rename = "podIP")]
    pub address: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// `PodScheduled` is the one that is read.
    pub conditions: Vec<DeploymentCondition>,
    /// The containers that run first and end.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// The containers.
    pub container_statuses: Vec<ContainerStatus>,
}

/// How a container is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub image: String,
    /// Whether its probe answers.
    pub ready: bool,
    /// Now.
    pub state: ContainerState,
    /// Before its last restart.
    pub last_state: ContainerState,
}

/// One of these is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It does not run yet.
    pub waiting: Option<Waiting>,
    /// It has ended.
    pub terminated: Option<Terminated>,
}

/// Why a container does not run yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// A word for programs, such as `ErrImagePull`.
    pub reason: String,
    /// A line for people.
    pub message: String,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    /// A word for programs, such as `OOMKilled`.
    pub reason: String,
    /// What it left in its termination log.
    pub message: String,
    /// Its exit code.
    pub exit_code: i32,
}
