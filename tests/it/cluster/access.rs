//! Models that a gateway takes requests for with a token only: their policies, in the namespace of the gateway, and their routes, which
//! come after the policies and go before them. No gateway is reached here, so a route follows two seconds later.

use std::thread;

use juju_sim::juju::Life;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::endpoints::{gateway, http};
use super::fixture::Live;
use super::permissions::grant;
use super::plan::act;
use super::proxy::{ApiFault, Proxy, RequestFilter, WRITES};
use crate::support::kinds::{authorization_policy, kind, request_authentication, sdep, service};
use crate::support::{assert_contains, status};

const ACCESS: &str = "{jwt: {issuer: 'https://sso.example', audiences: [iris], jwks-uri: 'http://sso.example/keys'}}";

/// What deletes a model, in that order.
const DELETES: [&str; 4] = [
    "delete virtualservices",
    "delete authorizationpolicies",
    "delete requestauthentications",
    "delete seldondeployments",
];

/// The charm with a gateway that has pods, in its own namespace.
fn live(name: &str) -> Live {
    let live = Live::new(name);
    gateway(&live, &http(), "NodePort");
    live
}

/// Moves the gateway to a namespace of its own, where the charm's application is not.
fn elsewhere(live: &Live) -> String {
    let name = format!("{}-gateway", live.model());
    let apply = |api: Api<DynamicObject>, resource: &kube::api::ApiResource, name: &str, object: &Value| {
        let mut object = object.clone();
        object["apiVersion"] = json!(resource.api_version);
        object["kind"] = json!(resource.kind);
        object["metadata"]["name"] = json!(name);
        let parameters = PatchParams::apply("juju").force();
        live.wait(api.patch(name, &parameters, &Patch::Apply(&object))).unwrap();
    };
    let namespace = kind("", "v1", "Namespace");
    apply(
        Api::all_with(live.client.clone(), &namespace),
        &namespace,
        &name,
        &json!({}),
    );
    let labels = json!({"gateway-of": name});
    let gateway = kind("networking.istio.io", "v1beta1", "Gateway");
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
    for (resource, spec) in [
        (gateway, json!({"selector": labels, "servers": http()})),
        (service(), json!({"selector": labels, "ports": ports})),
    ] {
        let api = Api::namespaced_with(live.client.clone(), &name, &resource);
        apply(api, &resource, "gate", &json!({"spec": spec}));
    }
    name
}

/// The policies in a namespace, each by its kind and name.
fn policies(live: &Live, namespace: &str) -> Vec<String> {
    let mut found = Vec::new();
    for resource in [authorization_policy(), request_authentication()] {
        let api: Api<DynamicObject> = Api::namespaced_with(live.client.clone(), namespace, &resource);
        let list = live.wait(api.list(&ListParams::default())).unwrap();
        found.extend(
            list.iter()
                .map(|object| format!("{} {}", resource.kind, object.name_any())),
        );
    }
    found
}

/// The first policy of a kind in the namespace of the application.
fn policy(live: &Live, resource: &kube::api::ApiResource) -> Value {
    let list = live.wait(live.api(resource).list(&ListParams::default())).unwrap();
    serde_json::to_value(list.items.into_iter().next().unwrap()).unwrap()
}

/// The writes among requests, without those of events.
fn writes(requests: &[String]) -> Vec<&str> {
    let is_write = |request: &&str| {
        let verb = request.split(' ').next().unwrap();
        ["patch", "delete"].contains(&verb)
    };
    requests.iter().map(String::as_str).filter(is_write).collect()
}

