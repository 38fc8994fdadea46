//! Rung 1: what is rendered, as snapshots to read, and laws that hold for whatever is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and takes its data as it is written"
)]

#[path = "support/plans.rs"]
mod plans;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use plans::{configured, relation, rendered, rendered_beside, site};
use proptest::prelude::*;
use seldon_model::config;
use seldon_model::juju::Content;
use seldon_model::observed::{Observed, Ports, Secret};
use seldon_model::render::{PlannedModel, RelatedGateway, Route, Site, gateways, plan};
use serde_json::{Value, json};

fn planned(options: &Value, site: &Site) -> PlannedModel {
    plan(&configured(options), site, &Observed::default()).models.remove(0)
}

#[test]
fn the_blogs_model_is_the_blogs_two_objects() {
    let options = json!({"image": "seldonio/sklearn-iris:0.3", "image-pull-policy": "IfNotPresent"});
    insta::assert_yaml_snapshot!("blog", rendered(&options, &site()));
}

#[test]
fn every_option_has_its_place() {
    let mut site = site();
    let mut observed = Observed::default();
    let ports = Ports { http: 9000, grpc: 9500 };
    observed.services.insert("fraud-default".into(), ports);
    site.owner = Some(OwnerReference {
        api_version: "apps/v1".into(),
        kind: "StatefulSet".into(),
        name: "iris".into(),
        uid: "0000".into(),
        ..OwnerReference::default()
    });
    let options = json!({
        "engine-resources": "{requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}",
        "models": "
fraud:
  implementation: SKLEARN_SERVER
  model-uri: pvc://models/fraud
  protocol: v2
  parameters: {method: predict, n: 3}
  env: {B: 2, A: 1}
  resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}
  replicas: 2
  image-pull-policy: Always
  prefix: /fraud/
  hosts: [fraud.example]
  grpc-host: fraud.example
  timeout: 1500ms
  retries: 0
  gateway: istio-system/other
  labels: {team: risk}
  annotations: {seldon.io/rest-timeout: 5000, seldon.io/no-engine: true}
",
    });
    insta::assert_yaml_snapshot!("every_option", rendered_beside(&options, &site, &observed));
}

#[test]
fn secrets_have_their_place_in_every_pod_and_every_node_that_fetches_files() {
    let uri = "secret:9m4e2mr0ui3e8a215n4g";
    let graph = "{transformer: t, image: 't:1', children: [
        {model: a, implementation: SKLEARN_SERVER, model-uri: 's3://m/a'},
        {model: b, image: 'b:1', own-pod: true}]}";
    let options = json!({"graph": graph, "image-pull-secret": "kubernetes:mine", "storage-secret": uri});
    let planned_with = |password: &str, observed: &Observed| {
        let pairs = [("access-key-id", "edge"), ("secret-access-key", password)];
        let content: Content = pairs
            .map(|(key, value)| (key.into(), value.into()))
            .into_iter()
            .collect();
        let mut config = configured(&options);
        let answers = config.juju_secrets().into_iter().map(|uri| (uri, Ok(content.clone())));
        config.take_in("iris", "edge", &answers.collect());
        plan(&config, &site(), observed).models.remove(0)
    };
    let first = planned_with("hunter1", &Observed::default());
    let name = "iris-storage-9m4e2mr0ui3e8a215n4g-1";
    let predictor = &first.deployment["spec"]["predictors"][0];
    assert_eq!(
        predictor["graph"]["envSecretRefName"],
        Value::Null,
        "it fetches nothing"
    );
    assert_eq!(predictor["graph"]["children"][0]["envSecretRefName"], name);
    assert_eq!(predictor["graph"]["children"][1]["envSecretRefName"], Value::Null);
    let pods = predictor["componentSpecs"].as_array().unwrap();
    assert_eq!(pods.len(), 2);
    for pod in pods {
        assert_eq!(pod["spec"]["imagePullSecrets"], json!([{"name": "mine"}]));
    }
    let [secret] = first.secrets.as_slice() else {
        panic!("{:?}", first.secrets);
    };
    assert_eq!(secret.name, name);
    assert_eq!(
        secret.object()["data"]["RCLONE_CONFIG_S3_SECRET_ACCESS_KEY"],
        "aHVudGVyMQ=="
    );
    // Neither what is planned nor what is found shows a value.
    let mut observed = Observed::default();
    observed
        .secrets
        .push(Secret(serde_json::from_value(secret.object()).unwrap()));
    for shown in [
        format!("{first:?}"),
        format!("{observed:?}"),
        first.deployment.to_string(),
    ] {
        assert!(!shown.contains("hunter") && !shown.contains("aHVudGVy"), "{shown}");
    }
    // The same content keeps its name, so that nothing rolls, and another one has another.
    let same = planned_with("hunter1", &observed);
    assert_eq!(same.deployment, first.deployment);
    let other = planned_with("hunter2", &observed);
    assert_eq!(other.secrets[0].name, "iris-storage-9m4e2mr0ui3e8a215n4g-2");
    assert_ne!(other.predictors[0].hash, first.predictors[0].hash);
}

