//! The gateway: named by relation or option, late, down, gone, or one too many.

use site::agent::{Hook, RelationEvent};
use site::juju::Charm;

use super::fixture::Live;
use crate::support::{has, status};

#[test]
fn without_a_gateway_the_model_is_there_and_the_status_says_what_to_type() {
    let mut live = Live::new("nogate");
    live.world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    has(
        &live.says(),
        &[
            "blocked: iris has no gateway",
            "juju relate iris:gateway-info istio-pilot",
            "gateway=namespace/name",
        ],
    );
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
}

#[test]
fn when_the_relation_breaks_the_route_goes_and_the_model_stays() {
    let mut live = Live::new("broken");
    assert!(live.serves().starts_with("active"));
    let id = live.gateway_info;
    // Juju lists the relation still while it is being broken.
    let run = live.hook(Hook::relation(RelationEvent::Broken, id));
    has(&status(&run), &["blocked: iris has no gateway"]);
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
    has(
        &run.logged("INFO").collect::<Vec<_>>().join("\n"),
        &["deleted VirtualService iris-route"],
    );
}

#[test]
fn data_that_is_late_or_gone_changes_no_route() {
    let mut live = Live::new("late");
    live.says_gateway(&[("gateway_name", ""), ("gateway_namespace", "")]);
    has(&live.says(), &["waiting: istio-pilot has not said which gateway"]);
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
    live.says_gateway(&[("gateway_name", "gate"), ("gateway_namespace", "late")]);
    assert!(live.serves().starts_with("active"));
    live.says_gateway(&[("gateway_name", ""), ("gateway_namespace", "")]);
    has(&live.says(), &["waiting: istio-pilot has not said which gateway"]);
    assert!(live.route("iris").is_some(), "what served serves on");
}

#[test]
fn a_gateway_that_is_down_or_not_yet_made_is_waited_for() {
    let mut live = Live::new("down");
    assert!(live.serves().starts_with("active"));
    live.says_gateway(&[("gateway_up", "false")]);
    has(
        &live.says(),
        &["waiting: the gateway down/gate is not up, says istio-pilot"],
    );
    live.says_gateway(&[("gateway_up", "true")]);
    assert!(live.says().starts_with("active"));
    live.says_gateway(&[("gateway_name", "other")]);
    has(
        &live.says(),
        &["waiting: the gateway down/other does not exist yet; istio-pilot makes it"],
    );
}

#[test]
fn the_option_overrides_the_relation_and_must_name_one_that_is_there() {
    let mut live = Live::new("named");
    live.wait(live.cluster.apply_gateway("named", "side-door")).unwrap();
    live.config(&[("gateway", "named/side-door")]);
    assert!(live.serves().starts_with("active"));
    let route = live.route("iris").unwrap();
    assert_eq!(route["spec"]["gateways"][0], "named/side-door");
    live.config(&[("gateway", "named/sied-door")]);
    has(
        &live.says(),
        &[
            "blocked: there is no Istio Gateway named/sied-door",
            "juju config iris gateway=",
        ],
    );
}

#[test]
fn two_gateways_are_one_too_many() {
    let mut live = Live::new("two");
    live.serves();
    live.world
        .add_application("istio-second", Charm::stand_in("istio-pilot", "1.28/stable"), 1)
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
    has(
        &live.says(),
        &[
            "blocked: gateway-info is related to istio-pilot and istio-second",
            "juju remove-relation",
        ],
    );
    assert!(live.route("iris").is_some(), "what served serves on");
}
