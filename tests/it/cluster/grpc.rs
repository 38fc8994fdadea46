//! Routes for gRPC calls and for the page of a model, and their conflicts.

use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::kinds::{sdep, vs};
use crate::support::{assert_contains, rules};

fn port(http: &Value) -> &Value {
    &http["route"][0]["destination"]["port"]["number"]
}

#[test]
fn grpc_goes_to_the_port_seldon_reports() {
    let mut live = Live::new("calls");
    live.config(&[
        ("protocol", "v2"),
        ("hosts", "*.example"),
        ("grpc-host", "iris.example"),
        ("canary", "{image: 'iris:2', weight: 30, match: {x-canary: 'yes'}}"),
    ]);
    live.hook("config-changed");
    let route = live.route("iris").unwrap();
    assert_eq!(port(&rules(&route)[0]), 5001, "Seldon's default");
    live.seldon_serves("iris");
    let ends = |port: u16| json!({"svcName": "x", "grpcEndpoint": format!("iris-default.calls:{port}")});
    let says = json!({"serviceStatus": {"iris-default": ends(5002), "iris-canary": ends(5003)}});
    live.merge_status(&sdep(), "iris", &says);
    assert_contains(&live.says(), &["active: iris serves"]);
    let route = live.route("iris").unwrap();
    let http = rules(&route);
    let hosts: Vec<String> = http
        .iter()
        .map(|http| {
            format!(
                "{} {}",
                http["route"][0]["destination"]["host"].as_str().unwrap(),
                port(http)
            )
        })
        .collect();
    assert_eq!(
        hosts,
        [
            "iris-canary.calls.svc.cluster.local 5003",
            "iris-canary.calls.svc.cluster.local 8000",
            "iris-default.calls.svc.cluster.local 5002",
            "iris-default.calls.svc.cluster.local 8000",
            "iris-default.calls.svc.cluster.local 8000",
        ]
    );
    assert_eq!(live.shares("iris"), ["default 70", "canary 30"]);
    let before = live.versions();
    live.hook("update-status");
    assert_eq!(live.versions(), before, "a quiet hook wrote");
    live.config(&[("canary", ""), ("grpc-host", ""), ("protocol", "")]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    live.hook("update-status");
    let route = live.route("iris").unwrap();
    let http = rules(&route);
    assert_eq!(http.len(), 2, "{route}");
    let of_seldon = json!({"prefix": "/seldon/calls/iris/"});
    assert!(
        http[1]["match"]
            .as_array()
            .unwrap()
            .contains(&json!({"uri": of_seldon})),
        "{route}"
    );
}

#[test]
fn taken_grpc_host_blocks_naming_the_route() {
    let mut live = Live::new("taken");
    let theirs = json!({"spec": {"hosts": ["*"], "gateways": ["taken/gate"], "http": [{
        "match": [{"authority": {"exact": "iris.example"}}],
        "route": [{"destination": {"host": "theirs"}}],
    }]}});
    live.create(&vs(), "theirs", &theirs);
    assert!(live.serves().starts_with("active"), "it has no such host");
    live.config(&[("grpc-host", "iris.example")]);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: grpc-host taken by another route. Run: juju config iris grpc-host=… (",
            "iris.example: VirtualService taken/theirs on the same gateway",
        ],
    );
    live.config(&[("grpc-host", "other.example")]);
    assert_contains(&live.says(), &["active: iris serves"]);
}
