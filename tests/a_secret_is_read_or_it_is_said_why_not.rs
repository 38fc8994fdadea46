//! Rung 2: the real binary asks a stand-in for Juju for the secrets that options name, with no cluster to be reached.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and takes its data as it is written"
)]

mod support;

use site::agent::Fault;
use support::{Edge, has, status};

const REGISTRY: [(&str, &str); 3] = [("registry", "r.example"), ("username", "edge"), ("password", "hunter2")];

/// An application with a secret of Juju's that nobody may read yet.
fn edge(model: &str) -> (Edge, String) {
    let mut edge = Edge::new(model);
    let uri = edge.world.add_secret("registry", &REGISTRY).unwrap();
    edge.config(&[("image-pull-secret", &uri)]);
    (edge, uri)
}

#[test]
fn what_is_not_granted_is_asked_for_by_the_line_to_type() {
    let (mut edge, uri) = edge("ungranted");
    assert_eq!(
        edge.says(),
        format!("blocked: option image-pull-secret={uri}: is not granted to iris; juju grant-secret {uri} iris")
    );
    edge.world.grant_secret("registry", "iris").unwrap();
    has(&edge.says(), &["waiting: the Kubernetes API cannot be reached"]);
}

#[test]
fn what_is_gone_says_how_there_is_another() {
    let (mut edge, uri) = edge("gone");
    edge.world.remove_secret("registry").unwrap();
    has(
        &edge.says(),
        &[
            &format!(
                "blocked: option image-pull-secret={uri}: there is no such secret (any more); juju add-secret NAME"
            ),
            "juju grant-secret NAME iris, juju config iris image-pull-secret=",
        ],
    );
}

#[test]
fn before_juju_3_0_3_it_is_refused_with_the_way_out_and_juju_is_not_asked() {
    for version in ["2.9.42", "3.0.2"] {
        let (mut edge, uri) = edge("old");
        edge.world.version = version.parse().unwrap();
        let run = edge.hook("config-changed");
        assert_eq!(
            status(&run),
            format!(
                "blocked: option image-pull-secret={uri}: Juju {version} has no secrets for charms, as Juju has from 3.0.3 on; \
                 kubectl -n old create secret docker-registry NAME …, juju config iris image-pull-secret=kubernetes:NAME"
            )
        );
        assert_eq!(run.calls_of("secret-get").count(), 0);
        edge.config(&[("image-pull-secret", "kubernetes:mine")]);
        has(&edge.says(), &["waiting: the Kubernetes API cannot be reached"]);
    }
}

#[test]
fn the_newest_content_is_read_in_every_hook_whoever_leads() {
    let (mut edge, uri) = edge("newest");
    edge.world.grant_secret("registry", "iris").unwrap();
    edge.world.application_mut("iris").unwrap().add_unit();
    for unit in ["iris/0", "iris/1"] {
        let run = edge.run_on(unit, "config-changed");
        has(&status(&run), &["waiting: the Kubernetes API cannot be reached"]);
    }
    edge.world
        .update_secret("registry", &[("registry", "r.example")])
        .unwrap();
    for unit in ["iris/0", "iris/1"] {
        let run = edge.run_on(unit, "update-status");
        assert_eq!(run.calls_of("secret-get").count(), 1);
        assert_eq!(
            status(&run),
            format!(
                "blocked: option image-pull-secret={uri}: the secret has no key username; \
                 juju update-secret {uri} registry=… username=… password=…"
            )
        );
    }
}

#[test]
fn a_secret_get_that_fails_in_passing_is_named_and_the_hook_does_not() {
    for fault in [
        Fault::Missing,
        Fault::Exit(1, "ERROR the controller is away\n".into()),
        Fault::Raw(b"{\"password\": \"hunter2".to_vec()),
        Fault::Raw(b"{\"password\": [\"hunter2\"]}".to_vec()),
        Fault::Raw(Vec::new()),
    ] {
        let (mut edge, _) = edge("passing");
        edge.fault("secret-get", fault.clone());
        let run = edge.hook("config-changed");
        has(
            &status(&run),
            &["waiting: Juju's secret-get ", "tried again at the next hook"],
        );
        let all = format!("{} {} {} {:?}", status(&run), run.stdout, run.stderr, run.log);
        assert!(!all.contains("hunter2"), "{fault:?}: {all}");
    }
}
