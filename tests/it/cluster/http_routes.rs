//! The HTTPRoute of a model: its content, its ownership, and conflicts with other routes.

use serde_json::{Value, json};

use super::fixture::Live;
use super::gateway_api::{INGRESS, behind_ingress, route_of, serves, set_route_conditions, shares};
use crate::support::kinds::http_route;
use crate::support::{assert_contains, rules};

#[test]
fn every_route_option_is_accepted_and_applied_once() {
    let mut live = behind_ingress("whole");
    live.config(&[
        ("protocol", "v2"),
        ("hosts", "*.example,models.plant"),
        ("grpc-host", "iris.example"),
        ("timeout", "1.5s"),
        (
            "headers",
            "{request: {set: {X-Site: edge}, add: {X-A: b}, remove: [X-No]}, response: {set: {X-By: iris}}}",
        ),
        ("canary", "{image: 'iris:2', weight: 10, match: {x-canary: 'yes'}}"),
        ("shadow", "{image: 'iris:3'}"),
        ("explainer", "{type: AnchorTabular, model-uri: 'gs://m/e'}"),
    ]);
    assert_contains(&serves(&mut live), &["active: iris serves"]);
    let route = route_of(&live, "iris").unwrap();
    assert_eq!(route["spec"]["hostnames"], json!(["*.example", "models.plant"]));
    let rules = rules(&route);
    let last = rules.last().unwrap();
    assert_eq!(shares(last), ["iris-default 90", "iris-canary 10"]);
    assert_eq!(last["timeouts"]["request"], "1s500ms");
    let filters: Vec<&str> = last["filters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|filter| filter["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        filters,
        [
            "URLRewrite",
            "RequestHeaderModifier",
            "ResponseHeaderModifier",
            "RequestMirror"
        ]
    );
    // Requests with the header go to the canary only.
    assert_eq!(shares(&rules[0]), ["iris-canary 100"]);
    let before = live.versions();
    let (run, requests) = live.audited("update-status");
    assert_eq!(live.versions(), before, "a quiet hook wrote");
    assert!(
        requests.iter().all(|request| !request.starts_with("patch")),
        "{requests:?}"
    );
    assert_eq!(run.calls_of("status-set").count(), 0);
}

#[test]
fn options_unsupported_by_gateway_api_are_reported() {
    let mut live = behind_ingress("unsaid");
    live.config(&[("retries", "3")]);
    assert_contains(
        &serves(&mut live),
        &["blocked: iris: gateway does not support `retries`. Run: juju config iris --reset retries ("],
    );
    assert!(route_of(&live, "iris").is_some());
    live.world
        .application_mut("iris")
        .unwrap()
        .reset_option("retries")
        .unwrap();
    live.config(&[("shadow", "{image: 'iris:3', weight: 25}")]);
    serves(&mut live);
    set_route_conditions(&live, true, true);
    assert_contains(
        &live.says(),
        &["blocked: iris: shadow gets no requests. Run: juju config iris shadow=… (set shadow.weight to 100; "],
    );
    assert!(
        !route_of(&live, "iris").unwrap()["spec"]
            .to_string()
            .contains("RequestMirror")
    );
}

#[test]
fn overlapping_http_route_blocks_by_name() {
    let mut live = behind_ingress("contested");
    let theirs = |path: &str| {
        let parent = json!({"name": INGRESS, "namespace": "contested"});
        let matches = json!([{"path": {"type": "PathPrefix", "value": path}}]);
        let backend = json!({"name": "theirs", "port": 80});
        json!({"spec": {"parentRefs": [parent], "rules": [{"matches": matches, "backendRefs": [backend]}]}})
    };
    live.create(&http_route(), "above", &theirs("/model"));
    live.create(&http_route(), "theirs", &theirs("/model/iris"));
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: prefix taken by another route. Run: juju config iris prefix=… (",
            "/model/iris/: HTTPRoute contested/theirs on the same gateway",
        ],
    );
    assert!(live.sdep("iris").is_none());
    live.delete(&http_route(), "theirs");
    assert_contains(&serves(&mut live), &["active"]);
    // A younger route of the same path gets nothing; one of a longer path takes its part whatever its age.
    live.create(&http_route(), "younger", &theirs("/model/iris"));
    assert_contains(&live.says(), &["active"]);
    live.create(&http_route(), "below", &theirs("/model/iris/api"));
    assert_contains(&live.says(), &["blocked: iris: prefix", "HTTPRoute contested/below"]);
}

#[test]
fn foreign_http_route_is_left_alone() {
    let mut live = behind_ingress("foreign-http-route");
    let parent = json!({"name": "another"});
    live.create(&http_route(), "iris-route", &json!({"spec": {"parentRefs": [parent]}}));
    assert_contains(
        &live.says(),
        &["blocked: iris: name taken by another HTTPRoute. Run: juju run iris/leader diagnose (HTTPRoute iris-route "],
    );
}

#[test]
fn canary_gets_requests_only_while_it_answers() {
    let mut live = behind_ingress("walk");
    live.config(&[("canary", "{image: 'iris:2', weight: 10}")]);
    live.hook("config-changed");
    let first = live.sdep("iris").unwrap()["spec"]["predictors"][0].clone();
    live.predictor_serves("iris", &first);
    live.hook("update-status");
    let general = |live: &Live| {
        let route = route_of(live, "iris").unwrap();
        shares(route["spec"]["rules"].as_array().unwrap().last().unwrap())
    };
    assert_eq!(general(&live), ["iris-default 100"]);
    assert_contains(&serves(&mut live), &["active"]);
    assert_eq!(general(&live), ["iris-default 90", "iris-canary 10"]);
    live.config(&[("canary", ""), ("image", "iris:2")]);
    live.hook("config-changed");
    assert_eq!(general(&live), ["iris-default 90", "iris-canary 10"]);
    assert_eq!(live.predictors("iris"), ["default", "canary"]);
    live.seldon_serves("iris");
    live.hook("update-status");
    assert_eq!(general(&live), ["iris-default 100"]);
    assert_eq!(live.predictors("iris"), ["default"]);
}

#[test]
fn unset_hosts_are_removed_without_field_ownership() {
    let mut live = behind_ingress("hostless");
    live.config(&[("hosts", "other.example")]);
    assert_contains(&serves(&mut live), &["active"]);
    let hosts = |live: &Live| route_of(live, "iris").unwrap()["spec"]["hostnames"].clone();
    live.config(&[("hosts", "*")]);
    live.hook("config-changed");
    assert_eq!(hosts(&live), Value::Null);

    live.config(&[("hosts", "other.example")]);
    assert_contains(&serves(&mut live), &["active"]);
    // As happens when istiod writes a status in another version than ours.
    let fields = route_of(&live, "iris").unwrap()["metadata"]["managedFields"].clone();
    let mut fields: Vec<Value> = fields.as_array().unwrap().clone();
    for entry in &mut fields {
        entry["fieldsV1"].as_object_mut().unwrap().remove("f:spec");
    }
    live.merge(
        &http_route(),
        "iris-route",
        &json!({"metadata": {"managedFields": fields}}),
    );
    live.config(&[("hosts", "*")]);
    live.hook("config-changed");
    assert_eq!(hosts(&live), Value::Null);
}
