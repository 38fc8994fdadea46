//! Options about pods and routes beyond the image, accepted by the real API server with the real definitions.

use juju_sim::agent::Hook;
use juju_sim::juju::Charm;
use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::kinds::{deployment, kind, sdep};
use crate::support::{assert_contains, rules};

/// Sets options, has the model served, and asserts that a quiet hook then writes nothing. Returns the status.
#[track_caller]
fn settles(live: &mut Live, pairs: &[(&str, &str)]) -> String {
    live.config(pairs);
    let mut says = live.serves();
    if says.starts_with("waiting") {
        says = live.says();
    }
    let before = live.versions();
    live.hook("update-status");
    assert_eq!(live.versions(), before, "{pairs:?}: a quiet hook wrote");
    says
}

/// The model's own predictor as it is in the cluster.
fn predictor(live: &Live) -> Value {
    live.sdep("iris").unwrap()["spec"]["predictors"][0].clone()
}

#[test]
fn every_pod_option_is_accepted_and_removable() {
    let mut live = Live::new("words");
    live.config(&[("resources", "{requests: {cpu: 100m, memory: 64Mi}}")]);
    let metric = "{type: Pods, pods: {metric: {name: queue}, target: {type: AverageValue, averageValue: '10'}}}";
    let metrics = format!("{{max: 3, cpu: 80, metrics: [{metric}]}}");
    let keda = "{min: 0, max: 3, keda: {pollingInterval: 5, triggers: [{type: cron, metadata: {timezone: UTC}}]}}";
    let pod = "{nodeSelector: {accelerator: gpu}, tolerations: [{key: gpu, operator: Exists}], runtimeClassName: nvidia,
        securityContext: {runAsUser: 0}, volumes: [{name: data, persistentVolumeClaim: {claimName: data}}],
        containers: [{name: iris, ports: [{name: debug, containerPort: 5678}], volumeMounts: [{name: data, mountPath: /data}]},
            {name: beside, image: 'busybox:1'}]}";
    for (word, value, place, wanted) in [
        (
            "autoscale",
            "{max: 3, cpu: 80, memory: 90}",
            "/componentSpecs/0/hpaSpec/maxReplicas",
            json!(3),
        ),
        (
            "autoscale",
            &metrics,
            "/componentSpecs/0/hpaSpec/metricsv2/1/type",
            json!("Pods"),
        ),
        (
            "autoscale",
            keda,
            "/componentSpecs/0/kedaSpec/triggers/0/type",
            json!("cron"),
        ),
        (
            "disruption-budget",
            "{min-available: 50%}",
            "/componentSpecs/0/pdbSpec/minAvailable",
            json!("50%"),
        ),
        ("pod", pod, "/componentSpecs/0/spec/containers/1/name", json!("beside")),
        (
            "logger",
            "http://broker.logging",
            "/graph/logger/url",
            json!("http://broker.logging"),
        ),
        (
            "logger",
            "{mode: response, kafka: {broker: 'kafka:9092', topic: iris}}",
            "/svcOrchSpec/env/1/value",
            json!("iris"),
        ),
        (
            "tracing",
            "jaeger:6831",
            "/svcOrchSpec/env/0/name",
            json!("JAEGER_AGENT_HOST"),
        ),
        (
            "explainer",
            "{type: ALE, model-uri: 'pvc://models/e', image: 'explainer:1', config: {a: b}, replicas: 2}",
            "/explainer/type",
            json!("ALE"),
        ),
    ] {
        let says = settles(&mut live, &[(word, value)]);
        assert_contains(
            &says,
            &["active: iris serves seldonio/sklearn-iris:0.3 at /model/iris/"],
        );
        assert_eq!(predictor(&live).pointer(place), Some(&wanted), "{word}={value}");
        settles(&mut live, &[(word, "")]);
        assert_eq!(predictor(&live).pointer(place), None, "{word} is taken back");
    }
}

#[test]
fn pod_field_unknown_to_seldon_blocks() {
    let mut live = Live::new("unknown");
    settles(&mut live, &[]);
    // Kubernetes has the field; Seldon's definition is older.
    live.config(&[("pod", "{resourceClaims: [{name: gpu, resourceClaimName: gpu}]}")]);
    assert_contains(&live.says(), &["blocked: iris", "resourceClaims"]);
    assert_eq!(predictor(&live).pointer("/componentSpecs/0/spec/resourceClaims"), None);
}

#[test]
fn replicas_are_not_ours_while_autoscaled() {
    let mut live = Live::new("scaled");
    let says = settles(
        &mut live,
        &[
            ("resources", "{requests: {cpu: 100m}}"),
            ("autoscale", "{min: 1, max: 5, cpu: 80}"),
            ("replicas", "2"),
        ],
    );
    assert_contains(&says, &["active"]);
    assert_eq!(predictor(&live).get("replicas"), None);
    // The autoscaler's number of replicas is up to date.
    let name = "iris-default-0-iris";
    live.merge(&deployment(), name, &json!({"spec": {"replicas": 4}}));
    let generation = live.get(&deployment(), name).unwrap()["metadata"]["generation"].clone();
    let all = json!({
        "observedGeneration": generation, "replicas": 4, "readyReplicas": 4, "updatedReplicas": 4, "availableReplicas": 4,
    });
    live.merge_status(&deployment(), name, &all);
    assert_contains(&live.says(), &["active"]);
    assert_eq!(live.get(&deployment(), name).unwrap()["spec"]["replicas"], 4);
    let says = settles(&mut live, &[("replicas", "0")]);
    assert_contains(&says, &["active: iris is stopped (replicas=0)"]);
    assert_eq!(predictor(&live)["replicas"], 0);
    assert_eq!(predictor(&live).pointer("/componentSpecs/0/hpaSpec"), None);
}

