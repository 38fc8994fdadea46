//! A charm that plays the other side of each relation, so that no test depends on Charmhub: it publishes what its options say, and
//! `juju show-unit` shows what it was given.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::packed::folder;

const METADATA: &str = "\
name: neighbour
summary: Plays the charms that a model is related to
description: Publishes what its options say.
assumes: [k8s-api]
provides:
  gateway-info: {interface: istio-gateway-info}
  gateway-metadata: {interface: gateway_metadata}
  tracing: {interface: tracing}
requires:
  metrics-endpoint: {interface: prometheus_scrape}
  grafana-dashboard: {interface: grafana_dashboard}
";

const CONFIG: &str = "\
options:
  endpoint:
    type: string
    default: ''
    description: The endpoint whose relations get `data`.
  data:
    type: string
    default: '{}'
    description: The application data, a map of text in JSON.
";

/// In a hook that ends a relation or a unit, Juju may no longer know the relations it lists.
const DISPATCH: &str = r#"#!/bin/sh
set -e
case "$JUJU_HOOK_NAME" in
    *-relation-broken | stop | remove) exit 0 ;;
esac
status-set active
endpoint=$(config-get endpoint)
if [ -z "$endpoint" ] || [ "$(is-leader)" != True ]; then
    exit 0
fi
for relation in $(relation-ids "$endpoint"); do
    config-get data | relation-set --relation "$relation" --app --file -
done
"#;

/// The charm, packed by the first test that needs it.
pub fn charm() -> &'static PathBuf {
    static CHARM: OnceLock<PathBuf> = OnceLock::new();
    CHARM.get_or_init(pack)
}

fn pack() -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    // Without its base Juju takes a charm for one of another age, and refuses it on Kubernetes.
    let manifest = format!("bases:\n- {{name: ubuntu, channel: '22.04', architectures: [{architecture}]}}\n");
    let path = folder("neighbour").join("neighbour.charm");
    let mut archive = ZipWriter::new(File::create(&path).unwrap());
    for (name, text, mode) in [
        ("metadata.yaml", METADATA, 0o644),
        ("manifest.yaml", manifest.as_str(), 0o644),
        ("config.yaml", CONFIG, 0o644),
        ("dispatch", DISPATCH, 0o755),
    ] {
        let options = SimpleFileOptions::default().unix_permissions(mode);
        archive.start_file(name, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    path
}
