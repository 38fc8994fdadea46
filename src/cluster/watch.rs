//! Being told that something has changed, of what a plan and a verdict rest on.

use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use tokio::time::{Instant, sleep};

use super::rights::{GATEWAY_API, ISTIO, SELDON};
use super::{Refusal, configuration, refusal};
use crate::identity::Identity;

/// How soon a watch is begun again that could not be, at first.
const SOON: Duration = Duration::from_millis(500);
/// How late at most. What cannot be watched is looked at this often.
const LATE: Duration = Duration::from_secs(60);
/// A watch that lasted this long was a good one.
const GOOD: Duration = Duration::from_secs(5);

/// What is watched: kinds, and which of their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// All models of the namespace: a name may be somebody else's.
    SeldonDeployments,
    /// The routes of all namespaces, which share the gateway.
    VirtualServices,
    /// The gateways of all namespaces.
    Gateways,
    /// The Deployments of our models.
    Deployments,
    /// Their pods.
    Pods,
    /// The routes of the Gateway API, of all namespaces.
    HttpRoutes,
    /// Its gateways.
    GatewaysOfGatewayApi,
}

impl Watched {
    /// What matters at every gateway.
    pub const ALWAYS: [Self; 5] = [
        Self::SeldonDeployments,
        Self::VirtualServices,
        Self::Gateways,
        Self::Deployments,
        Self::Pods,
    ];
    /// What matters besides where the gateway is one of the Gateway API.
    pub const GATEWAY_API: [Self; 2] = [Self::HttpRoutes, Self::GatewaysOfGatewayApi];

    fn kind(self) -> GroupVersionKind {
        match self {
            Self::SeldonDeployments => GroupVersionKind::gvk(SELDON, "v1", "SeldonDeployment"),
            Self::VirtualServices => GroupVersionKind::gvk(ISTIO, "v1beta1", "VirtualService"),
            Self::Gateways => GroupVersionKind::gvk(ISTIO, "v1beta1", "Gateway"),
            Self::Deployments => GroupVersionKind::gvk("apps", "v1", "Deployment"),
            Self::Pods => GroupVersionKind::gvk("", "v1", "Pod"),
            Self::HttpRoutes => GroupVersionKind::gvk(GATEWAY_API, "v1", "HTTPRoute"),
            Self::GatewaysOfGatewayApi => GroupVersionKind::gvk(GATEWAY_API, "v1", "Gateway"),
        }
    }

    fn everywhere(self) -> bool {
        matches!(
            self,
            Self::VirtualServices | Self::Gateways | Self::HttpRoutes | Self::GatewaysOfGatewayApi
        )
    }

    fn ours_only(self) -> bool {
        matches!(self, Self::Deployments | Self::Pods)
    }
}

/// Watches of the cluster. Only the metadata of objects is sent, and none of it is kept.
#[derive(Clone)]
pub struct Watches {
    client: Client,
    identity: Identity,
}

impl Watches {
    /// Finds the cluster, as [`Cluster::connect`](super::Cluster::connect) does.
    ///
    /// # Errors
    /// As there.
    pub async fn connect(identity: Identity) -> Result<Self, Refusal> {
        let mut config = configuration().await?;
        // Nothing comes for as long as nothing changes.
        config.read_timeout = None;
        let client = Client::try_from(config).map_err(|error| refusal::unusable(&error))?;
        Ok(Self { client, identity })
    }

    /// Calls `tell` whenever something of that kind has changed, or may have while it could not be watched. For ever.
    pub async fn watch(self, what: Watched, tell: impl Fn()) {
        let resource = ApiResource::from_gvk(&what.kind());
        let api: Api<DynamicObject> = if what.everywhere() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.identity.namespace, &resource)
        };
        let mut parameters = WatchParams::default();
        if what.ours_only() {
            parameters = parameters.labels(&self.identity.selector());
        }
        let mut version = FROM_NOW.to_owned();
        let mut pause = SOON;
        loop {
            let began = Instant::now();
            follow(&api, &parameters, &mut version, &tell).await;
            if began.elapsed() >= GOOD {
                // The API server ends every watch after some minutes.
                pause = SOON;
                continue;
            }
            FROM_NOW.clone_into(&mut version);
            sleep(pause).await;
            pause = (pause * 2).min(LATE);
            tell();
        }
    }
}

/// From whatever is there, all of which is told first.
const FROM_NOW: &str = "0";

/// Follows one watch to its end. `version` is where the next one goes on.
async fn follow(api: &Api<DynamicObject>, parameters: &WatchParams, version: &mut String, tell: &impl Fn()) {
    let Ok(events) = api.watch_metadata(parameters, version).await else {
        return;
    };
    if version == FROM_NOW {
        // What is there is told now, but not what has gone before.
        tell();
    }
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) => {
                *version = object.resource_version().unwrap_or_else(|| FROM_NOW.to_owned());
                tell();
            }
            Ok(WatchEvent::Bookmark(mark)) => *version = mark.metadata.resource_version,
            // Most often the version is too old to go on from.
            Ok(WatchEvent::Error(_)) | Err(_) => {
                FROM_NOW.clone_into(version);
                return;
            }
        }
    }
}
