//! Being told that something has changed, of what a plan and a verdict rest on.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::configuration;
use crate::api_error::{self, ApiError};
use crate::identity::Identity;
use crate::permissions::{GATEWAY_API, ISTIO, SELDON};

/// How soon a watch is begun again that could not be, at first.
const SOON: Duration = Duration::from_millis(500);
/// How late at most. What cannot be watched is looked at this often.
const LATE: Duration = Duration::from_secs(60);
/// A watch that lasted this long was a good one.
const GOOD: Duration = Duration::from_secs(5);

/// The limits of one watch. A connection whose other end is gone without a word looks like one on which nothing happens; the
/// API server ends a watch by itself after the time it was asked for, so one that goes on for longer is dead.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// The least time that the API server is asked to end a watch after, in seconds.
    pub shortest: u32,
    /// The most. Each watch takes some time in between, so that they do not all begin again at once.
    pub longest: u32,
    /// How much later than that its end may arrive.
    pub grace: Duration,
    /// How long the API server may take to accept a watch. It does so at once, and after at most 3 s while its own cache is behind
    /// (kubernetes/kubernetes, `staging/src/k8s.io/apiserver/pkg/storage/cacher/watch_cache.go`: `blockTimeout`).
    pub accept: Duration,
}

impl Default for WatchLimits {
    /// A dead connection is noticed after five minutes at most, when Juju runs a hook in any case (`update-status`). Client-go asks
    /// for 5 to 10 minutes (kubernetes/client-go, tools/cache/reflector.go: `minWatchTimeout`); a new watch costs less than a millisecond, so an hour of these is still next to nothing.
    fn default() -> Self {
        Self {
            shortest: 240,
            longest: 290,
            grace: Duration::from_secs(10),
            accept: Duration::from_secs(15),
        }
    }
}

impl WatchLimits {
    /// The time for one watch, in seconds.
    fn length(&self) -> u32 {
        // The standard library's only source of chance.
        let chance = RandomState::new().hash_one(self.longest);
        let spread = u64::from(self.longest.saturating_sub(self.shortest)) + 1;
        self.shortest + u32::try_from(chance % spread).unwrap_or_default()
    }
}

/// What a watch reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchNotice {
    /// It begins, for the first time or again.
    Started,
    /// Something has changed, or may have while it could not be watched.
    Changed,
    /// Its connection was dead for an unknown time, in which anything may have changed.
    Unusable,
}

/// What is watched: kinds, and which of their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    fn cluster_wide(self) -> bool {
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
    limits: WatchLimits,
}

impl Watches {
    /// Finds the cluster, as [`Cluster::connect`](super::Cluster::connect) does.
    ///
    /// # Errors
    /// As there.
    pub async fn connect(identity: Identity) -> Result<Self, ApiError> {
        let mut config = configuration().await?;
        // Nothing comes for as long as nothing changes. `WatchLimits` are in its place.
        config.read_timeout = None;
        let client = Client::try_from(config).map_err(|error| api_error::unusable(&error))?;
        Ok(Self::new(client, identity, WatchLimits::default()))
    }

    /// Watches through that client.
    pub fn new(client: Client, identity: Identity, limits: WatchLimits) -> Self {
        Self {
            client,
            identity,
            limits,
        }
    }

    /// Calls `notify` when it begins, and whenever something of that kind has changed, or may have while it could not be watched. For ever.
    pub async fn watch(self, what: Watched, notify: impl Fn(WatchNotice)) {
        let resource = ApiResource::from_gvk(&what.kind());
        let api: Api<DynamicObject> = if what.cluster_wide() {
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
            notify(WatchNotice::Started);
            let began = Instant::now();
            let end = follow(&api, &mut parameters, &mut version, &notify, self.limits).await;
            if end == End::Dead {
                notify(WatchNotice::Unusable);
                FROM_NOW.clone_into(&mut version);
            }
            if end != End::Refused && began.elapsed() >= GOOD {
                pause = SOON;
                continue;
            }
            FROM_NOW.clone_into(&mut version);
            sleep(pause).await;
            pause = (pause * 2).min(LATE);
            notify(WatchNotice::Changed);
        }
    }
}

/// From whatever is there, all of which is told first.
const FROM_NOW: &str = "0";

/// How a watch ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The API server did not accept it.
    Refused,
    /// The API server ended it, as it does with every one after some minutes, or its connection broke.
    Over,
    /// Nothing was heard of it for longer than the API server may take.
    Dead,
}

/// Follows one watch to its end. `version` is where the next one goes on.
async fn follow(
    api: &Api<DynamicObject>,
    parameters: &mut WatchParams,
    version: &mut String,
    notify: &impl Fn(WatchNotice),
    limits: WatchLimits,
) -> End {
    let length = limits.length();
    parameters.timeout = Some(length);
    let events = match timeout(limits.accept, api.watch_metadata(parameters, version)).await {
        Ok(Ok(events)) => events,
        Ok(Err(_)) => return End::Refused,
        Err(_) => return End::Dead,
    };
    if version == FROM_NOW {
        // What is there is told now, but not what has gone before.
        notify(WatchNotice::Changed);
    }
    pin_mut!(events);
    let whole = Duration::from_secs(length.into()) + limits.grace;
    let to_the_end = async {
        while let Some(event) = events.next().await {
            match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) => {
                    *version = object.resource_version().unwrap_or_else(|| FROM_NOW.to_owned());
                    notify(WatchNotice::Changed);
                }
                Ok(WatchEvent::Bookmark(mark)) => *version = mark.metadata.resource_version,
                // Most often the version is too old to go on from.
                Ok(WatchEvent::Error(_)) | Err(_) => {
                    FROM_NOW.clone_into(version);
                    return;
                }
            }
        }
    };
    match timeout(whole, to_the_end).await {
        Ok(()) => End::Over,
        Err(_) => End::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_connection_is_noticed_within_five_minutes() {
        let limits = WatchLimits::default();
        let latest = Duration::from_secs(limits.longest.into()) + limits.grace;
        assert!(latest <= Duration::from_secs(300), "{latest:?}");
        // The API server's own end of a healthy watch comes well before.
        assert!(limits.grace >= Duration::from_secs(5));
    }

    #[test]
    fn watches_end_at_different_times() {
        let limits = WatchLimits::default();
        let lengths: std::collections::BTreeSet<u32> = (0..1000).map(|_| limits.length()).collect();
        assert!(
            lengths
                .iter()
                .all(|length| (limits.shortest..=limits.longest).contains(length))
        );
        assert!(lengths.len() > 30, "{lengths:?}");
    }
}