/// A look at the cluster in which these predictors of iris answer.
fn answering(predictors: &[&str]) -> Observed {
    let deployment = |predictor: &&str| {
        json!({
            "metadata": {
                "name": format!("iris-{predictor}-0-iris"),
                "labels": {"seldon-model/model": "iris", "seldon-model/predictor": predictor},
                "ownerReferences": [{"apiVersion": "v1", "kind": "SeldonDeployment", "name": "iris", "uid": "1"}],
            },
            "spec": {"replicas": 1},
            "status": {"availableReplicas": 1},
        })
    };
    let found = json!({
        "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment",
        "metadata": {"name": "iris", "uid": "1"},
    });
    Observed {
        seldon_deployments: vec![serde_json::from_value(found).unwrap()],
        deployments: predictors
            .iter()
            .map(|p| serde_json::from_value(deployment(p)).unwrap())
            .collect(),
        ..Observed::default()
    }
}

#[test]
fn a_canary_and_a_shadow_are_predictors_with_their_own_services() {
    let options = json!({
        "image": "iris:1", "env": "{LEVEL: INFO}", "replicas": 2,
        "canary": "{image: 'iris:2', weight: 10, match: {x-canary: 'yes'}, replicas: 1}",
        "shadow": "{image: 'iris:3', weight: 25, replicas: 1}",
    });
    let all = answering(&["default", "canary", "shadow"]);
    insta::assert_yaml_snapshot!("canary_and_shadow", rendered_beside(&options, &site(), &all));
}

#[test]
fn calls_over_grpc_are_known_by_headers_or_by_host() {
    let options = json!({
        "image": "iris:1", "protocol": "v2", "hosts": "*.plant.example", "grpc-host": "iris.plant.example",
        "canary": "{image: 'iris:2', weight: 10, match: {x-canary: 'yes'}}",
    });
    let all = answering(&["default", "canary"]);
    insta::assert_yaml_snapshot!("grpc", rendered_beside(&options, &site(), &all)[0]["route"]["spec"]);
}

#[test]
fn a_graph_of_three_is_one_predictor() {
    let graph = "
transformer: scale
image: scale:1
children:
- combiner: average
  image: average:1
  own-pod: true
  children:
  - {model: one, image: 'iris:1', resources: {limits: {memory: 256Mi}}}
  - {model: two, implementation: XGBOOST_SERVER, model-uri: 'pvc://models/two', parameters: {a: 1}, image-pull-policy: Always}
";
    insta::assert_yaml_snapshot!("graph", rendered(&json!({"graph": graph, "replicas": 2}), &site()));
}

#[test]
fn seldons_own_ab_test_is_not_called_a_router() {
    let graph = |router: &str| {
        let graph =
            format!("{{router: ab, {router}, children: [{{model: a, image: 'a:1'}}, {{model: b, image: 'b:1'}}]}}");
        let graph = &rendered(&json!({"graph": graph}), &site())[0]["model"]["spec"]["predictors"][0]["graph"];
        graph.get("type").cloned()
    };
    assert_eq!(graph("implementation: RANDOM_ABTEST"), None);
    assert_eq!(graph("image: 'router:1'"), Some(json!("ROUTER")));
}

