//! Watches the kinds that the plan and the status depend on.
//!
//! The watcher of kube-runtime 5.0 lists all objects before it watches, even of their metadata: with 300 Deployments, a process that
//! takes 6 MB takes 14 MB. It also does not report that a connection was dead.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use kube::core::{GroupVersionKind, PartialObjectMeta};
use kube::{Client, ResourceExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::configuration;
use crate::api::istio_security::GROUP as SECURITY;
use crate::api_error::{self, ApiError};
use crate::identity::Identity;
use crate::permissions::{GATEWAY_API, ISTIO, SELDON};

/// After a failed watch; doubles up to `LONGEST_BACKOFF`.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Also how often a kind is checked that cannot be watched.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// A watch that lasted this long resets the backoff.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// Limits that detect dead connections. A connection whose peer vanished looks like one without changes. But the API
/// server ends each watch after the requested timeout, so a watch that lasts longer is dead.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// The shortest timeout to request from the API server, in seconds.
    pub shortest: u32,
    /// The longest, in seconds. Each watch takes a random one in between, so that they do not all restart at once.
    pub longest: u32,
    /// How much later than the timeout the end may arrive.
    pub grace: Duration,
    /// How long the API server may take to accept a watch. Usually it does so at once, and after at most 3 s while
    /// its cache is behind (kubernetes/kubernetes, `staging/src/k8s.io/apiserver/pkg/storage/cacher/watch_cache.go`:
    /// `blockTimeout`).
    pub accept: Duration,
}