#[test]
fn route_comes_after_its_policies_and_goes_before_them() {
    let mut live = live("guarded");
    live.config(&[("access", ACCESS)]);
    let (_, requests) = live.audited("config-changed");
    assert_eq!(
        writes(&requests),
        [
            "patch seldondeployments",
            "patch requestauthentications",
            "patch authorizationpolicies",
            "patch virtualservices",
        ]
    );
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active: iris serves"]);
    let (_, requests) = live.audited("update-status");
    assert_eq!(writes(&requests), Vec::<&str>::new());

    // Where the route leads is closed before it does, and what it leaves is closed until it is gone.
    live.config(&[("prefix", "/moved/")]);
    let (run, requests) = live.audited("config-changed");
    assert_eq!(
        writes(&requests),
        [
            "patch requestauthentications",
            "patch authorizationpolicies",
            "patch virtualservices",
            "delete authorizationpolicies",
            "delete requestauthentications",
        ]
    );
    assert_contains(&status(&run), &["active: iris serves"]);
    assert_eq!(policies(&live, "guarded").len(), 2);

    // Who may changes in place.
    live.config(&[("access", &ACCESS.replace("[iris]", "[iris, fleet]"))]);
    let (run, requests) = live.audited("config-changed");
    assert_eq!(writes(&requests), ["patch authorizationpolicies"]);
    assert_contains(&status(&run), &["active: iris serves"]);

    live.config(&[("access", "")]);
    live.says();
    assert_eq!(policies(&live, "guarded"), Vec::<String>::new());
    live.hook("update-status");
    let (_, requests) = live.audited("update-status");
    assert_eq!(requests.len(), 5, "nothing is looked for any more: {requests:?}");
    assert!(
        live.sdep("iris").unwrap()["metadata"]["annotations"]
            .get("seldon-model/access")
            .is_none()
    );
}

#[test]
fn policies_in_another_namespace_go_with_model_and_application() {
    let mut live = Live::new("guarded-afar");
    let namespace = elsewhere(&live);
    live.publish_gateway(&[("gateway_name", "gate"), ("gateway_namespace", &namespace)]);
    live.config(&[("access", ACCESS), ("models", "{a: {}, b: {}}"), ("image", "iris:1")]);
    assert_contains(&live.serves(), &["active: 2 models serve"]);
    assert_eq!(policies(&live, &namespace).len(), 4);
    let owners = |resource| {
        let api: Api<DynamicObject> = Api::namespaced_with(live.client.clone(), &namespace, &resource);
        let list = live.wait(api.list(&ListParams::default())).unwrap();
        list.iter().map(|object| object.owner_references().len()).sum::<usize>()
    };
    assert_eq!(owners(authorization_policy()), 0, "an owner is in the same namespace");

    // Somebody else's, with our labels.
    let mut forged = serde_json::to_value(
        live.wait(
            Api::<DynamicObject>::namespaced_with(live.client.clone(), &namespace, &authorization_policy())
                .list(&ListParams::default()),
        )
        .unwrap()
        .items
        .remove(0),
    )
    .unwrap();
    let meta = json!({"name": "theirs", "labels": forged["metadata"]["labels"]});
    forged["metadata"] = meta;
    let api: Api<DynamicObject> = Api::namespaced_with(live.client.clone(), &namespace, &authorization_policy());
    live.wait(api.create(
        &kube::api::PostParams::default(),
        &serde_json::from_value(forged).unwrap(),
    ))
    .unwrap();

    live.config(&[("models", "{b: {}}")]);
    let (_, requests) = live.audited("config-changed");
    assert_eq!(writes(&requests), DELETES);
    assert_eq!(policies(&live, &namespace).len(), 3);
    live.world.unit_mut("iris/0").unwrap().life = Life::Dying;
    let (_, requests) = live.audited("remove");
    assert_eq!(writes(&requests), DELETES);
    assert_eq!(policies(&live, &namespace), ["AuthorizationPolicy theirs"]);
}

#[test]
fn broken_relation_takes_the_policies_after_the_route() {
    let mut live = live("guarded-broken");
    live.config(&[("access", ACCESS)]);
    live.serves();
    live.world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    let (run, requests) = live.audited("update-status");
    assert_contains(&status(&run), &["blocked: iris: no gateway"]);
    let deletes: Vec<&str> = writes(&requests)
        .into_iter()
        .filter(|request| request.starts_with("delete"))
        .collect();
    assert_eq!(
        deletes,
        [
            "delete virtualservices",
            "delete authorizationpolicies",
            "delete requestauthentications"
        ]
    );
    assert!(live.sdep("iris").is_some());
}