#[test]
fn what_is_rendered_keeps_seldons_own_rules() {
    let graph = "{router: ab, implementation: RANDOM_ABTEST, parameters: {ratioA: 0.5}, children: [
        {model: one, image: 'iris:1', own-pod: true}, {output-transformer: out, image: 'out:1', children: [
            {model: two, implementation: SKLEARN_SERVER, model-uri: 'gs://bucket/two'}]}]}";
    for options in [
        json!({"image": "iris:1"}),
        json!({"implementation": "TRITON_SERVER", "model-uri": "gs://bucket/m", "protocol": "v2"}),
        json!({"image": "iris:1", "canary": "{image: 'iris:2', weight: 30}", "shadow": "{weight: 10}"}),
        json!({"graph": graph}),
        json!({"graph": graph, "canary": "{image: 'iris:2', weight: 30}"}),
        json!({"image": "iris:1", "canary": format!("{{graph: {graph}}}")}),
    ] {
        let object = rendered(&options, &site()).remove(0);
        let text = serde_yaml::to_string(&object["model"])
            .unwrap()
            .replace("seldon-model/", "seldon-model-");
        let again = config::parse("iris", json!({"manifest": text}).as_object().unwrap());
        assert_eq!(again.faults, [], "{options}: {text}");
    }
}

#[test]
fn a_weight_is_not_what_rolls_pods() {
    let hashes = |canary: &str| -> Vec<String> {
        let options = json!({"image": "iris:1", "canary": canary});
        planned(&options, &site())
            .predictors
            .iter()
            .map(|p| p.hash.clone())
            .collect()
    };
    let base = hashes("{image: 'iris:2'}");
    assert_eq!(
        hashes("{image: 'iris:2', weight: 50, match: {a: b}, replicas: 2}"),
        base
    );
    assert_ne!(hashes("{image: 'iris:3'}")[1], base[1]);
    assert_eq!(hashes("{image: 'iris:3'}")[0], base[0]);
    // One that comes or goes leaves the pods of the other alone.
    let alone = planned(&json!({"image": "iris:1"}), &site()).predictors[0].hash.clone();
    assert_eq!(alone, base[0]);
}

/// Where requests go, as `Service weight`.
fn shares(route: &Value) -> Vec<(String, u64)> {
    let http = route["spec"]["http"].as_array().unwrap().last().unwrap();
    let share = |to: &Value| {
        let host = to["destination"]["host"].as_str().unwrap();
        (
            host.split('.').next().unwrap().to_owned(),
            to["weight"].as_u64().unwrap_or(100),
        )
    };
    http["route"].as_array().unwrap().iter().map(share).collect()
}

/// A site where iris is what these options say, all of it answering, with that in its route.
fn deployed(options: &Value, http: &Value) -> Observed {
    let mut observed = answering(&["default", "canary"]);
    let object = rendered(options, &site()).remove(0);
    observed.seldon_deployments[0].data = json!({"spec": object["model"]["spec"]});
    let mut route = object["route"].clone();
    route["spec"]["http"] = http.clone();
    observed.virtual_services = vec![serde_json::from_value(route).unwrap()];
    observed
}

fn destination(service: &str, weight: u8) -> Value {
    json!({"destination": {"host": format!("{service}.edge.svc.cluster.local")}, "weight": weight})
}

#[test]
fn what_requests_still_go_to_stays_and_whatever_was_done_by_hand_there_is_a_destination() {
    let before = json!({"image": "iris:1", "canary": "{image: 'iris:2', weight: 20}"});
    let after = json!({"image": "iris:2"});
    let comes_to = |options: &Value, http: Value| {
        let object = rendered_beside(options, &site(), &deployed(&before, &http)).remove(0);
        let names = |predictor: &Value| predictor["name"].as_str().unwrap().to_owned();
        let predictors: Vec<String> = object["model"]["spec"]["predictors"]
            .as_array()
            .unwrap()
            .iter()
            .map(names)
            .collect();
        (predictors, shares(&object["route"]))
    };
    let share = |service: &str, weight: u64| (service.to_owned(), weight);
    let both = json!([{"route": [destination("iris-default", 80), destination("iris-canary", 20)]}]);
    let (predictors, to) = comes_to(&after, both);
    assert_eq!(predictors, ["default", "canary"]);
    assert_eq!(to, [share("iris-default", 80), share("iris-canary", 20)]);
    // Reached by header only, beside a route that leads elsewhere.
    let by_hand = json!([{"route": [destination("iris-canary", 100)]}, {"route": [destination("elsewhere", 100)]}]);
    assert_eq!(comes_to(&after, by_hand).1, [share("iris-default", 100)]);
    // Nothing leads to it any more.
    let (predictors, to) = comes_to(&after, json!([{"route": [destination("iris-default", 100)]}]));
    assert_eq!(predictors, ["default"]);
    assert_eq!(to, [share("iris-default", 100)]);
    // The same predictor with another Service: twice under one name it cannot be.
    let manifest = "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: default, annotations: {seldon.io/svc-name: other}, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}}]}}";
    let both = json!([{"route": [destination("iris-default", 80), destination("iris-canary", 20)]}]);
    assert_eq!(comes_to(&json!({"manifest": manifest}), both).0, ["default", "canary"]);
}

