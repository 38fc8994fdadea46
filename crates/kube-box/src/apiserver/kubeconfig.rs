//! Kubeconfigs: who may call a server, and how the caller knows that it is the one.

use anyhow::Result;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

/// The name of the cluster in every kubeconfig.
const CLUSTER: &str = "site";

/// What one user shows to the server.
pub(crate) enum Credentials {
    /// A client certificate and its key, both PEM.
    Certificate { certificate: String, key: String },
    /// A service account's token.
    Token(String),
}

/// The text of a kubeconfig that holds everything it needs, so that it can be copied.
///
/// # Errors
/// When it cannot be written as YAML.
pub(crate) fn text(url: &str, ca_pem: &str, user: &str, namespace: &str, credentials: Credentials) -> Result<String> {
    let shown = match credentials {
        Credentials::Certificate { certificate, key } => json!({
            "client-certificate-data": base64(certificate)?,
            "client-key-data": base64(key)?,
        }),
        Credentials::Token(token) => json!({ "token": token }),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": CLUSTER,
            "cluster": { "server": url, "certificate-authority-data": base64(ca_pem.to_owned())? },
        }],
        "users": [{ "name": user, "user": shown }],
        "contexts": [{
            "name": CLUSTER,
            "context": { "cluster": CLUSTER, "user": user, "namespace": namespace },
        }],
        "current-context": CLUSTER,
    });
    Ok(serde_yaml::to_string(&config)?)
}

fn base64(text: String) -> Result<Value> {
    // How Kubernetes writes bytes in JSON, and in a kubeconfig.
    Ok(serde_json::to_value(ByteString(text.into_bytes()))?)
}
