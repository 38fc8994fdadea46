//! What Juju makes in the cluster for an application: identity, rights, and the StatefulSet that the charm names as owner
//! (juju/juju, internal/provider/kubernetes/application/{application,trust}.go).
//!
//! A cluster of the site's own runs no controllers: no pod ever comes of the StatefulSet, and no garbage collector
//! removes what an owner leaves behind. So what the charm does not delete itself stays, which is what a test wants to see.

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::juju::Model;

/// A kind of object by its group, version, kind and plural.
#[derive(Clone, Copy)]
struct Kind(&'static str, &'static str, &'static str, &'static str);

const NAMESPACE: Kind = Kind("", "v1", "Namespace", "namespaces");
const SERVICE_ACCOUNT: Kind = Kind("", "v1", "ServiceAccount", "serviceaccounts");
const STATEFUL_SET: Kind = Kind("apps", "v1", "StatefulSet", "statefulsets");
const ROLE: Kind = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles");
const ROLE_BINDING: Kind = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
const CLUSTER_ROLE: Kind = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");
const CLUSTER_ROLE_BINDING: Kind = Kind(
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRoleBinding",
    "clusterrolebindings",
);
const GATEWAY_OF_GATEWAY_API: Kind = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways");
const GATEWAY: Kind = Kind("networking.istio.io", "v1beta1", "Gateway", "gateways");

/// What Juju runs for a unit.
const CHARM: &str = "ghcr.io/juju/charm-base:ubuntu-22.04";

/// Who writes these objects.
const MANAGER: &str = "juju";

/// The annotation that says whose a namespace is.
const MODEL_ID: &str = "model.juju.is/id";

/// A cluster with the rights of Juju's controller, that is, all of them.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// The image of a unit's pod where the cluster has nodes that would run it: one that does nothing. Juju's own image is not
    /// available there, and the agent runs the unit outside.
    pub unit_image: Option<&'static str>,
}

