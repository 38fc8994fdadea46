//! The gateway: from relation or option, late, down, deleted, or one too many.

use juju_sim::agent::{Hook, RelationEvent};
use juju_sim::juju::Charm;

use super::endpoints;
use super::fixture::Live;
use crate::support::{assert_contains, status};

#[test]
fn missing_gateway_blocks_naming_the_command() {
    let mut live = Live::new("nogate");
    live.world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: no gateway. Run: juju integrate iris:gateway-info istio-pilot (",
            "juju config iris gateway=…",
        ],
    );
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
}

#[test]
fn broken_relation_deletes_route_and_keeps_model() {
    let mut live = Live::new("broken");
    assert!(live.serves().starts_with("active"));
    let id = live.gateway_info;
    // Juju still lists the relation while it is being broken.
    let run = live.hook(Hook::relation(RelationEvent::Broken, id));
    assert_contains(&status(&run), &["blocked: iris: no gateway"]);
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
    assert_contains(
        &run.logged("INFO").collect::<Vec<_>>().join("\n"),
        &["deleted VirtualService iris-route"],
    );
}

#[test]
fn missing_gateway_data_keeps_the_route() {
    let mut live = Live::new("late");
    live.publish_gateway(&[("gateway_name", ""), ("gateway_namespace", "")]);
    assert_contains(&live.says(), &["waiting: waiting for istio-pilot to name its gateway"]);
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
    live.publish_gateway(&[("gateway_name", "gate"), ("gateway_namespace", "late")]);
    assert!(live.serves().starts_with("active"));
    live.publish_gateway(&[("gateway_name", ""), ("gateway_namespace", "")]);
    assert_contains(&live.says(), &["waiting: waiting for istio-pilot to name its gateway"]);
    assert!(live.route("iris").is_some(), "what served serves on");
}

#[test]
fn absent_gateway_is_waited_for() {
    let mut live = Live::new("down");
    assert!(live.serves().starts_with("active"));
    live.publish_gateway(&[("gateway_up", "false")]);
    assert_contains(
        &live.says(),
        &["waiting: waiting for gateway down/gate to be up (see juju status istio-pilot)"],
    );
    live.publish_gateway(&[("gateway_up", "true")]);
    assert!(live.says().starts_with("active"));
    live.publish_gateway(&[("gateway_name", "other")]);
    assert_contains(
        &live.says(),
        &["waiting: waiting for gateway down/other (istio-pilot creates it)"],
    );
}

#[test]
fn gateway_option_overrides_the_relation() {
    let mut live = Live::new("named");
    live.wait(live.cluster.apply_gateway("named", "side-door")).unwrap();
    live.config(&[("gateway", "named/side-door")]);
    assert!(live.serves().starts_with("active"));
    let route = live.route("iris").unwrap();
    assert_eq!(route["spec"]["gateways"][0], "named/side-door");
    live.config(&[("gateway", "named/sied-door")]);
    assert_contains(
        &live.says(),
        &["blocked: iris: Istio Gateway not found. Run: juju config iris gateway=… (named/sied-door)"],
    );
}

#[test]
fn two_related_gateways_block() {
    let mut live = Live::new("two");
    live.serves();
    live.world
        .add_application("istio-second", Charm::fake("istio-pilot", "1.28/stable"), 1)
        .unwrap();
    let second = live
        .world
        .integrate("iris:gateway-info", "istio-second:gateway-info")
        .unwrap();
    live.world
        .write_bag(
            second,
            "istio-second",
            &[("gateway_name", "gate"), ("gateway_namespace", "two")],
        )
        .unwrap();
    assert_contains(
        &live.says(),
        &["blocked: two gateways are related, one is supported. Run: juju remove-relation iris:gateway-info istio-"],
    );
    assert!(live.route("iris").is_some(), "what served serves on");
}

#[test]
fn gateway_with_a_ready_pod_is_up_whatever_the_relation_says() {
    let mut live = Live::new("long-up");
    assert!(live.serves().starts_with("active"));
    endpoints::gateway(&live, &endpoints::http(), "NodePort");
    live.publish_gateway(&[("gateway_up", "false")]);
    assert!(live.says().starts_with("active"), "{}", live.says());
    endpoints::gateway_pod(&live, false);
    live.hook("update-status");
    assert_contains(&live.says(), &["waiting: waiting for gateway long-up/gate to be up"]);
}