proptest! {
    #[test]
    fn weights_are_a_hundred_and_lead_to_predictors_of_the_plan(
        weight in 0..=100_u8,
        answers in prop::collection::vec(any::<bool>(), 3),
        shadow in any::<bool>(),
        header in any::<bool>(),
    ) {
        let headers = if header { ", match: {x: y}" } else { "" };
        let mut options = json!({"image": "iris:1", "canary": format!("{{image: 'iris:2', weight: {weight}{headers}}}")});
        if shadow {
            options["shadow"] = json!("{image: 'iris:3'}");
        }
        let there: Vec<&str> = ["default", "canary", "shadow"]
            .into_iter()
            .zip(&answers)
            .filter_map(|(name, answers)| answers.then_some(name))
            .collect();
        let object = rendered_beside(&options, &site(), &answering(&there)).remove(0);
        let all = shares(&object["route"]);
        prop_assert_eq!(all.iter().map(|(_, weight)| weight).sum::<u64>(), 100);
        let services: Vec<String> = object["model"]["spec"]["predictors"].as_array().unwrap().iter()
            .map(|predictor| format!("iris-{}", predictor["name"].as_str().unwrap()))
            .collect();
        for (service, _) in &all {
            prop_assert!(services.contains(service), "{service}");
            // One that does not answer gets some only where no other that is to get any does.
            let silent = !there.contains(&service.trim_start_matches("iris-"));
            let better = (answers[0] && weight < 100) || (answers[1] && weight > 0);
            prop_assert!(!(silent && better), "{:?} with {:?} answering", all, there);
        }
        // One route is for calls over gRPC, and one for all other requests.
        let by_header = object["route"]["spec"]["http"].as_array().unwrap().len() > 2;
        prop_assert_eq!(by_header, header && answers[1]);
    }
}

/// Where a route leads to, copies included.
fn destinations(http: &Value) -> Vec<Value> {
    let shares = http["route"].as_array().unwrap().iter();
    let to = shares.map(|share| share["destination"].clone());
    to.chain(http.get("mirror").cloned()).collect()
}

proptest! {
    #[test]
    fn calls_over_grpc_go_where_requests_go_but_to_the_other_port(
        weight in 0..=100_u8,
        answers in prop::collection::vec(any::<bool>(), 3),
        header in any::<bool>(),
        protocol in prop::sample::select(vec!["", "seldon", "v2", "tensorflow"]),
        grpc_host in any::<bool>(),
        ports in (1..=u16::MAX, 1..=u16::MAX),
    ) {
        let headers = if header { ", match: {x: y}" } else { "" };
        let options = json!({
            "image": "iris:1", "protocol": protocol, "grpc-host": if grpc_host { "iris.example" } else { "" },
            "canary": format!("{{image: 'iris:2', weight: {weight}{headers}}}"), "shadow": "{image: 'iris:3'}",
        });
        let names = ["default", "canary", "shadow"];
        let there: Vec<&str> = names.into_iter().zip(&answers).filter_map(|(name, is)| is.then_some(name)).collect();
        let mut observed = answering(&there);
        for name in names {
            observed.services.insert(format!("iris-{name}"), Ports { http: ports.0, grpc: ports.1 });
        }
        let object = rendered_beside(&options, &site(), &observed).remove(0);
        let http = object["route"]["spec"]["http"].as_array().unwrap();
        let is_grpc = |http: &&Value| http["match"][0]["headers"].get("content-type").is_some();
        let (calls, requests): (Vec<_>, Vec<_>) = http.iter().partition(is_grpc);
        for (routes, port) in [(&calls, ports.1), (&requests, ports.0)] {
            for to in routes.iter().flat_map(|http| destinations(http)) {
                prop_assert_eq!(&to["port"]["number"], &json!(port));
                let host = to["host"].as_str().unwrap();
                prop_assert!(names.iter().any(|name| host == format!("iris-{name}.edge.svc.cluster.local")), "{}", host);
            }
        }
        let split = |http: &Value| shares(&json!({"spec": {"http": [http]}}));
        prop_assert_eq!(split(calls.last().unwrap()), split(requests.last().unwrap()));
        // By headers, and by host if there is one.
        for http in &calls {
            prop_assert_eq!(http["match"].as_array().unwrap().len(), 1 + usize::from(grpc_host));
        }
    }
}

