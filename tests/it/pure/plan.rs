//! What is rendered: snapshots to read, and properties that hold for any options.

use std::path::Path;

use juju_hooks::SecretContent;
use juju_sim::juju::World;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use proptest::prelude::*;
use seldon_model::config;
use seldon_model::gateway::GatewayKind;
use seldon_model::inputs::gateway::{Provider, RelatedGateway};
use seldon_model::observed::{Observed, Ports, Secret};
use seldon_model::plan::{Environment, PlannedModel, PlannedRoute, plan, requests};
use serde_json::{Value, json};
use site::bundle::Bundle;

use super::fixture::{answering, configured, relation, rendered, rendered_with, site, site_of_ingress};

fn planned(options: &Value, site: &Environment) -> PlannedModel {
    plan(&configured(options), site, &Observed::default())
        .unwrap()
        .models
        .remove(0)
}

#[test]
fn blog_model_renders_two_objects() {
    let options = json!({"image": "seldonio/sklearn-iris:0.3", "image-pull-policy": "IfNotPresent"});
    insta::assert_yaml_snapshot!("blog", rendered(&options, &site()));
}

#[test]
fn every_option_is_rendered() {
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
    insta::assert_yaml_snapshot!("every_option", rendered_with(&options, &site, &observed));
}

#[test]
fn http_route_is_equivalent_to_virtual_service() {
    let options = json!({
        "image": "iris:1", "protocol": "v2", "grpc-host": "iris.example", "timeout": "1500ms",
        "headers": "{request: {set: {x-site: edge}, remove: [x-no]}, response: {add: {x-by: iris}}}",
        "canary": "{image: 'iris:2', weight: 20, match: {x-canary: 'yes'}}",
        "shadow": "{image: 'iris:3'}",
    });
    let observed = answering(&["default", "canary", "shadow"]);
    let objects = rendered_with(&options, &site_of_ingress(), &observed).remove(0);
    assert_eq!(
        objects["model"]["metadata"]["annotations"]["seldon-model/http-route"],
        "kept"
    );
    insta::assert_yaml_snapshot!("http_route", objects["route"]);
    // Apart from annotations the SeldonDeployment is the same, so that a change of gateways rolls no pod.
    let mut before = rendered_with(&options, &site(), &observed).remove(0)["model"].clone();
    let mut after = objects["model"].clone();
    for one in [&mut before, &mut after] {
        one["metadata"]["annotations"] = Value::Null;
    }
    assert_eq!(before, after);
}

#[test]
fn secrets_reach_every_pod_that_needs_them() {
    let uri = "secret:9m4e2mr0ui3e8a215n4g";
    let graph = "{transformer: t, image: 't:1', children: [
        {model: a, implementation: SKLEARN_SERVER, model-uri: 's3://m/a'},
        {model: b, image: 'b:1', own-pod: true}]}";
    let options = json!({"graph": graph, "image-pull-secret": "kubernetes:mine", "storage-secret": uri});
    let planned_with = |password: &str, observed: &Observed| {
        let pairs = [("access-key-id", "edge"), ("secret-access-key", password)];
        let content: SecretContent = pairs
            .map(|(key, value)| (key.into(), value.into()))
            .into_iter()
            .collect();
        let mut config = configured(&options);
        let answers = config.juju_secrets().into_iter().map(|uri| (uri, Ok(content.clone())));
        config.resolve_secrets("iris", "edge", &answers.collect());
        plan(&config, &site(), observed).unwrap().models.remove(0)
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
        secret.object().unwrap().unwrap()["data"]["RCLONE_CONFIG_S3_SECRET_ACCESS_KEY"],
        "aHVudGVyMQ=="
    );
    // Debug output of plan and observation shows no value.
    let mut observed = Observed::default();
    observed.secrets.push(Secret(
        serde_json::from_value(secret.object().unwrap().unwrap()).unwrap(),
    ));
    for shown in [
        format!("{first:?}"),
        format!("{observed:?}"),
        first.deployment.to_string(),
    ] {
        assert!(!shown.contains("hunter") && !shown.contains("aHVudGVy"), "{shown}");
    }
    // The same content keeps its name, so that nothing rolls; new content gets a new name.
    let same = planned_with("hunter1", &observed);
    assert_eq!(same.deployment, first.deployment);
    let other = planned_with("hunter2", &observed);
    assert_eq!(other.secrets[0].name, "iris-storage-9m4e2mr0ui3e8a215n4g-2");
    assert_ne!(other.predictors[0].hash, first.predictors[0].hash);
    // One that others number up to the end of numbers does not end the counting.
    let mut forged = observed.secrets[0].clone();
    forged.0.metadata.name = Some(format!("iris-storage-9m4e2mr0ui3e8a215n4g-{}", u64::MAX));
    observed.secrets.push(forged);
    let rotated = planned_with("hunter2", &observed);
    assert_eq!(rotated.secrets[0].name, "iris-storage-9m4e2mr0ui3e8a215n4g-2");
}

#[test]
fn canary_and_shadow_are_separate_predictors() {
    let options = json!({
        "image": "iris:1", "env": "{LEVEL: INFO}", "replicas": 2,
        "canary": "{image: 'iris:2', weight: 10, match: {x-canary: 'yes'}, replicas: 1}",
        "shadow": "{image: 'iris:3', weight: 25, replicas: 1}",
    });
    let all = answering(&["default", "canary", "shadow"]);
    insta::assert_yaml_snapshot!("canary_and_shadow", rendered_with(&options, &site(), &all));
}