impl Cluster {
    /// On a client with an administrator's rights.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            unit_image: None,
        }
    }

    /// Makes the model's namespace.
    ///
    /// # Errors
    /// A namespace of that name is there and is another's. The cluster refuses or does not answer; so for all that follows.
    pub async fn add_model(&self, model: &Model) -> Result<()> {
        ensure!(
            self.owner(model).await?.is_none_or(|owner| owner == model.uuid),
            "the cluster has a namespace {:?} that is not this site's; choose another model: site up --model <name>",
            model.name
        );
        let labels = json!({
            "app.kubernetes.io/managed-by": "juju",
            "model.juju.is/name": model.name,
        });
        let body = json!({"metadata": {"labels": labels, "annotations": {MODEL_ID: model.uuid}}});
        self.apply(NAMESPACE, None, &model.name, body).await
    }

    /// The UUID of the model that a namespace of this model's name belongs to: empty where it is nobody's, none where
    /// there is no such namespace.
    async fn owner(&self, model: &Model) -> Result<Option<String>> {
        let there = self.api(NAMESPACE, None).get_opt(&model.name).await;
        let there = there.context("cannot read the namespaces of the cluster")?;
        Ok(there.map(|namespace| {
            let annotations = namespace.metadata.annotations.unwrap_or_default();
            annotations.get(MODEL_ID).cloned().unwrap_or_default()
        }))
    }

    /// Makes or updates an application's service account, rights and StatefulSet.
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn apply_application(&self, model: &Model, name: &str, trust: bool, scale: usize) -> Result<()> {
        let namespace = Some(model.name.as_str());
        let labels = json!({"app.kubernetes.io/managed-by": "juju", "app.kubernetes.io/name": name});
        let metadata = json!({"labels": labels});
        let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": model.name}]);
        let binding = |kind: &str, role: &str| {
            json!({
                "metadata": metadata,
                "roleRef": {"apiGroup": ROLE.0, "kind": kind, "name": role},
                "subjects": subjects,
            })
        };
        let wide = cluster_name(model, name);
        // The account itself mounts no token; the pod asks for one.
        let account = json!({"metadata": metadata, "automountServiceAccountToken": false});
        self.apply(SERVICE_ACCOUNT, namespace, name, account).await?;
        let role = json!({"metadata": metadata, "rules": namespace_rules(&model.name, trust)});
        self.apply(ROLE, namespace, name, role).await?;
        self.apply(ROLE_BINDING, namespace, name, binding("Role", name)).await?;
        let role = json!({"metadata": metadata, "rules": cluster_rules(trust)});
        self.apply(CLUSTER_ROLE, None, &wide, role).await?;
        self.apply(CLUSTER_ROLE_BINDING, None, &wide, binding("ClusterRole", &wide))
            .await?;
        let set = stateful_set(name, &labels, scale, self.unit_image.unwrap_or(CHARM));
        self.apply(STATEFUL_SET, namespace, name, set).await
    }

    /// Removes what [`Cluster::apply_application`] made.
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn remove_application(&self, model: &Model, name: &str) -> Result<()> {
        let namespace = Some(model.name.as_str());
        let wide = cluster_name(model, name);
        for (kind, namespace, name) in [
            (STATEFUL_SET, namespace, name),
            (ROLE_BINDING, namespace, name),
            (ROLE, namespace, name),
            (CLUSTER_ROLE_BINDING, None, wide.as_str()),
            (CLUSTER_ROLE, None, wide.as_str()),
            (SERVICE_ACCOUNT, namespace, name),
        ] {
            self.delete(kind, namespace, name).await?;
        }
        Ok(())
    }

    /// Removes the model's namespace; on a cluster of the site's own nothing then empties it.
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn remove_model(&self, model: &Model) -> Result<()> {
        // Not one that was another's, for which the site could not be brought up.
        if self.owner(model).await?.is_none_or(|owner| owner != model.uuid) {
            return Ok(());
        }
        self.delete(NAMESPACE, None, &model.name).await
    }

    /// Makes the gateway istio-pilot would make (canonical/istio-operators, charms/istio-pilot/src/gateway.yaml.j2).
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn apply_gateway(&self, namespace: &str, name: &str) -> Result<()> {
        let server = json!({"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]});
        let body = json!({"spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]}});
        self.apply(GATEWAY, Some(namespace), name, body).await
    }

    /// Removes it.
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn remove_gateway(&self, namespace: &str, name: &str) -> Result<()> {
        self.delete(GATEWAY, Some(namespace), name).await
    }

    /// Makes the gateway istio-ingress-k8s would make (`canonical/istio-ingress-k8s-operator`, `src/charm.py`), but that it is the site's own
    /// and not another one, which Istio takes only in the namespace of its Service, `istio-system`.
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn apply_ingress(&self, namespace: &str, name: &str) -> Result<()> {
        let body = json!({"spec": {
            "gatewayClassName": "istio",
            "addresses": [{
                "type": "Hostname",
                "value": "istio-ingressgateway-workload",
            }],
            "listeners": [{
                "name": "http-80", "port": 80, "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "All"}},
            }],
        }});
        self.apply(GATEWAY_OF_GATEWAY_API, Some(namespace), name, body).await
    }

    /// The gateways there are, as (namespace, name).
    ///
    /// # Errors
    /// See [`Cluster::add_model`].
    pub async fn gateways(&self) -> Result<Vec<(String, String)>> {
        let list = self
            .api(GATEWAY, None)
            .list(&ListParams::default())
            .await
            .context("cannot list the gateways of the cluster")?;
        let named = list.items.into_iter().map(|gateway| {
            let metadata = gateway.metadata;
            (
                metadata.namespace.unwrap_or_default(),
                metadata.name.unwrap_or_default(),
            )
        });
        Ok(named.collect())
    }

    async fn apply(&self, kind: Kind, namespace: Option<&str>, name: &str, mut body: Value) -> Result<()> {
        let Kind(group, version, word, _) = kind;
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        if let Some(body) = body.as_object_mut() {
            body.insert("apiVersion".to_owned(), api_version.into());
            body.insert("kind".to_owned(), word.into());
            let metadata = body.entry("metadata").or_insert_with(|| json!({}));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("name".to_owned(), name.into());
            }
        }
        let params = PatchParams::apply(MANAGER).force();
        self.api(kind, namespace)
            .patch(name, &params, &Patch::Apply(&body))
            .await
            .with_context(|| format!("cannot apply {word} {name}"))?;
        Ok(())
    }

    async fn delete(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Result<()> {
        match self.api(kind, namespace).delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot delete {} {name}", kind.2)),
            Ok(_) => Ok(()),
        }
    }

    fn api(&self, Kind(group, version, word, plural): Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, word), plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }
}

fn cluster_name(model: &Model, application: &str) -> String {
    format!("{}-{application}", model.name)
}

/// With trust everything (but no nonResourceURLs); without, next to nothing.
fn namespace_rules(namespace: &str, trust: bool) -> Value {
    if trust {
        return everything();
    }
    json!([
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "patch"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
    ])
}

fn cluster_rules(trust: bool) -> Value {
    if trust {
        return everything();
    }
    json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}])
}

fn everything() -> Value {
    json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
}

fn stateful_set(name: &str, labels: &Value, scale: usize, image: &str) -> Value {
    let selector = json!({"app.kubernetes.io/name": name});
    json!({
        "metadata": {"labels": labels},
        "spec": {
            "replicas": scale,
            "serviceName": format!("{name}-endpoints"),
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {
                    "serviceAccountName": name,
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{"name": "charm", "image": image}],
                },
            },
        },
    })
}
