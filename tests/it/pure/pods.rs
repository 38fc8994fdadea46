//! Options of pods, as they are rendered.

use seldon_model::config;
use seldon_model::observed::{Capabilities, Observed};
use seldon_model::plan::Environment;
use serde_json::{Value, json};

use super::fixture::{rendered, rendered_with, site};

/// Every option about pods and the way to them.
fn of_pods() -> Value {
    json!({
        "image": "iris:1",
        "env": "{TRACING: '0'}",
        "resources": "{requests: {cpu: 100m}, limits: {nvidia.com/gpu: 1}}",
        "autoscale": "{min: 2, max: 5, cpu: 80}",
        "disruption-budget": "{max-unavailable: 50%}",
        "pod": "{runtimeClassName: nvidia, nodeSelector: {accelerator: gpu}, volumes: [{name: data, emptyDir: {}}],
            containers: [{name: iris, volumeMounts: [{name: data, mountPath: /data}],
                env: [{name: KEY, valueFrom: {secretKeyRef: {name: keys, key: iris}}}]}, {name: beside, image: 'beside:1'}]}",
        "logger": "{mode: request, kafka: {broker: 'kafka:9092', topic: iris}}",
        "tracing": "{to: 'jaeger:6831', sampler: probabilistic, parameter: 0.1}",
        "storage-secret": "kubernetes:files",
        "image-pull-secret": "kubernetes:registry",
        "explainer": "{type: AnchorTabular, model-uri: 'pvc://models/explainer', image: 'explainer:1', config: {threshold: '0.9'}}",
        "headers": "{request: {set: {x-site: '12'}, remove: [cookie]}, response: {add: {x-model: iris}}}",
        "canary": "{image: 'iris:2', weight: 10, replicas: 0, tracing: 'http://jaeger:14268/api/traces', logger: 'http://broker'}",
    })
}

#[test]
fn pod_options_reach_every_predictor() {
    insta::assert_yaml_snapshot!("of_pods", rendered(&of_pods(), &site()));
}

/// The pods of the model's own predictor.
fn pods(options: &Value, observed: &Observed) -> Value {
    rendered_with(options, &site(), observed)[0]["model"]["spec"]["predictors"][0]["componentSpecs"].clone()
}

#[test]
fn older_seldon_gets_v1_autoscaling_metrics() {
    let metric = "{type: Pods, pods: {metric: {name: queue}, target: {type: AverageValue, averageValue: '10'}}}";
    let options = |uses: &str| {
        json!({
            "image": "iris:1", "resources": "{requests: {cpu: 100m}}",
            "autoscale": format!("{{min: 2, max: 5, {uses}metrics: [{metric}]}}"),
        })
    };
    let both = pods(&options("cpu: 80, "), &Observed::default())[0]["hpaSpec"].clone();
    assert_eq!(both["metricsv2"].as_array().unwrap().len(), 2);
    assert_eq!(both.get("metrics"), None);
    let old = Observed {
        capabilities: Capabilities {
            metrics_v2: false,
            ..Capabilities::default()
        },
        ..Observed::default()
    };
    let left = pods(&options("cpu: 80, "), &old)[0]["hpaSpec"].clone();
    assert_eq!(left["metrics"][0]["resource"]["targetAverageUtilization"], 80);
    assert_eq!(left.get("metricsv2"), None);
    // Nothing can scale it any more, so it gets the minimum of replicas.
    let none = rendered_with(&options(""), &site(), &old)[0]["model"]["spec"]["predictors"][0].clone();
    assert_eq!(
        (&none["replicas"], none["componentSpecs"][0].get("hpaSpec")),
        (&json!(2), None)
    );
}

#[test]
fn replicas_are_omitted_alongside_an_autoscaler() {
    let keda = "{min: 0, max: 3, keda: {triggers: [{type: cron, metadata: {timezone: UTC}}]}}";
    let predictor = |options: Value| rendered(&options, &site())[0]["model"]["spec"]["predictors"][0].clone();
    let scaled = predictor(json!({"image": "iris:1", "replicas": 2, "autoscale": keda}));
    assert_eq!(scaled.get("replicas"), None);
    let spec = &scaled["componentSpecs"][0]["kedaSpec"];
    assert_eq!(
        (&spec["minReplicaCount"], &spec["maxReplicaCount"]),
        (&json!(0), &json!(3))
    );
    let stopped = predictor(json!({"image": "iris:1", "replicas": 0, "autoscale": keda}));
    assert_eq!(stopped["replicas"], 0);
    assert_eq!(stopped["componentSpecs"][0].get("kedaSpec"), None);
}

#[test]
fn pod_fields_reach_every_pod_of_a_graph() {
    let graph = "{transformer: scale, image: 'scale:1', children: [{model: one, image: 'iris:1', own-pod: true}]}";
    let fields = "{nodeSelector: {a: b}, containers: [{name: one, tty: true}, {name: beside, image: 'beside:1'}]}";
    let pods = pods(&json!({"graph": graph, "pod": fields}), &Observed::default());
    let names = |at: usize| -> Vec<String> {
        let containers = pods[at]["spec"]["containers"].as_array().unwrap();
        containers
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (names(0), names(1)),
        (vec!["scale".into(), "beside".into()], vec!["one".into()])
    );
    assert_eq!(pods[0]["spec"]["nodeSelector"], pods[1]["spec"]["nodeSelector"]);
    assert_eq!(pods[1]["spec"]["containers"][0]["tty"], true);
}

#[test]
fn tracing_option_overrides_the_relation() {
    let collector = |url: &str| config::value::Tracing::all(config::value::Collector::Endpoint(url.into()));
    let site = Environment {
        tracing: Some(collector("http://tempo:14268/api/traces")),
        ..site()
    };
    let endpoint = |options: Value| {
        let env = rendered(&options, &site)[0]["model"]["spec"]["predictors"][0]["svcOrchSpec"]["env"][0].clone();
        (
            env["name"].as_str().unwrap().to_owned(),
            env["value"].as_str().unwrap().to_owned(),
        )
    };
    let said = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        endpoint(json!({"image": "iris:1"})),
        said("JAEGER_ENDPOINT", "http://tempo:14268/api/traces")
    );
    assert_eq!(
        endpoint(json!({"image": "iris:1", "tracing": "jaeger:6831"})),
        said("JAEGER_AGENT_HOST", "jaeger")
    );
}

/// Seldon's own rules hold for it: it is accepted as a manifest.
#[test]
fn rendered_pod_options_parse_as_a_manifest() {
    let object = rendered(&of_pods(), &site()).remove(0);
    let text = serde_yaml::to_string(&object["model"])
        .unwrap()
        .replace("seldon-model/", "seldon-model-");
    let again = config::parse("iris", json!({"manifest": text}).as_object().unwrap());
    assert_eq!(again.errors, [], "{text}");
}
