//! The secrets that options name, read from a simulated Juju.

use juju_sim::agent::{Fault, HookRun};

use crate::support::{Edge, assert_contains, status};

const REGISTRY: [(&str, &str); 3] = [("registry", "r.example"), ("username", "edge"), ("password", "hunter2")];

/// An application with a Juju secret that is not granted yet.
fn edge(model: &str) -> (Edge, String) {
    let mut edge = Edge::new(model);
    let uri = edge.world.add_secret("registry", &REGISTRY).unwrap();
    edge.config(&[("image-pull-secret", &uri)]);
    (edge, uri)
}

/// The status after a hook in which every secret is read.
fn installed(edge: &mut Edge) -> String {
    status(&edge.hook("install"))
}

fn reads(run: &HookRun) -> usize {
    run.calls_of("secret-get").count()
}

#[test]
fn missing_grant_names_the_grant_command() {
    for version in ["3.0.3", "3.6.1", "4.0.15"] {
        let (mut edge, uri) = edge("ungranted");
        edge.world.version = version.parse().unwrap();
        assert_eq!(
            installed(&mut edge),
            format!("blocked: option image-pull-secret: is not granted. Run: juju grant-secret {uri} iris"),
            "Juju {version}"
        );
        edge.world.grant_secret("registry", "iris").unwrap();
        assert_contains(
            &installed(&mut edge),
            &["waiting: Kubernetes API unreachable; will retry ("],
        );
    }
}

#[test]
fn removed_secret_names_the_commands_for_another() {
    let (mut edge, uri) = edge("gone");
    edge.world.remove_secret("registry").unwrap();
    assert_contains(
        &installed(&mut edge),
        &[
            "blocked: option image-pull-secret: does not exist. Run: juju add-secret iris-registry registry=",
            &format!("({uri}; then juju grant-secret iris-registry iris, juju config iris image-pull-secret="),
        ],
    );
}

#[test]
fn juju_before_3_0_3_rejects_secret_uris() {
    for version in ["2.9.42", "3.0.2"] {
        let (mut edge, _) = edge("old");
        edge.world.version = version.parse().unwrap();
        let run = edge.hook("install");
        assert_eq!(
            status(&run),
            format!(
                "blocked: option image-pull-secret: secrets need Juju 3.0.3 or later. \
                 Run: juju config iris image-pull-secret=kubernetes:… \
                 (Juju {version} has no secrets; first kubectl -n old create secret docker-registry …)"
            )
        );
        assert_eq!(reads(&run), 0);
        edge.config(&[("image-pull-secret", "kubernetes:mine")]);
        assert_contains(&edge.says(), &["waiting: Kubernetes API unreachable; will retry ("]);
    }
}

#[test]
fn secret_is_read_on_events_changing_it() {
    let (mut edge, uri) = edge("events");
    edge.world.grant_secret("registry", "iris").unwrap();
    edge.world.application_mut("iris").unwrap().add_unit();
    for unit in ["iris/0", "iris/1"] {
        for hook in ["install", "leader-elected", "upgrade-charm", "secret-changed"] {
            assert_eq!(reads(&edge.run_on(unit, hook)), 1, "{hook} on {unit}");
        }
        for hook in [
            "config-changed",
            "start",
            "update-status",
            "leader-settings-changed",
            "a-hook-to-come",
        ] {
            assert_eq!(reads(&edge.run_on(unit, hook)), 0, "{hook} on {unit}");
        }
    }
    edge.world
        .update_secret("registry", &[("registry", "r.example")])
        .unwrap();
    for unit in ["iris/0", "iris/1"] {
        assert_eq!(
            status(&edge.run_on(unit, "secret-changed")),
            format!(
                "blocked: option image-pull-secret: missing key `username`. \
                 Run: juju run iris/leader diagnose; not applied yet: {uri}"
            )
        );
    }
}

#[test]
fn secret_changed_without_api_stays_in_status() {
    let (mut edge, uri) = edge("remembered");
    edge.world.grant_secret("registry", "iris").unwrap();
    let other = edge.secret("store", &[("access-key-id", "edge"), ("secret-access-key", "hunter3")]);
    edge.config(&[("model-uri", "s3://models/iris"), ("storage-secret", &other)]);
    edge.hook("update-status");
    let changed = juju_sim::agent::Hook::Secret {
        event: "changed".into(),
        id: uri.clone(),
        label: String::new(),
        revision: None,
    };
    let run = edge.hook(changed);
    assert_eq!(reads(&run), 1, "of two secrets the one that changed");
    for says in [status(&run), status(&edge.hook("update-status")), edge.says()] {
        assert_contains(
            &says,
            &[
                "waiting: Kubernetes API unreachable; will retry (",
                &format!("; not applied yet: {uri}"),
            ],
        );
        assert!(!says.contains(&other), "{says}");
    }
}

#[test]
fn failing_secret_get_is_named_and_hook_succeeds() {
    for error in [
        Fault::Missing,
        Fault::Exit(1, "ERROR the controller is away\n".into()),
        Fault::Exit(1, "ERROR model not found\n".into()),
        Fault::Raw(b"{\"password\": \"hunter2".to_vec()),
        Fault::Raw(b"{\"password\": [\"hunter2\"]}".to_vec()),
        Fault::Raw(Vec::new()),
    ] {
        let (mut edge, _) = edge("passing");
        edge.error("secret-get", error.clone());
        let run = edge.hook("install");
        assert_contains(
            &status(&run),
            &["waiting: hook tool failed; will retry (Juju's secret-get "],
        );
        let all = format!("{} {} {} {:?}", status(&run), run.stdout, run.stderr, run.log);
        assert!(!all.contains("hunter2"), "{error:?}: {all}");
    }
}
