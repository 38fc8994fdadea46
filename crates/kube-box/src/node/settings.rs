//! What the node's programs are told.

use std::path::Path;

use serde_json::{Value, json};

use super::{CONTAINERD, PODS};
use crate::space::ADDRESS;

/// containerd's configuration: everything in the site's folder and in the node's own /run.
pub(super) fn containerd(folder: &Path, pause: &str) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "/run/containerd"
# File systems that the machine may not have; each would only complain.
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Not every machine's owner may lower it.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#
    )
}

/// Where Debian's package containernetworking-plugins puts them.
pub(super) const PLUGINS: &str = "/usr/lib/cni";

/// The pods' network: a bridge in the node.
pub(super) fn network() -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "site",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                // A pod may be led back to itself by its own Service.
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// The kubelet's configuration.
pub(super) fn kubelet(folder: &Path, authority: &Path, cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": false},
            "x509": {"clientCAFile": authority},
        },
        // Whoever has a certificate of the site's own authority.
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        // Machines with cgroup v1 are still about; Kubernetes drops them in 1.35 only.
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "healthzPort": 0,
        "maxPods": 200,
        "resolvConf": "",
        "podLogsDir": folder.join("pods"),
        "volumePluginDir": folder.join("volume-plugins"),
        // Images are imported once and can be pulled from nowhere: none is removed to make room.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        // The default of 40 s until a node that fell silent is noticed goes by the status it writes.
        "nodeStatusUpdateFrequency": "4s",
        // More than five images at a time would not be pulled, but refused.
        "serializeImagePulls": true,
    })
}