impl Default for WatchLimits {
    /// Detects a dead connection within five minutes, when Juju runs `update-status` anyway. client-go requests 5 to
    /// 10 minutes (kubernetes/client-go, tools/cache/reflector.go: `minWatchTimeout`), but a new watch costs less
    /// than a millisecond.
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
    /// In seconds.
    fn timeout_seconds(&self) -> u32 {
        // The only source of randomness in the standard library.
        let chance = RandomState::new().hash_one(self.longest);
        let spread = u64::from(self.longest.saturating_sub(self.shortest)) + 1;
        self.shortest + u32::try_from(chance % spread).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchNotice {
    /// The watch was started, for the first time or again.
    Started,
    /// Something changed, or may have changed while there was no watch.
    Changed,
    /// The connection was dead for an unknown time.
    Unusable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// All of our namespace, because another client's object may have a model's name.
    SeldonDeployments,
    /// Of all namespaces, as they can share the gateway.
    VirtualServices,
    /// Of all namespaces.
    Gateways,
    /// Of our models.
    Deployments,
    /// Of our models.
    Pods,
    /// Of all namespaces.
    HttpRoutes,
    /// Of all namespaces.
    GatewaysOfGatewayApi,
    /// Of our models.
    RequestAuthentications,
    /// Of our models.
    AuthorizationPolicies,
}

impl Watched {
    /// Watched with gateways of either kind.
    pub const ALWAYS: [Self; 5] = [
        Self::SeldonDeployments,
        Self::VirtualServices,
        Self::Gateways,
        Self::Deployments,
        Self::Pods,
    ];
    /// Watched in addition with gateways of the Gateway API.
    pub const GATEWAY_API: [Self; 2] = [Self::HttpRoutes, Self::GatewaysOfGatewayApi];
    /// Watched in addition in each namespace where access policies of ours are.
    pub const ACCESS_POLICIES: [Self; 2] = [Self::RequestAuthentications, Self::AuthorizationPolicies];

    fn kind(self) -> GroupVersionKind {
        match self {
            Self::SeldonDeployments => GroupVersionKind::gvk(SELDON, "v1", "SeldonDeployment"),
            Self::VirtualServices => GroupVersionKind::gvk(ISTIO, "v1beta1", "VirtualService"),
            Self::Gateways => GroupVersionKind::gvk(ISTIO, "v1beta1", "Gateway"),
            Self::Deployments => GroupVersionKind::gvk("apps", "v1", "Deployment"),
            Self::Pods => GroupVersionKind::gvk("", "v1", "Pod"),
            Self::HttpRoutes => GroupVersionKind::gvk(GATEWAY_API, "v1", "HTTPRoute"),
            Self::GatewaysOfGatewayApi => GroupVersionKind::gvk(GATEWAY_API, "v1", "Gateway"),
            Self::RequestAuthentications => GroupVersionKind::gvk(SECURITY, "v1beta1", "RequestAuthentication"),
            Self::AuthorizationPolicies => GroupVersionKind::gvk(SECURITY, "v1beta1", "AuthorizationPolicy"),
        }
    }

    fn cluster_wide(self) -> bool {
        matches!(
            self,
            Self::VirtualServices | Self::Gateways | Self::HttpRoutes | Self::GatewaysOfGatewayApi
        )
    }

    fn ours_only(self) -> bool {
        matches!(
            self,
            Self::Deployments | Self::Pods | Self::RequestAuthentications | Self::AuthorizationPolicies
        )
    }

    /// Whether only the spec matters of those in other namespaces.
    fn is_route(self) -> bool {
        matches!(self, Self::VirtualServices | Self::HttpRoutes)
    }
}

/// The generations of other namespaces' routes. Kubernetes counts them up with the spec only, so that what others write to
/// labels, annotations and statuses costs no probe.
#[derive(Default)]
struct Generations {
    /// By a hash of the UID.
    seen: BTreeMap<u64, i64>,
    hasher: RandomState,
}

impl Generations {
    /// Beyond it, every change counts. 100,000 take some 3 MB.
    const MOST: usize = 100_000;

    /// Whether an object is one whose spec was seen before.
    fn is_seen(&mut self, object: &PartialObjectMeta<DynamicObject>) -> bool {
        let (Some(uid), Some(generation)) = (&object.metadata.uid, object.metadata.generation) else {
            return false;
        };
        let key = self.hasher.hash_one(uid);
        if self.seen.len() >= Self::MOST && !self.seen.contains_key(&key) {
            return false;
        }
        self.seen.insert(key, generation) == Some(generation)
    }

    fn forget(&mut self, object: &PartialObjectMeta<DynamicObject>) {
        if let Some(uid) = &object.metadata.uid {
            self.seen.remove(&self.hasher.hash_one(uid));
        }
    }
}

/// Receives only the metadata of objects, and keeps none of it.
#[derive(Clone)]
pub struct Watches {
    client: Client,
    identity: Identity,
    limits: WatchLimits,
}

impl Watches {
    pub async fn connect(identity: Identity) -> Result<Self, ApiError> {
        let mut config = configuration().await?;
        // Nothing arrives while nothing changes; `WatchLimits` replace this timeout.
        config.read_timeout = None;
        let client = Client::try_from(config).map_err(|error| api_error::unusable(&error))?;
        Ok(Self::new(client, identity, WatchLimits::default()))
    }

    pub fn new(client: Client, identity: Identity, limits: WatchLimits) -> Self {
        Self {
            client,
            identity,
            limits,
        }
    }

    /// Calls `notify` whenever a watch starts, and whenever an object has changed or may have changed. Never returns.
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
        let mut version = FROM_START.to_owned();
        let mut backoff = FIRST_BACKOFF;
        let mut generations = Generations::default();
        let mut concerns_us = |event: &WatchEvent<PartialObjectMeta<DynamicObject>>| match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let is_foreign = what.is_route() && object.namespace().as_ref() != Some(&self.identity.namespace);
                !is_foreign || !generations.is_seen(object)
            }
            WatchEvent::Deleted(object) => {
                generations.forget(object);
                true
            }
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => false,
        };
        loop {
            notify(WatchNotice::Started);
            let began = Instant::now();
            let end = follow(
                &api,
                &mut parameters,
                &mut version,
                &mut concerns_us,
                &notify,
                self.limits,
            )
            .await;
            if end == End::Dead {
                notify(WatchNotice::Unusable);
                FROM_START.clone_into(&mut version);
            }
            if end != End::Rejected && began.elapsed() >= HEALTHY_AFTER {
                backoff = FIRST_BACKOFF;
                continue;
            }
            FROM_START.clone_into(&mut version);
            sleep(backoff).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
            notify(WatchNotice::Changed);
        }
    }
}