#[test]
fn grpc_is_matched_by_headers_or_host() {
    let options = json!({
        "image": "iris:1", "protocol": "v2", "hosts": "*.plant.example", "grpc-host": "iris.plant.example",
        "canary": "{image: 'iris:2', weight: 10, match: {x-canary: 'yes'}}",
    });
    let all = answering(&["default", "canary"]);
    insta::assert_yaml_snapshot!("grpc", rendered_with(&options, &site(), &all)[0]["route"]["spec"]);
}

#[test]
fn graph_of_three_models_is_one_predictor() {
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
fn random_abtest_has_no_router_type() {
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
fn rendered_deployment_passes_seldons_validation() {
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
        assert_eq!(again.errors, [], "{options}: {text}");
    }
}

#[test]
fn canary_weight_does_not_roll_pods() {
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
    // Adding or removing a canary leaves the pods of the model alone.
    let alone = planned(&json!({"image": "iris:1"}), &site()).predictors[0].hash.clone();
    assert_eq!(alone, base[0]);
}

#[test]
fn spec_hash_covers_only_what_rolls_pods() {
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
fn missing_gateway_deletes_route_and_keeps_model() {
    let route = |gateway| {
        let site = Environment { gateway, ..site() };
        planned(&json!({"image": "iris:1"}), &site).route
    };
    assert_eq!(route(RelatedGateway::None), PlannedRoute::Delete);
    assert_eq!(route(RelatedGateway::read(&[relation(&[])], &[])), PlannedRoute::Keep);
    let two = [relation(&[]), relation(&[])];
    assert_eq!(route(RelatedGateway::read(&two, &[])), PlannedRoute::Keep);
}

#[test]
fn gateway_is_up_unless_reported_down() {
    let read = |up: &[(&str, &str)]| {
        let mut bag = vec![("gateway_name", "gate"), ("gateway_namespace", "istio")];
        bag.extend(up);
        RelatedGateway::read(&[relation(&bag)], &[])
    };
    let up = |gateway| matches!(gateway, RelatedGateway::Known { up: true, .. });
    assert!(up(read(&[])));
    assert!(up(read(&[("gateway_up", "true")])));
    assert!(!up(read(&[("gateway_up", "false")])));
    // A databag is another charm's input: an invalid name must not get into an object.
    let odd = RelatedGateway::read(
        &[relation(&[("gateway_name", "../x"), ("gateway_namespace", "istio")])],
        &[],
    );
    assert_eq!(
        odd,
        RelatedGateway::Pending(Provider::new("istio-pilot", GatewayKind::Istio))
    );
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
fn bundles_configure_valid_models() {
    let names = |bundle| -> Vec<String> {
        let models = configured(&options_in(bundle)).models;
        models.into_iter().map(|model| model.name).collect()
    };
    assert_eq!(names("bundle.yaml"), ["iris"]);
    assert_eq!(names("examples/bundle-juju-2.9.yaml"), ["iris"]);
    assert_eq!(names("examples/bundle-istio-ingress-k8s.yaml"), ["iris"]);
    assert_eq!(
        names("examples/bundle-several-models.yaml"),
        ["half-plus-two", "iris", "iris-boosted", "iris-v2"]
    );
}

#[test]
fn bundles_relate_existing_endpoints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for bundle in [
        "bundle.yaml",
        "examples/bundle-juju-2.9.yaml",
        "examples/bundle-istio-ingress-k8s.yaml",
    ] {
        let path = root.join(bundle);
        let mut world = World::new("edge");
        Bundle::read(&path).unwrap().deploy(&mut world, &path, root).unwrap();
        let gateways = ["iris:gateway-info", "iris:gateway-metadata"];
        let related = |endpoint: &&str| {
            let (of, endpoint) = endpoint.split_once(':').unwrap();
            let mut relations = world.relations.values();
            relations.any(|relation| relation.local(of).is_some_and(|side| side.endpoint == endpoint))
        };
        assert_eq!(gateways.iter().filter(|one| related(one)).count(), 1, "{bundle}");
    }
}

proptest! {
    #[test]
    fn order_of_keys_does_not_change_the_plan(
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
    fn every_name_is_valid_in_kubernetes(name in "[a-z]([a-z0-9-]{0,46}[a-z0-9])?") {
        let options = json!({"image": "iris:1", "models": format!("{{{name}: {{}}}}")});
        let objects = rendered(&options, &site());
        for (pointer, longest) in [
            ("/model/metadata/name", 63),
            ("/route/metadata/name", 63),
            ("/route/spec/http/1/route/0/destination/host", 253),
            ("/model/spec/predictors/0/graph/name", 48),
        ] {
            let text = objects[0].pointer(pointer).and_then(Value::as_str).unwrap();
            prop_assert!(text.len() <= longest, "{pointer} {text}");
        }
        let service = objects[0].pointer("/route/spec/http/1/route/0/destination/host").and_then(Value::as_str).unwrap();
        prop_assert!(service.split('.').next().unwrap().len() <= 63);
    }
}

#[test]
fn requests_go_to_named_and_related_gateways() {
    let config =
        configured(&json!({"image": "iris:1", "models": "{a: {gateway: one/gate}, b: {}, c: {gateway: one/gate}}"}));
    let names = |related: &RelatedGateway| -> Vec<String> {
        requests(&config.models, related, "edge")
            .iter()
            .map(|requests| requests.gateway.to_string())
            .collect()
    };
    assert_eq!(
        names(&site().gateway),
        ["one/gate", "kubeflow/kubeflow-gateway", "one/gate"]
    );
    assert_eq!(names(&RelatedGateway::None), ["one/gate", "one/gate"]);
}
