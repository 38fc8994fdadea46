//! The only module with a Kubernetes client. It observes the cluster and performs the planned writes.
//!
//! It decides nothing except how long to retry. Errors of the API server are returned as [`ApiError`].

mod access;
mod apply_body;
mod dry_run;
mod events;
mod gateways;
mod observe;
mod permissions;
mod routes;
mod secrets;
mod watch;

use std::future::Future;
use std::time::Duration;

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions, ValidationDirective,
};
use kube::core::{DynamicResourceScope, GroupVersionKind};
use kube::{Client, Config, ResourceExt};
use tokio::time::{Instant, sleep, timeout_at};

use crate::api_error::{self, ApiError};
use crate::changes::{Apply, ApplyMode, Delete};
use crate::identity::Identity;
use crate::permissions::Needs;
use crate::text::clean;

use apply_body::apply_body;
pub use events::{AppliedChange, reference};
pub use watch::{WatchLimits, WatchNotice, Watched, Watches};

/// For all requests of a hook. Juju guarantees leadership for 30 s after it confirmed it; writes after that could
/// collide with the next leader's.
const BUDGET: Duration = Duration::from_secs(25);
/// On a single machine a connection is established within milliseconds or never.
const CONNECT: Duration = Duration::from_secs(3);
/// The API server gives a webhook ten seconds by default.
const READ: Duration = Duration::from_secs(10);
const GONE_POLL: Duration = Duration::from_millis(250);

/// A connection for the duration of one hook.
pub struct Cluster {
    client: Client,
    identity: Identity,
    deadline: Instant,
}

impl Cluster {
    pub async fn connect(identity: Identity) -> Result<Self, ApiError> {
        let config = configuration().await?;
        Ok(Self {
            client: Client::try_from(config).map_err(|error| api_error::unusable(&error))?,
            identity,
            deadline: Instant::now() + BUDGET,
        })
    }

    /// Returns the object as the API server stored it.
    pub async fn apply(&self, apply: &Apply) -> Result<DynamicObject, ApiError> {
        let api = self.in_namespace(apply.namespace(), &apply.kind.resource());
        let with_object = |error: ApiError| error.for_object(apply.kind, apply.namespace(), &apply.name);
        if let Some(patch) = &apply.removals {
            let parameters = PatchParams {
                field_manager: Some(self.identity.manager()),
                ..PatchParams::default()
            };
            let patch = Patch::Merge(patch);
            self.call(|| api.patch(&apply.name, &parameters, &patch))
                .await
                .map_err(with_object)?;
        }
        let mut parameters = PatchParams::apply(&self.identity.manager());
        parameters.field_validation = Some(ValidationDirective::Strict);
        parameters.force = apply.mode == ApplyMode::Force;
        let body = apply_body(&apply.object)?;
        let patch = Patch::Apply(&body);
        self.call(|| api.patch(&apply.name, &parameters, &patch))
            .await
            .map_err(with_object)
    }

    /// An object that is already gone, or was replaced by another of that name, counts as deleted.
    pub async fn delete(&self, delete: &Delete) -> Result<(), ApiError> {
        let api = self.in_namespace(&delete.namespace, &delete.kind.resource());
        let mut parameters = DeleteParams::background();
        parameters.preconditions = delete.uid.clone().map(|uid| Preconditions {
            uid: Some(uid),
            resource_version: None,
        });
        match self.call(|| api.delete(&delete.name, &parameters)).await {
            Ok(_) | Err(ApiError::NotFound | ApiError::ConcurrentChange) => Ok(()),
            Err(error) => Err(error.for_object(delete.kind, &delete.namespace, &delete.name)),
        }
    }

    /// Waits until none of our objects is left or the hook's time is over. Returns the names of those left.
    pub async fn wait_until_gone(&self, needs: &Needs) -> Result<Vec<String>, ApiError> {
        loop {
            let observed = self.observe_ours(needs).await?;
            let left: Vec<String> = observed
                .virtual_services
                .iter()
                .chain(&observed.http_routes)
                .chain(&observed.seldon_deployments)
                .chain(observed.secrets.iter().map(|secret| &secret.0))
                .filter(|object| self.identity.owns(object))
                .map(ResourceExt::name_any)
                .collect();
            if left.is_empty() || Instant::now() + GONE_POLL > self.deadline {
                return Ok(left);
            }
            sleep(GONE_POLL).await;
        }
    }

    async fn list_ours<T>(&self, group: &str, kind: &str) -> Result<Vec<T>, ApiError>
    where
        T: Readable,
    {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let parameters = ListParams::default().labels(&self.identity.selector());
        self.list(&resource, Some(&self.identity.namespace), &parameters).await
    }

    pub async fn list<T: Readable>(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        parameters: &ListParams,
    ) -> Result<Vec<T>, ApiError> {
        let api: Api<T> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        match self.call(|| api.list(parameters)).await {
            Ok(list) => Ok(list.items),
            // A list without objects is empty; only an unknown kind returns 404.
            Err(ApiError::NotFound) => Err(ApiError::CrdMissing {
                kind: resource.kind.clone(),
            }),
            Err(error) => Err(error),
        }
    }

    fn namespaced(&self, resource: &ApiResource) -> Api<DynamicObject> {
        self.in_namespace(&self.identity.namespace, resource)
    }

    fn in_namespace(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// Retries transient errors until the hook's deadline.
    async fn call<T, F>(&self, request: impl Fn() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        let mut failed = 0;
        loop {
            let error = match timeout_at(self.deadline, request()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => ApiError::from(error),
                Err(_) => return Err(ApiError::DeadlineExceeded),
            };
            match error.pause(failed) {
                Some(pause) if Instant::now() + pause < self.deadline => sleep(pause).await,
                _ => return Err(error),
            }
            failed += 1;
        }
    }
}

/// From `KUBECONFIG`, which developers set and Juju never does, or else the pod's service account. Juju may not pass
/// `KUBERNETES_SERVICE_HOST` on to a hook, so the cluster's DNS name is the fallback.
async fn configuration() -> Result<Config, ApiError> {
    let mut config = if std::env::var_os("KUBECONFIG").is_some() {
        Config::from_kubeconfig(&kube::config::KubeConfigOptions::default())
            .await
            .map_err(|error| api_error::unusable(&error))?
    } else {
        Config::incluster_env()
            .or_else(|_| Config::incluster_dns())
            .map_err(|error| api_error::unusable(&error))?
    };
    check_token(&config)?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    // kube's own retries would exceed the hook's time.
    config.default_retry = false;
    Ok(config)
}

/// Without a token every request would be denied as anonymous, which looks like missing permissions.
fn check_token(config: &Config) -> Result<(), ApiError> {
    let Some(file) = &config.auth_info.token_file else {
        return Ok(());
    };
    let why = match std::fs::read_to_string(file) {
        Ok(token) if token.trim().is_empty() => format!("{file} is empty"),
        Ok(_) => return Ok(()),
        Err(error) => format!("{file}: {error}"),
    };
    Err(ApiError::NoToken { why: clean(&why) })
}

pub trait Readable:
    kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
    + Clone
    + serde::de::DeserializeOwned
    + std::fmt::Debug
{
}
impl<T> Readable for T where
    T: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug
{
}
