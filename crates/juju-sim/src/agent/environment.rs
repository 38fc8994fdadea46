//! The environment of a hook: exactly what Juju sets, and nothing of ours (juju/juju,
//! internal/worker/uniter/runner/context/context.go and env.go).

use std::ffi::OsString;
use std::path::Path;

use crate::hooktool::Context;
use crate::juju::Hook;
use crate::juju::{Version, World};

/// The directories of one hook.
pub(super) struct Places<'a> {
    pub charm: &'a Path,
    pub tools: &'a Path,
    pub socket: &'a Path,
    pub kubeconfig: Option<&'a Path>,
}

/// The variables, by name.
pub(super) fn environment(
    world: &World,
    unit: &str,
    hook: &Hook,
    name: &str,
    context_id: &str,
    places: &Places<'_>,
) -> Vec<(&'static str, OsString)> {
    let action = matches!(hook, Hook::Action { .. });
    let exec = matches!(hook, Hook::Exec { .. });
    let directory = if action { "actions" } else { "hooks" };
    let mut path = places.tools.as_os_str().to_owned();
    // The charm's container has Pebble in the last one.
    path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/charm/bin");

    let mut set: Vec<(&'static str, OsString)> = vec![
        (
            "JUJU_HOOK_NAME",
            if action || exec { OsString::new() } else { name.into() },
        ),
        ("JUJU_UNIT_NAME", unit.into()),
        ("JUJU_MODEL_NAME", world.model.name.clone().into()),
        ("JUJU_MODEL_UUID", world.model.uuid.clone().into()),
        ("JUJU_CHARM_DIR", places.charm.into()),
        ("CHARM_DIR", places.charm.into()),
        ("JUJU_VERSION", world.version.to_string().into()),
        ("JUJU_CONTEXT_ID", context_id.into()),
        ("JUJU_AGENT_SOCKET_ADDRESS", places.socket.into()),
        ("JUJU_AGENT_SOCKET_NETWORK", "unix".into()),
        (
            "JUJU_API_ADDRESSES",
            "controller-service.controller-site.svc.cluster.local:17070".into(),
        ),
        // Of Kubernetes, as its minor version; and the model's default.
        ("CLOUD_API_VERSION", "1.34.0".into()),
        ("JUJU_CHARM_NO_PROXY", "127.0.0.1,localhost,::1".into()),
        ("PATH", path),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "tmux-256color".into()),
        ("DEBIAN_FRONTEND", "noninteractive".into()),
        ("APT_LISTCHANGES_FRONTEND", "none".into()),
    ];
    // Set and empty on Kubernetes.
    for empty in [
        "JUJU_PRINCIPAL_UNIT",
        "JUJU_MACHINE_ID",
        "JUJU_AVAILABILITY_ZONE",
        "JUJU_CHARM_HTTP_PROXY",
        "JUJU_CHARM_HTTPS_PROXY",
        "JUJU_CHARM_FTP_PROXY",
    ] {
        set.push((empty, OsString::new()));
    }
    // A command of juju-exec is no dispatch, so it has none rather than an empty one.
    if !exec {
        set.push(("JUJU_DISPATCH_PATH", format!("{directory}/{name}").into()));
    }
    by_version(&world.version, &mut set);
    by_hook(world, unit, hook, &mut set);
    // The one thing that is not as in a pod: there a service account's token is mounted under /var/run/secrets, which
    // only root could do here, so the same token comes in a kubeconfig.
    if let Some(kubeconfig) = places.kubeconfig {
        set.push(("KUBECONFIG", kubeconfig.into()));
    }
    set
}

fn by_version(version: &Version, set: &mut Vec<(&'static str, OsString)>) {
    if version.at_least(4, 0, 0) {
        // Empty without a collector that the controller names.
        for tracing in [
            "JUJU_CHARM_TRACE_CONFIG_HTTP",
            "JUJU_CHARM_TRACE_CONFIG_GRPC",
            "JUJU_CHARM_TRACE_CONFIG_CA_CERT",
        ] {
            set.push((tracing, OsString::new()));
        }
    } else {
        set.push(("JUJU_SLA", "unsupported".into()));
        set.push(("JUJU_METER_STATUS", "AMBER".into()));
        set.push(("JUJU_METER_INFO", "not set".into()));
    }
    // The agent copies these from its own environment by a list that an older 2.9 does not have.
    if version.at_least(3, 0, 0) {
        for (name, value) in [
            ("KUBERNETES_SERVICE_HOST", "10.152.183.1"),
            ("KUBERNETES_SERVICE_PORT", "443"),
            ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
            ("KUBERNETES_PORT", "tcp://10.152.183.1:443"),
            ("KUBERNETES_PORT_443_TCP", "tcp://10.152.183.1:443"),
            ("KUBERNETES_PORT_443_TCP_ADDR", "10.152.183.1"),
            ("KUBERNETES_PORT_443_TCP_PORT", "443"),
            ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
        ] {
            set.push((name, value.into()));
        }
    }
}

fn by_hook(world: &World, unit: &str, hook: &Hook, set: &mut Vec<(&'static str, OsString)>) {
    match hook {
        Hook::Plain(_) | Hook::Exec { .. } => {}
        Hook::Relation {
            id,
            unit: remote_unit,
            departing,
            ..
        } => {
            let application = crate::juju::application_of(unit);
            let relation = world.relations.get(id);
            let local = relation.and_then(|relation| relation.local(application));
            let remote = relation.and_then(|relation| relation.remote(application));
            let endpoint = local.map_or("", |side| side.endpoint.as_str());
            set.push(("JUJU_RELATION", endpoint.into()));
            set.push(("JUJU_RELATION_ID", format!("{endpoint}:{id}").into()));
            // Set and empty where the hook is about no unit.
            set.push(("JUJU_REMOTE_UNIT", remote_unit.clone().unwrap_or_default().into()));
            set.push((
                "JUJU_REMOTE_APP",
                remote.map_or("", |side| side.application.as_str()).into(),
            ));
            if let Some(departing) = departing {
                set.push(("JUJU_DEPARTING_UNIT", departing.into()));
            }
        }
        Hook::Secret {
            id, label, revision, ..
        } => {
            set.push(("JUJU_SECRET_ID", id.into()));
            set.push(("JUJU_SECRET_LABEL", label.into()));
            if let Some(revision) = revision {
                set.push(("JUJU_SECRET_REVISION", revision.to_string().into()));
            }
        }
        Hook::Action { name, task, .. } => {
            set.push(("JUJU_ACTION_NAME", name.into()));
            set.push(("JUJU_ACTION_UUID", task.to_string().into()));
            set.push(("JUJU_ACTION_TAG", format!("action-{task}").into()));
        }
    }
}

/// The id of a hook's context, as Juju forms it: unit, hook, and what differs each time: a number, from 4.0 on 32 hexadecimal digits.
pub(super) fn context_id(context: &Context, version: &Version, name: &str, number: u64) -> String {
    if version.at_least(4, 0, 0) {
        format!("{}-{name}-{number:032x}", context.unit)
    } else {
        format!("{}-{name}-{number:019}", context.unit)
    }
}
