//! How etcd and kube-apiserver are started.

use std::path::Path;

use anyhow::Result;

use super::certificates::Certificates;
use crate::assets::Assets;
use crate::process::{Launch, Lifetime, Process};
use crate::space::{self, Space};

/// etcd's name, of its log and of its pid file.
pub(super) const ETCD: &str = "etcd";
/// kube-apiserver's name, of its log and of its pid file.
pub(super) const API: &str = "kube-apiserver";

/// Where etcd listens: sockets in its own folder, which nobody else can open, and no port. It asks for the shape of a
/// host and a port; both programs run in that folder, so however long its path is, this is short enough for a socket.
const ETCD_CLIENTS: &str = "unix://localhost:2379";
const ETCD_PEERS: &str = "unix://localhost:2380";

/// Where every request is written down once it was answered: who asked for what.
pub(super) const AUDIT_LOG: &str = "audit.log";
/// What of each request.
const AUDIT: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
"omitManagedFields": true, "rules": [{"level": "Metadata"}]}"#;
/// Who signs the tokens of service accounts.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub(super) fn etcd(program: &Path, folder: &Path, lifetime: Lifetime, space: Option<&Space>) -> Result<Process> {
    let flags = [
        ("name", "site"),
        ("data-dir", "data"),
        ("listen-client-urls", ETCD_CLIENTS),
        ("advertise-client-urls", ETCD_CLIENTS),
        ("listen-peer-urls", ETCD_PEERS),
        ("initial-advertise-peer-urls", ETCD_PEERS),
        ("initial-cluster", "site=unix://localhost:2380"),
        // What is lost when the power fails is a site made for trying out.
        ("unsafe-no-fsync", "true"),
        ("log-level", "warn"),
    ];
    let inside = folder.join(ETCD);
    Launch {
        name: ETCD,
        program,
        arguments: arguments(&flags),
        folder,
        inside: &inside,
        namespaces: space.map(|space| space.init()),
        listener: None,
    }
    .start(lifetime)
}

pub(super) fn api(
    assets: &Assets,
    folder: &Path,
    port: u16,
    certificates: &Certificates,
    lifetime: Lifetime,
    space: Option<&Space>,
) -> Result<Process> {
    let policy = folder.join("audit-policy.json");
    std::fs::write(&policy, AUDIT)?;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let file = |name: &str| certificates.path(name).to_string_lossy().into_owned();
    let port = port.to_string();
    let (admin, key) = (file("admin.crt"), file("admin.key"));
    let place: &[(&str, &str)] = match space {
        None => &[
            ("bind-address", "127.0.0.1"),
            ("advertise-address", "127.0.0.1"),
            ("secure-port", &port),
            // A loopback address may not stand in the endpoints of the Service "kubernetes".
            ("endpoint-reconciler-type", "none"),
            // It waits for a service account that a controller would make; there are no controllers.
            ("disable-admission-plugins", "ServiceAccount"),
        ],
        Some(_) => &[
            ("bind-address", "0.0.0.0"),
            ("advertise-address", space::ADDRESS),
            ("secure-port", space::API_PORT),
            ("allow-privileged", "true"),
            ("kubelet-client-certificate", &admin),
            ("kubelet-client-key", &key),
            // The node's name is in no DNS.
            ("kubelet-preferred-address-types", "InternalIP"),
        ],
    };
    let flags = [
        ("etcd-servers", ETCD_CLIENTS),
        ("tls-cert-file", &file("apiserver.crt")),
        ("tls-private-key-file", &file("apiserver.key")),
        ("client-ca-file", &file("ca.crt")),
        ("authorization-mode", "Node,RBAC"),
        ("service-account-issuer", ISSUER),
        ("service-account-signing-key-file", &file("tokens.key")),
        ("service-account-key-file", &file("tokens.pub")),
        ("service-cluster-ip-range", super::SERVICES),
        // Shares a busy server out among many clients: here there is one.
        ("enable-priority-and-fairness", "false"),
        ("profiling", "false"),
        ("audit-policy-file", &path(&policy)),
        ("audit-log-path", &path(&folder.join(AUDIT_LOG))),
    ];
    let inside = folder.join(ETCD);
    Launch {
        name: API,
        program: &assets.kube_apiserver,
        arguments: [arguments(place), arguments(&flags)].concat(),
        folder,
        inside: &inside,
        namespaces: space.map(|space| space.init()),
        listener: None,
    }
    .start(lifetime)
}

pub(crate) fn arguments(flags: &[(&str, &str)]) -> Vec<String> {
    flags.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