#[test]
fn what_a_browser_asks_from_the_page_of_a_model_reaches_the_model() {
    let http = |options: Value| rendered(&options, &site()).remove(0)["route"]["spec"]["http"].clone();
    let own = |http: &Value| -> Vec<Value> {
        let last = http.as_array().unwrap().last().unwrap();
        last["match"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["uri"].clone())
            .collect()
    };
    let seldons = json!({"prefix": "/seldon/edge/iris/"});
    let of_seldon = http(json!({"image": "iris:1"}));
    assert_eq!(own(&of_seldon).last(), Some(&seldons));
    assert_eq!(of_seldon.as_array().unwrap().len(), 2);
    // Where it is asked for, for this model or another one, it is not there twice.
    let asked = json!({"image": "iris:1", "prefix": "/seldon/edge/iris/"});
    assert_eq!(
        own(&http(asked)),
        [seldons.clone(), json!({"exact": "/seldon/edge/iris"})]
    );
    let others = json!({"image": "iris:1", "models": "{iris: {}, other: {prefix: /seldon/}}"});
    assert!(!own(&http(others)).contains(&seldons));
    // The page of v2 asks at the root of the host, where only the page itself tells whose call it is.
    for protocol in ["v2", "kfserving"] {
        let manifest = format!(
            "{{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {{protocol: {protocol}, predictors: [
            {{name: a, graph: {{name: m, implementation: TRITON_SERVER, modelUri: 'gs://b/m'}}}}]}}}}"
        );
        let of_v2 = http(json!({"manifest": manifest, "prefix": "/m.1/"}));
        let page = &of_v2[1];
        assert_eq!(
            page["match"],
            json!([{
                "uri": {"prefix": "/v2/"}, "headers": {"referer": {"regex": "https?://[^/]+/m[.]1/v2/docs/.*"}},
            }])
        );
        assert!(page.get("rewrite").is_none());
        assert_eq!(of_v2.as_array().unwrap().len(), 3);
    }
}

