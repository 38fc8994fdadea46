//! The gateway of istio-ingress-k8s: routes of the Gateway API, and only one gateway at a time.

use juju_sim::agent::{Hook, RelationEvent};
use juju_sim::juju::{Charm, Life};
use kube::api::ListParams;
use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::kinds::{gateway_of_gateway_api, http_route, sdep};
use crate::support::{assert_contains, status};

pub const INGRESS: &str = "istio-ingress-k8s";

/// Deploys and relates istio-ingress-k8s; its gateway exists but is not published yet. Returns the relation's id.
pub fn integrate(live: &mut Live) -> u32 {
    let model = live.model();
    live.world
        .add_application(INGRESS, Charm::fake(INGRESS, "2/stable"), 1)
        .unwrap();
    live.wait(live.cluster.apply_ingress(&model, INGRESS)).unwrap();
    runs(live, "True");
    live.world
        .integrate("iris:gateway-metadata", "istio-ingress-k8s:gateway-metadata")
        .unwrap()
}

/// Writes istiod's condition of the gateway.
fn runs(live: &Live, is: &str) {
    let programmed = json!({
        "type": "Programmed", "status": is, "reason": "AsItIs", "message": "so says istiod",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    live.merge_status(&gateway_of_gateway_api(), INGRESS, &json!({"conditions": [programmed]}));
}

/// Writes what the gateway's charm publishes once its gateway runs.
pub fn publish_gateway(live: &mut Live, id: u32) {
    let metadata = json!({
        "namespace": live.model(), "gateway_name": INGRESS,
        "deployment_name": "istio-ingress-k8s-istio", "service_account": "istio-ingress-k8s-istio",
    });
    let pairs = [("metadata", metadata.to_string())];
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    live.world.write_bag(id, INGRESS, &pairs).unwrap();
}

pub fn remove_istio_pilot(live: &mut Live) {
    live.world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
}

/// The charm behind istio-ingress-k8s alone.
pub fn behind_ingress(model: &str) -> Live {
    let mut live = Live::new(model);
    remove_istio_pilot(&mut live);
    let id = integrate(&mut live);
    publish_gateway(&mut live, id);
    live
}

pub fn route_of(live: &Live, model: &str) -> Option<Value> {
    live.get(&http_route(), &format!("{model}-route"))
}

/// Writes istiod's conditions of every route.
pub fn set_route_conditions(live: &Live, accepted: bool, resolved: bool) {
    let routes = live.wait(live.api(&http_route()).list(&ListParams::default())).unwrap();
    for route in routes {
        let condition = |kind: &str, is: bool| {
            json!({
                "type": kind, "status": if is { "True" } else { "False" }, "reason": "AsItIs", "message": "so says istiod",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": route.metadata.generation,
            })
        };
        let parent = json!({
            "parentRef": route.data["spec"]["parentRefs"][0], "controllerName": "istio.io/gateway-controller",
            "conditions": [condition("Accepted", accepted), condition("ResolvedRefs", resolved)],
        });
        let name = route.metadata.name.unwrap();
        live.merge_status(&http_route(), &name, &json!({"parents": [parent]}));
    }
}

/// Runs hooks, Seldon's and the gateway's part. Returns the status.
#[track_caller]
pub fn serves(live: &mut Live) -> String {
    live.serves();
    set_route_conditions(live, true, true);
    status(&live.hook("update-status"))
}

/// A rule's Services, as `name weight`.
pub fn shares(rule: &Value) -> Vec<String> {
    let all = rule["backendRefs"].as_array().unwrap();
    all.iter()
        .map(|backend| format!("{} {}", backend["name"].as_str().unwrap(), backend["weight"]))
        .collect()
}

#[test]
fn model_is_active_once_route_is_accepted() {
    let mut live = behind_ingress("taken-up");
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_contains(
        &live.says(),
        &[
            "waiting: iris: waiting for gateway taken-up/istio-ingress-k8s to accept its HTTPRoute (",
            "juju status istio-ingress-k8s",
        ],
    );
    set_route_conditions(&live, false, true);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: HTTPRoute rejected by its gateway. Run: juju status istio-ingress-k8s (taken-up/istio-ingress-k8s: so says istiod)",
        ],
    );
    set_route_conditions(&live, true, false);
    assert_contains(
        &live.says(),
        &["waiting: iris: waiting for its Service (gateway taken-up/istio-ingress-k8s: so says istiod)"],
    );
    set_route_conditions(&live, true, true);
    assert_eq!(
        live.says(),
        "active: iris serves seldonio/sklearn-iris:0.3 at /model/iris/"
    );
    // The route is attached to that gateway and strips the prefix.
    let route = route_of(&live, "iris").unwrap();
    assert_eq!(route["spec"]["parentRefs"][0]["namespace"], "taken-up");
    let last = route["spec"]["rules"].as_array().unwrap().last().unwrap();
    assert_eq!(
        last["matches"],
        json!([{"path": {"type": "PathPrefix", "value": "/model/iris"}}])
    );
    assert_eq!(last["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"], "/");
    assert_eq!(shares(last), ["iris-default 100"]);
    assert!(live.route("iris").is_none(), "no VirtualService beside it");
}

