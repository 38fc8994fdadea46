//! What the site has in its cluster from the beginning: Seldon Core's operator, Istio's control plane and its gateway.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, TypeMeta};
use kube::{Api, Client};
use serde::Deserialize as _;
use serde_json::Value;

use kube_box::apiserver::ApiServer;
use kube_box::images::Images;

/// Where the gateway listens, on the node.
pub(super) const NODE_PORT: &str = "31380";
/// The address of istiod's Service: one of the API server's range, which no other Service is given first.
/// Kubernetes gives out the first sixteen of 256 only when all others are taken (KEP 3070, "Reserve Service IP Ranges").
const ISTIOD_ADDRESS: &str = "10.152.183.11";
/// The gateway that Seldon's own routes would name.
const GATEWAY: &str = "istio-system/istio-gateway";

const SELDON_CORE: &str = include_str!("../../manifests/seldon-core.yaml");
const ISTIO: &str = include_str!("../../manifests/istio.yaml");

/// Makes them all, or makes them again as they are meant to be.
///
/// # Errors
/// When the server refuses one.
pub(super) async fn apply(client: &Client, server: &ApiServer, images: &Images) -> Result<()> {
    let encoded = |file: &str| -> Result<String> { base64(&server.certificate(file)) };
    let values = [
        ("CA", encoded("ca.crt")?),
        ("WEBHOOK_CERTIFICATE", encoded("webhook.crt")?),
        ("WEBHOOK_KEY", encoded("webhook.key")?),
        ("OPERATOR", images.operator.to_owned()),
        ("EXECUTOR", images.executor.to_owned()),
        ("STORAGE_INITIALIZER", images.storage_initializer.to_owned()),
        ("EXPLAINER", images.explainer.to_owned()),
        ("ISTIOD", images.istiod.to_owned()),
        ("PROXY", images.proxy.to_owned()),
        ("ISTIOD_ADDRESS", ISTIOD_ADDRESS.to_owned()),
        ("NODE_PORT", NODE_PORT.to_owned()),
        ("GATEWAY", GATEWAY.to_owned()),
    ];
    for text in [SELDON_CORE, ISTIO] {
        let text = values.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        });
        for document in serde_yaml::Deserializer::from_str(&text) {
            apply_one(client, Value::deserialize(document)?).await?;
        }
    }
    Ok(())
}

async fn apply_one(client: &Client, value: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(value)?;
    let types: TypeMeta = object.types.clone().context("a manifest names no kind")?;
    let name = object.metadata.name.clone().unwrap_or_default();
    let resource = ApiResource::from_gvk(&(&types).try_into()?);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(&name, &PatchParams::apply("site").force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("the server refuses {} {name}", types.kind))?;
    Ok(())
}

/// As Kubernetes writes bytes in JSON.
fn base64(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let value = serde_json::to_value(ByteString(bytes))?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}