#[test]
fn missing_right_is_named_with_its_namespace() {
    let mut live = Live::untrusted("guarded-rightless");
    live.wait(live.cluster.apply_gateway("guarded-rightless", "gate"))
        .unwrap();
    gateway(&live, &http(), "NodePort");
    let is_for_policies = |rule: &Value| rule["apiGroups"] == json!(["security.istio.io"]);
    grant(&live, |rule| !is_for_policies(rule));
    assert_contains(&live.serves(), &["active: iris serves"]);
    let route = live.route("iris").unwrap()["spec"].clone();
    live.config(&[("access", ACCESS), ("timeout", "7s")]);
    assert_contains(
        &live.says(),
        &[
            "blocked: missing permissions. Run: juju trust iris --scope=cluster (or apply rbac.yaml; ",
            "authorizationpolicies in namespace guarded-rightless",
        ],
    );
    assert_eq!(live.route("iris").unwrap()["spec"], route);
    grant(&live, |_| true);
    let mut says = String::new();
    // The API server caches what is denied for some seconds.
    for _ in 0..30 {
        says = live.says();
        if says.starts_with("active") {
            break;
        }
    }
    assert_contains(&says, &["active: iris serves"]);
}

#[test]
fn mark_of_somebody_else_stops_nothing() {
    let mut live = Live::untrusted("guarded-marked");
    live.wait(live.cluster.apply_gateway("guarded-marked", "gate")).unwrap();
    gateway(&live, &http(), "NodePort");
    grant(&live, |_| true);
    assert_contains(&live.serves(), &["active: iris serves"]);
    let mark = json!({"metadata": {"annotations": {"seldon-model/access": "kube-system"}}});
    live.merge_as("kubectl-annotate", &sdep(), "iris", &mark);
    live.config(&[("timeout", "7s")]);
    assert_contains(&live.says(), &["active: iris serves"]);
    assert_eq!(live.route("iris").unwrap()["spec"]["http"][1]["timeout"], "7s");
}

#[test]
fn namespace_that_is_being_deleted_is_named() {
    let mut live = Live::new("guarded-ending");
    let namespace = elsewhere(&live);
    live.publish_gateway(&[("gateway_name", "gate"), ("gateway_namespace", &namespace)]);
    let resource = kind("", "v1", "Namespace");
    let api: Api<DynamicObject> = Api::all_with(live.client.clone(), &resource);
    live.wait(api.delete(&namespace, &DeleteParams::default())).unwrap();
    live.config(&[("models", "{a: {}, b: {}}"), ("image", "iris:1")]);
    assert_contains(&live.serves(), &["active: 2 models serve"]);
    live.config(&[("models", &format!("{{a: {{access: {ACCESS}}}, b: {{timeout: 7s}}}}"))]);
    let says = live.says();
    assert_contains(
        &says,
        &["waiting: ", &format!("namespace {namespace} is being deleted")],
    );
    assert_eq!(live.route("b").unwrap()["spec"]["http"][1]["timeout"], "7s");
}

/// Whether a policy denies requests at the prefix of each route that exists for the model `a`.
fn is_guarded(live: &Live) -> bool {
    let Some(route) = live.route("a") else {
        return true;
    };
    let rules = route["spec"]["http"].as_array().unwrap();
    let prefix = rules.last().unwrap()["match"][0]["uri"]["prefix"].as_str().unwrap();
    let list = live
        .wait(live.api(&authorization_policy()).list(&ListParams::default()))
        .unwrap();
    let mut policies = list
        .iter()
        .filter(|policy| policy.labels()["seldon-model/model"] == "a");
    policies.any(|policy| policy.data["spec"].to_string().contains(&format!("\"{prefix}*\"")))
}

