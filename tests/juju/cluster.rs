//! The Kubernetes that the controller puts its models on.

use anyhow::Result;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::kinds;

pub struct Cluster {
    runtime: Runtime,
    client: Client,
}

impl Cluster {
    /// By `KUBECONFIG`, or `~/.kube/config`.
    pub fn connect() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            let client = Client::try_default().await?;
            client.apiserver_version().await?;
            anyhow::Ok(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// The objects of one kind in a Juju model's namespace that `selector` selects.
    #[track_caller]
    pub fn objects(&self, namespace: &str, resource: &ApiResource, selector: &str) -> Vec<Value> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, resource);
        let selected = ListParams::default().labels(selector);
        let found = self.runtime.block_on(api.list(&selected));
        let found = found.unwrap_or_else(|error| panic!("{} in {namespace}: {error}", resource.plural));
        found
            .items
            .iter()
            .map(|object| serde_json::to_value(object).unwrap())
            .collect()
    }

    /// What a model answers at its Service, past the gateway and without the charm.
    #[track_caller]
    pub fn answer(&self, namespace: &str, service: &str, body: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy/api/v1.0/predictions");
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(body.as_bytes().to_vec()).unwrap();
        let answer = self.runtime.block_on(self.client.request_text(request));
        answer.unwrap_or_else(|error| panic!("{service} in {namespace}: {error}"))
    }

    /// What the charm created in a namespace, as `kind name`; and the pods of its models.
    #[track_caller]
    pub fn of_the_charm(&self, namespace: &str) -> Vec<String> {
        let written = [kinds::sdep(), kinds::vs(), kinds::secret()].map(|kind| (kind, "seldon-model/application"));
        let made_from_it = [kinds::deployment(), kinds::pod()].map(|kind| (kind, "seldon-deployment-id"));
        let mut names = Vec::new();
        for (resource, selector) in written.into_iter().chain(made_from_it) {
            for object in self.objects(namespace, &resource, selector) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                names.push(format!("{} {name}", resource.kind));
            }
        }
        names
    }
}
