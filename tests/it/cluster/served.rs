//! When gateways are queried for what they serve. The answers of a real gateway are among the tests on a full site.

use serde_json::json;

use super::endpoints::{gateway, http};
use super::fixture::Live;
use super::gateway_api::{behind_ingress, serves};
use crate::support::kinds::vs;
use crate::support::{assert_contains, status};

/// The lists of a gateway's Services, of all namespaces.
fn queried(requests: &[String]) -> usize {
    requests.iter().filter(|request| *request == "list services").count()
}

/// Marks the route as one that its gateway does not serve, as the charm does.
fn mark(live: &Live) {
    let uuid: String = live.world.model.uuid.chars().take(8).collect();
    let mut route = live.route("iris").unwrap();
    let owners = route["metadata"]["ownerReferences"].take();
    route["metadata"] = json!({
        "labels": route["metadata"]["labels"], "ownerReferences": owners,
        "annotations": {"seldon-model/not-served": "2026-01-01T00:00:00Z"},
    });
    live.apply_as(&format!("seldon-model-iris-{uuid}"), &vs(), "iris-route", &route);
}

#[test]
fn gateway_is_queried_after_a_change_and_while_marked() {
    let mut live = Live::new("changing");
    gateway(&live, &http(), "NodePort");
    assert!(live.serves().starts_with("active: "));
    live.hook("update-status");
    let (_, requests) = live.audited("update-status");
    assert_eq!((queried(&requests), requests.len()), (0, 5), "{requests:?}");
    live.config(&[("timeout", "7s")]);
    let (run, requests) = live.audited("config-changed");
    assert_contains(&status(&run), &["active: iris serves"]);
    for list in ["list services", "list pods", "list nodes"] {
        let count = requests.iter().filter(|request| *request == list).count();
        assert_eq!(count, 1, "{list}: {requests:?}");
    }
    let (_, requests) = live.audited("update-status");
    assert_eq!((queried(&requests), requests.len()), (0, 5), "{requests:?}");
    mark(&live);
    let (_, requests) = live.audited("update-status");
    assert_eq!(queried(&requests), 1, "{requests:?}");
}

#[test]
fn http_route_is_queried_too() {
    let mut live = behind_ingress("changing-too");
    assert!(serves(&mut live).starts_with("active: "));
    let (_, requests) = live.audited("update-status");
    assert_eq!(queried(&requests), 0, "{requests:?}");
    live.config(&[("timeout", "7s")]);
    let (_, requests) = live.audited("config-changed");
    assert_eq!(queried(&requests), 1, "{requests:?}");
}