#[test]
fn killed_before_any_write_no_route_is_open() {
    const LANES: usize = 4;
    let entries = |a: &str, b: &str| format!("{{a: {{access: {ACCESS}{a}}}, b: {{image: 'iris:1'{b}}}}}");
    let lane = &|mut write: usize| {
        loop {
            let mut live = live(&format!("guarded-killed-{write}"));
            live.config(&[("image", "iris:1"), ("models", &entries("", ""))]);
            assert_contains(&live.serves(), &["active: 2 models serve"]);
            let proxy = Proxy::in_front_of(&mut live, 2000..2100);
            let to = entries(", prefix: /moved/", &format!(", access: {ACCESS}"));
            live.config(&[("models", &to)]);
            let one = RequestFilter {
                after: write,
                times: 1,
                ..WRITES
            };
            proxy.inject(one, ApiFault::Kill);
            let run = live.run("config-changed");
            assert!(is_guarded(&live), "killed before write {write}");
            proxy.clear();
            assert_contains(&live.serves(), &["active: 2 models serve"]);
            assert!(is_guarded(&live) && live.route("a").unwrap().to_string().contains("/moved/"));
            assert_eq!(policies(&live, &live.model()).len(), 4, "killed before write {write}");
            if run.exit == 0 {
                return write;
            }
            write += LANES;
        }
    };
    let writes = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|at| scope.spawn(move || lane(at))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).min().unwrap()
    });
    assert!(writes >= 8, "{writes} writes");
}

#[test]
fn gateway_without_pods_keeps_the_route_away() {
    let mut live = Live::new("guarded-podless");
    live.config(&[("access", ACCESS)]);
    let waits = "waiting: iris: waiting for gateway guarded-podless/gate to have pods";
    assert_contains(&live.serves(), &[waits]);
    assert!(live.sdep("iris").is_some() && live.route("iris").is_none());
    gateway(&live, &http(), "NodePort");
    assert_contains(&live.serves(), &["active: iris serves"]);
}

#[test]
fn changed_policy_is_put_back_and_another_controllers_is_named() {
    let mut live = live("guarded-changed");
    live.config(&[("access", ACCESS)]);
    live.serves();
    let name = policy(&live, &authorization_policy())["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let open = json!({"spec": {"rules": []}});
    live.merge_as("kubectl-edit", &authorization_policy(), &name, &open);
    let run = live.hook("update-status");
    assert_contains(
        &run.logged("INFO").collect::<Vec<_>>().join("\n"),
        &[&name, "kubectl-edit"],
    );
    assert!(
        policy(&live, &authorization_policy())["spec"]["rules"]
            .as_array()
            .unwrap()
            .len()
            > 3
    );
    live.delete(&request_authentication(), &name);
    assert_contains(&live.says(), &["active: iris serves"]);
    assert_eq!(policies(&live, "guarded-changed").len(), 2);
    live.merge_as("opener", &authorization_policy(), &name, &open);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: its access is managed by opener. Run: juju run iris/leader diagnose (AuthorizationPolicy guarded-changed/",
        ],
    );
}

#[test]
fn diagnose_and_endpoints_tell_who_may() {
    let mut live = live("guarded-told");
    live.config(&[("access", ACCESS)]);
    live.serves();
    let results = act(&mut live, "diagnose", &json!({})).unwrap();
    assert_contains(
        results["report"].as_str().unwrap(),
        &[
            "takes tokens of https://sso.example for iris in the header Authorization",
            "401 on every path of gateway guarded-told/gate",
            "juju config oidc-gatekeeper skip-auth-urls=/model/iris/",
        ],
    );
    let results = act(&mut live, "endpoints", &json!({})).unwrap();
    assert_eq!(
        results["iris"]["access"],
        "takes tokens of https://sso.example for iris in the header Authorization"
    );
}