/// The API server sends all existing objects first.
const FROM_START: &str = "0";

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The API server did not accept the watch.
    Rejected,
    /// The API server ended the watch, as it does after some minutes, or the connection broke.
    Over,
    /// The watch lasted longer than the API server allows.
    Dead,
}

/// Follows one watch to its end, and advances `version` to where the next one continues.
async fn follow(
    api: &Api<DynamicObject>,
    parameters: &mut WatchParams,
    version: &mut String,
    concerns_us: &mut impl FnMut(&WatchEvent<PartialObjectMeta<DynamicObject>>) -> bool,
    notify: &impl Fn(WatchNotice),
    limits: WatchLimits,
) -> End {
    let timeout_seconds = limits.timeout_seconds();
    parameters.timeout = Some(timeout_seconds);
    let events = match timeout(limits.accept, api.watch_metadata(parameters, version)).await {
        Ok(Ok(events)) => events,
        Ok(Err(_)) => return End::Rejected,
        Err(_) => return End::Dead,
    };
    if version == FROM_START {
        // Existing objects are sent, but not past deletions.
        notify(WatchNotice::Changed);
    }
    pin_mut!(events);
    let limit = Duration::from_secs(timeout_seconds.into()) + limits.grace;
    let until_end = async {
        while let Some(event) = events.next().await {
            let concerns_us = event.as_ref().is_ok_and(&mut *concerns_us);
            match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) => {
                    *version = object.resource_version().unwrap_or_else(|| FROM_START.to_owned());
                    if concerns_us {
                        notify(WatchNotice::Changed);
                    }
                }
                Ok(WatchEvent::Bookmark(mark)) => *version = mark.metadata.resource_version,
                // Usually the version is too old to continue from.
                Ok(WatchEvent::Error(_)) | Err(_) => {
                    FROM_START.clone_into(version);
                    return;
                }
            }
        }
    };
    match timeout(limit, until_end).await {
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
        // The API server ends a healthy watch well before that.
        assert!(limits.grace >= Duration::from_secs(5));
    }

    #[test]
    fn only_a_new_spec_of_anothers_route_counts() {
        let object = |uid: &str, generation: i64| -> PartialObjectMeta<DynamicObject> {
            let metadata = serde_json::json!({"uid": uid, "generation": generation});
            serde_json::from_value(serde_json::json!({"metadata": metadata})).unwrap()
        };
        let mut generations = Generations::default();
        for (uid, generation, is_seen) in [
            ("a", 1, false),
            ("a", 1, true),
            ("b", 1, false),
            ("a", 2, false),
            ("a", 2, true),
            ("b", 1, true),
        ] {
            assert_eq!(
                generations.is_seen(&object(uid, generation)),
                is_seen,
                "{uid} {generation}"
            );
        }
        generations.forget(&object("a", 2));
        assert!(!generations.is_seen(&object("a", 2)), "another object of that name");
        let unnamed: PartialObjectMeta<DynamicObject> =
            serde_json::from_value(serde_json::json!({"metadata": {}})).unwrap();
        assert!(!generations.is_seen(&unnamed) && !generations.is_seen(&unnamed));
    }

    #[test]
    fn watches_end_at_different_times() {
        let limits = WatchLimits::default();
        let lengths: std::collections::BTreeSet<u32> = (0..1000).map(|_| limits.timeout_seconds()).collect();
        assert!(
            lengths
                .iter()
                .all(|timeout_seconds| (limits.shortest..=limits.longest).contains(timeout_seconds))
        );
        assert!(lengths.len() > 30, "{lengths:?}");
    }
}