#[test]
fn seldon_without_keda_is_reported() {
    let mut live = Live::new("nokeda");
    let keda = "{max: 3, keda: {triggers: [{type: cron, metadata: {timezone: UTC}}]}}";
    settles(&mut live, &[("autoscale", keda)]);
    live.merge_status(&sdep(), "iris", &json!({"conditions": []}));
    assert_contains(
        &live.says(),
        &["blocked: iris: serving, not autoscaled. Run: juju integrate seldon-core:keda keda ("],
    );
}

#[test]
fn explainer_is_routed_once_it_answers() {
    let mut live = Live::new("explained");
    live.config(&[(
        "explainer",
        "{type: AnchorTabular, model-uri: 'pvc://models/explainer'}",
    )]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    let name = "iris-default-explainer";
    live.merge_status(&deployment(), name, &json!({"availableReplicas": 0}));
    // The model serves meanwhile, but its explainer does not.
    assert_contains(&live.says(), &["waiting: iris"]);
    let http = |live: &Live| Value::from(rules(&live.route("iris").unwrap()));
    assert!(!http(&live).to_string().contains("explainer"));
    assert_eq!(live.shares("iris"), ["default 100"]);
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    let first = http(&live)[0].clone();
    assert_eq!(first["match"], json!([{"uri": {"prefix": "/model/iris/explainer/"}}]));
    assert_eq!(first["rewrite"]["uri"], "/");
    assert_eq!(
        first["route"][0]["destination"],
        json!({"host": "iris-default-explainer.explained.svc.cluster.local", "port": {"number": 9000}})
    );
}

#[test]
fn headers_are_changed_by_the_route() {
    let mut live = Live::new("headed");
    let headers = "{request: {set: {x-site: '12'}, remove: [cookie]}, response: {add: {x-model: iris}}}";
    assert_contains(&settles(&mut live, &[("headers", headers)]), &["active"]);
    assert_eq!(
        rules(&live.route("iris").unwrap())[0]["headers"],
        json!({"request": {"set": {"x-site": "12"}, "remove": ["cookie"]}, "response": {"add": {"x-model": "iris"}}})
    );
    settles(&mut live, &[("headers", "")]);
    assert_eq!(rules(&live.route("iris").unwrap())[0].get("headers"), None);
}

/// Replaces the servers of the gateway.
fn gateway_takes(live: &Live, servers: &Value) {
    let gateway = kind("networking.istio.io", "v1beta1", "Gateway");
    live.merge(&gateway, "gate", &json!({"spec": {"servers": servers}}));
}

#[test]
fn https_only_gateway_and_its_hosts_are_reported() {
    let mut live = Live::new("secured");
    live.serves();
    let port = json!({"number": 8443, "name": "https", "protocol": "HTTPS"});
    let tls = json!({"mode": "SIMPLE", "credentialName": "site"});
    gateway_takes(&live, &json!([{"port": port, "tls": tls, "hosts": ["*"]}]));
    assert_eq!(
        live.says(),
        "active: iris serves seldonio/sklearn-iris:0.3 at /model/iris/, HTTPS only"
    );
    gateway_takes(
        &live,
        &json!([{"port": port, "tls": tls, "hosts": ["models.plant.example"]}]),
    );
    assert_contains(&live.says(), &["active"]);
    live.config(&[("hosts", "iris.plant.example")]);
    assert_eq!(
        live.says(),
        "blocked: iris: hosts not served by gateway. Run: juju config iris hosts=models.plant.example (gateway secured/gate serves models.plant.example, hosts is iris.plant.example)"
    );
    live.config(&[("hosts", "models.plant.example")]);
    assert_contains(&live.says(), &["active"]);
}

#[test]
fn tracing_receiver_is_requested_once_and_used() {
    let mut live = Live::new("traced");
    live.serves();
    live.world
        .add_application("tempo", Charm::fake("tempo", "1/stable"), 1)
        .unwrap();
    let id = live.world.integrate("iris:tracing", "tempo:tracing").unwrap();
    live.hook("config-changed");
    let requested = live.world.relations[&id]
        .data("iris")
        .and_then(|bag| bag.get("receivers"))
        .cloned();
    assert_eq!(requested.as_deref(), Some(r#"["jaeger_thrift_http"]"#));
    assert_eq!(predictor(&live).pointer("/svcOrchSpec/env"), None);
    let run = live.hook("update-status");
    assert!(
        !run.calls.iter().any(|call| call.tool() == "relation-set"),
        "{:#?}",
        run.calls
    );
    let receivers =
        r#"[{"protocol": {"name": "jaeger_thrift_http", "type": "http"}, "url": "http://tempo.cos:14268"}]"#;
    live.world.write_bag(id, "tempo", &[("receivers", receivers)]).unwrap();
    live.hook("tracing-relation-changed");
    let env = predictor(&live)["svcOrchSpec"]["env"].clone();
    assert_eq!(
        env[0],
        json!({"name": "JAEGER_ENDPOINT", "value": "http://tempo.cos:14268/api/traces"})
    );
    // Without the relation there are no traces.
    live.hook(Hook::relation(juju_sim::agent::RelationEvent::Broken, id));
    assert_eq!(predictor(&live).pointer("/svcOrchSpec/env"), None);
}