#[test]
fn quiet_hook_costs_one_more_request() {
    let mut live = behind_ingress("quiet-ingress");
    assert_contains(&serves(&mut live), &["active"]);
    let (run, requests) = live.audited("update-status");
    assert_eq!(
        requests,
        [
            "list seldondeployments",
            "get statefulsets",
            "get gateways",
            "list virtualservices",
            "list httproutes",
            "list deployments",
        ]
    );
    let tools: Vec<&str> = run.calls.iter().map(juju_sim::agent::Call::tool).collect();
    assert_eq!(
        tools,
        [
            "config-get",
            "relation-ids",
            "relation-ids",
            "relation-ids",
            "relation-ids",
            "relation-ids",
            "relation-list",
            "relation-get",
            "status-get"
        ]
    );
}

#[test]
fn changing_gateways_deletes_the_old_route_last() {
    let mut live = Live::new("over");
    assert_contains(&live.serves(), &["active"]);
    let id = integrate(&mut live);
    // With both related the previous route keeps serving, whatever the options.
    live.config(&[("timeout", "5s")]);
    publish_gateway(&mut live, id);
    let says = live.says();
    assert_contains(
        &says,
        &[
            "blocked: two gateways are related, one is supported. Run: juju remove-relation iris:gateway-info istio-pilot (",
            "or juju remove-relation iris:gateway-metadata istio-ingress-k8s",
        ],
    );
    assert!(live.route("iris").is_some() && route_of(&live, "iris").is_none());
    assert!(live.requests("iris")["timeout"].is_null(), "its route stays as it was");

    remove_istio_pilot(&mut live);
    assert_contains(
        &live.says(),
        &["waiting: iris: waiting for gateway over/istio-ingress-k8s to accept"],
    );
    assert!(route_of(&live, "iris").is_some(), "the new way is made");
    assert!(
        live.route("iris").is_some(),
        "the old one stays until the new one is taken"
    );
    set_route_conditions(&live, true, true);
    live.config(&[("timeout", "6s")]);
    live.hook("config-changed");
    assert!(
        live.route("iris").is_some(),
        "what is changed may not be taken any more"
    );
    set_route_conditions(&live, true, true);
    let run = live.hook("update-status");
    assert_contains(&status(&run), &["active: iris serves"]);
    assert_contains(
        &run.logged("INFO").collect::<Vec<_>>().join("\n"),
        &["deleted VirtualService iris-route"],
    );
    assert!(live.route("iris").is_none());

    // Back again, with both related for a while.
    live.gateway_info = live
        .world
        .integrate("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    live.publish_gateway(&[("gateway_name", "gate"), ("gateway_namespace", "over")]);
    assert_contains(&live.says(), &["blocked: two gateways are related, one is supported"]);
    assert!(route_of(&live, "iris").is_some());
    live.world
        .remove_relation("iris:gateway-metadata", "istio-ingress-k8s:gateway-metadata")
        .unwrap();
    assert_contains(&live.says(), &["active: iris serves"]);
    assert!(live.route("iris").is_some() && route_of(&live, "iris").is_none());
    // No annotation of the HTTPRoute is left, and it is no longer listed.
    live.hook("update-status");
    let metadata = live.sdep("iris").unwrap()["metadata"].clone();
    assert!(!metadata.to_string().contains("http-route"), "{metadata:#}");
    let (_, requests) = live.audited("update-status");
    assert_eq!(requests.len(), 5, "{requests:?}");
}

#[test]
fn http_route_stays_until_istio_gateway_exists() {
    let mut live = behind_ingress("back-early");
    assert_contains(&serves(&mut live), &["active"]);
    live.world
        .remove_relation("iris:gateway-metadata", "istio-ingress-k8s:gateway-metadata")
        .unwrap();
    live.gateway_info = live
        .world
        .integrate("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    live.publish_gateway(&[("gateway_name", "late"), ("gateway_namespace", "back-early")]);
    assert_contains(&live.says(), &["waiting: waiting for gateway back-early/late"]);
    assert!(route_of(&live, "iris").is_some());
    live.wait(live.cluster.apply_gateway("back-early", "late")).unwrap();
    assert_contains(&live.says(), &["active: iris serves"]);
    assert!(route_of(&live, "iris").is_none());
}

#[test]
fn broken_relation_deletes_route_and_keeps_model() {
    let mut live = Live::new("ingress-broken");
    remove_istio_pilot(&mut live);
    let id = integrate(&mut live);
    assert_contains(
        &live.says(),
        &["waiting: waiting for istio-ingress-k8s to name its gateway"],
    );
    assert!(live.sdep("iris").is_some() && route_of(&live, "iris").is_none());
    publish_gateway(&mut live, id);
    assert_contains(&serves(&mut live), &["active"]);
    let run = live.hook(Hook::relation(RelationEvent::Broken, id));
    assert_contains(&status(&run), &["blocked: iris: no gateway"]);
    assert!(live.sdep("iris").is_some() && route_of(&live, "iris").is_none());
}

#[test]
fn istio_gateway_option_blocks_and_keeps_serving() {
    let mut live = behind_ingress("option-too");
    assert_contains(&serves(&mut live), &["active"]);
    let before = live.versions();
    live.config(&[("gateway", "option-too/gate")]);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: gateway conflicts with a relation. Run: juju config iris gateway= (",
            "option-too/gate is an Istio Gateway",
            "juju remove-relation iris:gateway-metadata istio-ingress-k8s",
        ],
    );
    assert_eq!(live.versions(), before);
    live.config(&[("gateway", "")]);
    assert_contains(&live.says(), &["active: iris serves"]);
}

#[test]
fn unprogrammed_gateway_is_waited_for() {
    let mut live = behind_ingress("unprogrammed");
    assert_contains(&serves(&mut live), &["active"]);
    runs(&live, "False");
    assert_contains(
        &live.says(),
        &["waiting: waiting for gateway unprogrammed/istio-ingress-k8s to be up (see juju status istio-ingress-k8s)"],
    );
    runs(&live, "True");
    assert_contains(&live.says(), &["active"]);
    let listener = json!({"name": "http-80", "port": 80, "protocol": "HTTP", "hostname": "plant.example"});
    live.merge(
        &gateway_of_gateway_api(),
        INGRESS,
        &json!({"spec": {"listeners": [listener]}}),
    );
    live.config(&[("hosts", "other.example")]);
    assert_contains(
        &live.says(),
        &["blocked: iris: hosts not served by gateway", "serves plant.example"],
    );
}

#[test]
fn removed_models_and_last_unit_leave_nothing() {
    let mut live = behind_ingress("ingress-removed");
    live.config(&[("models", "{a: {}, b: {}}")]);
    assert_contains(&serves(&mut live), &["active: 2 models serve"]);
    live.config(&[("models", "{b: {}}")]);
    assert_contains(&live.says(), &["active: b serves"]);
    let names = |live: &Live| -> Vec<String> { live.versions().into_iter().map(|(name, _)| name).collect() };
    assert_eq!(names(&live), ["b", "b-route"]);
    live.world.unit_mut("iris/0").unwrap().life = Life::Dying;
    let run = live.hook("remove");
    assert_contains(run.logged("INFO").last().unwrap(), &["deleted 2 objects"]);
    assert_eq!(live.versions(), []);
}

#[test]
fn only_the_leader_writes_a_route() {
    let mut live = behind_ingress("ingress-led");
    live.world.application_mut("iris").unwrap().add_unit();
    let run = live.run_on("iris/1", "config-changed");
    assert_eq!(run.exit, 0);
    assert!(route_of(&live, "iris").is_none() && live.get(&sdep(), "iris").is_none());
    live.hook("config-changed");
    assert!(route_of(&live, "iris").is_some());
}
