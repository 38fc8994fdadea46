//! What keeps a model from serving what is configured, as data. [`super::messages`] has the text of each.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::api_error::ApiError;
use crate::changes::Conflict;
use crate::config::ConfigError;
use crate::gateway::GatewayName;
use crate::inputs::gateway::Provider;
use crate::plan::Unsupported;

/// A problem of the application as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationProblem {
    /// An option is invalid.
    Config(ConfigError),
    /// The cluster could not be observed.
    Api(ApiError),
    /// Juju deploys Seldon Core, and its CRD does not exist yet.
    SeldonIsDeploying,
    /// A hook tool failed, so what is configured is not known.
    HookTool(String),
    /// A model is no longer configured and still exists.
    NotDeleted { model: String },
    /// The same of one that is kept until the model that takes over its prefix is ready.
    KeptUntilReplaced { model: String },
}

/// A problem of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// An object or a route of another client is in the way.
    Conflict(Conflict),
    /// The API server rejected a write.
    Rejected(ApiError),
    /// It is deployed, changed or stopped, which takes its time.
    Rollout(Rollout),
    /// No request gets to it.
    Gateway(GatewayProblem),
    /// A pod of a predictor does not start or crashes.
    Pod { predictor: String, failure: PodFailure },
    /// Its pods are not created, or make no progress.
    Stalled(Stalled),
    /// KEDA is to scale it, and Seldon Core does not use KEDA.
    NotAutoscaled,
    /// Its gateway does not support an option.
    Unsupported(Unsupported),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// Some writes of this hook failed.
    PartlyApplied,
    /// Only the leader writes.
    NotApplied,
    NoSeldonDeployment,
    BeingDeleted,
    /// Seldon Core has not created anything yet.
    NoPods,
    Stopping,
    Starting,
    RollingOut,
    /// A predictor other than the model itself.
    PredictorStarting(String),
    PredictorRollingOut(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayProblem {
    /// No relation and no option names one.
    None,
    /// The related application has not named one yet.
    NotNamed(Provider),
    /// Several are related.
    Several(Vec<Provider>),
    /// The option names an Istio Gateway, while one of the Gateway API is related.
    OptionAndRelation {
        option: GatewayName,
        related: Provider,
    },
    /// It does not exist; its name comes from this related application, or from an option.
    Missing {
        gateway: GatewayName,
        provider: Option<String>,
    },
    /// Its application reports that it does not serve.
    Down {
        gateway: GatewayName,
        provider: String,
    },
    /// It takes no request with a host of the model's.
    HostsNotServed {
        gateway: GatewayName,
        /// Those that it serves; not empty.
        served: Vec<String>,
    },
    /// It takes no route of this namespace.
    ClosedToNamespace(GatewayName),
    /// It has not accepted the HTTPRoute yet.
    RoutePending(GatewayName),
    RouteRejected {
        gateway: GatewayName,
        why: String,
    },
    /// It does not serve the current route yet.
    RouteNotServedYet(GatewayName),
    /// It did not serve the current route in time.
    RouteNotServed(GatewayName),
    /// It does not enforce the model's access yet.
    AccessNotEnforcedYet(GatewayName),
    /// It did not in time.
    AccessNotEnforced(GatewayName),
    /// It has no pods that it could be enforced at.
    AccessWithoutPods(GatewayName),
    /// Its pods may be in any of these namespaces.
    AccessAmbiguous {
        gateway: GatewayName,
        namespaces: BTreeSet<String>,
    },
    /// The cluster has no access policies.
    AccessUnsupported(GatewayName),
    /// It does not find the HTTPRoute's Service.
    UnresolvedRefs {
        gateway: GatewayName,
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodFailure {
    /// No node has enough free resources.
    NoRoom {
        why: String,
    },
    /// No node takes it for another reason.
    NotScheduled {
        pod: String,
        why: String,
    },
    ImageNotPulled {
        image: String,
        /// The kubelet's reason and the runtime's cause.
        why: String,
        /// Whether the registry asks for credentials.
        wants_credentials: bool,
    },
    ContainerNotCreated {
        pod: String,
        container: String,
        why: String,
    },
    /// The model's files, by their URI or the name of the container that fetches them.
    FilesNotFetched {
        files: String,
        log: ContainerLog,
        exit: String,
    },
    OutOfMemory {
        container: String,
        limit: Option<String>,
    },
    Crash {
        log: ContainerLog,
        exit: String,
    },
}

/// Whose log has more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLog {
    pub pod: String,
    pub container: String,
    /// Whether it is that of the container before its last restart.
    pub previous: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stalled {
    /// A quota, or something like it.
    PodsNotCreated {
        why: String,
    },
    SeldonReportsFailed {
        why: String,
    },
    /// Kubernetes or Seldon Core makes no progress within the deadline.
    NoProgress {
        deadline: Duration,
        why: String,
    },
    /// Seldon Core has not created the Deployments of a predictor's new spec within the deadline.
    NoRollout {
        predictor: String,
        deadline: Duration,
        is_autoscaled: bool,
    },
}