#[test]
fn the_digest_changes_with_what_rolls_pods_and_with_nothing_else() {
    let hash = |options: Value| planned(&options, &site()).predictors[0].hash.clone();
    let base = hash(json!({"image": "iris:1"}));
    for same in [
        json!({"image": "iris:1", "replicas": 3}),
        json!({"image": "iris:1", "disruption-budget": "{max-unavailable: 1}"}),
        json!({"image": "iris:1", "headers": "{request: {set: {a: b}}}"}),
        json!({"image": "iris:1", "prefix": "/other/"}),
        json!({"image": "iris:1", "timeout": "3s", "hosts": "a.example", "retries": 2}),
    ] {
        assert_eq!(hash(same.clone()), base, "{same}");
    }
    for other in [
        json!({"image": "iris:2"}),
        json!({"image": "iris:1", "env": "{A: 1}"}),
        json!({"image": "iris:1", "protocol": "v2"}),
        json!({"image": "iris:1", "labels": "{a: b}"}),
        json!({"image": "iris:1", "pod": "{nodeSelector: {a: b}}"}),
        json!({"image": "iris:1", "logger": "http://broker"}),
        json!({"image": "iris:1", "tracing": "jaeger:6831"}),
        json!({"image": "iris:1", "annotations": "{a: b}"}),
        json!({"image": "iris:1", "engine-resources": "{limits: {cpu: 1}}"}),
    ] {
        assert_ne!(hash(other.clone()), base, "{other}");
    }
    assert!(base.len() == 16 && base.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn without_a_gateway_the_model_stays_and_the_route_goes_or_waits() {
    let route = |gateway| {
        let site = Site { gateway, ..site() };
        planned(&json!({"image": "iris:1"}), &site).route
    };
    assert_eq!(route(RelatedGateway::Missing), Route::Gone);
    assert_eq!(route(RelatedGateway::read(&[relation(&[])])), Route::Kept);
    let two = [relation(&[]), relation(&[])];
    assert_eq!(route(RelatedGateway::read(&two)), Route::Kept);
}

#[test]
fn a_gateway_is_up_unless_it_says_no() {
    let read = |up: &[(&str, &str)]| {
        let mut bag = vec![("gateway_name", "gate"), ("gateway_namespace", "istio")];
        bag.extend(up);
        RelatedGateway::read(&[relation(&bag)])
    };
    let up = |gateway| matches!(gateway, RelatedGateway::Named { up: true, .. });
    assert!(up(read(&[])));
    assert!(up(read(&[("gateway_up", "true")])));
    assert!(!up(read(&[("gateway_up", "false")])));
    // What a databag holds is another charm's: a name that is none must not get into an object.
    let odd = RelatedGateway::read(&[relation(&[("gateway_name", "../x"), ("gateway_namespace", "istio")])]);
    assert_eq!(odd, RelatedGateway::Silent("istio-pilot".into()));
}

/// The options of this charm's application in a bundle.
fn options_in(bundle: &str) -> Value {
    let path = format!("{}/{bundle}", env!("CARGO_MANIFEST_DIR"));
    let bundle: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ours = |application: &&Value| {
        application["charm"]
            .as_str()
            .unwrap()
            .ends_with("seldon-model_amd64.charm")
    };
    let applications = bundle["applications"].as_object().unwrap();
    applications.values().find(ours).unwrap()["options"].clone()
}

#[test]
fn the_bundles_ask_for_sound_models() {
    let names = |bundle| -> Vec<String> {
        let models = configured(&options_in(bundle)).models;
        models.into_iter().map(|model| model.name).collect()
    };
    assert_eq!(names("bundle.yaml"), ["iris"]);
    assert_eq!(names("examples/bundle-juju-2.9.yaml"), ["iris"]);
    assert_eq!(
        names("examples/bundle-several-models.yaml"),
        ["half-plus-two", "iris", "iris-boosted", "iris-v2"]
    );
}

proptest! {
    #[test]
    fn the_order_of_what_is_asked_changes_nothing(
        names in prop::collection::btree_set("[a-z]{1,8}", 1..6),
        env in prop::collection::btree_map("[A-Z]{1,5}", "[ -~]{0,9}", 0..5),
    ) {
        let entry = json!({"env": env});
        let there: Vec<String> = names.iter().map(|n| format!("{n}: {entry}")).collect();
        let back: Vec<String> = there.iter().rev().cloned().collect();
        let bytes = |entries: Vec<String>| {
            let options = json!({"image": "iris:1", "models": entries.join("\n")});
            serde_json::to_string(&rendered(&options, &site())).unwrap()
        };
        prop_assert_eq!(bytes(there), bytes(back));
    }

    #[test]
    fn every_name_is_one_that_kubernetes_takes(name in "[a-z]([a-z0-9-]{0,46}[a-z0-9])?") {
        let options = json!({"image": "iris:1", "models": format!("{{{name}: {{}}}}")});
        let objects = rendered(&options, &site());
        for (pointer, longest) in [
            ("/model/metadata/name", 63),
            ("/route/metadata/name", 63),
            ("/route/spec/http/0/route/0/destination/host", 253),
            ("/model/spec/predictors/0/graph/name", 48),
        ] {
            let text = objects[0].pointer(pointer).and_then(Value::as_str).unwrap();
            prop_assert!(text.len() <= longest, "{pointer} {text}");
        }
        let service = objects[0].pointer("/route/spec/http/0/route/0/destination/host").and_then(Value::as_str).unwrap();
        prop_assert!(service.split('.').next().unwrap().len() <= 63);
    }
}

#[test]
fn the_gateways_to_look_for_are_those_that_models_name_and_else_the_related_one() {
    let config =
        configured(&json!({"image": "iris:1", "models": "{a: {gateway: one/gate}, b: {}, c: {gateway: one/gate}}"}));
    let RelatedGateway::Named { gateway, .. } = site().gateway else {
        panic!("it is named");
    };
    let names = |related| -> Vec<String> {
        gateways(config.models.iter(), related)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(names(Some(&gateway)), ["kubeflow/kubeflow-gateway", "one/gate"]);
    assert_eq!(names(None), ["one/gate"]);
}
