//! The databags of the relations with the observability stack follow their interfaces, list what can be scraped, and hold alert
//! rules that fire when they should.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use juju_hooks::{Event, HookContext};
use seldon_model::identity::Identity;
use seldon_model::integrations::{alerts, dashboard, metrics, metrics_bag};
use seldon_model::observed::Observed;
use seldon_model::plan::plan;
use serde_json::{Value, json};

use super::fixture::{configured, site};
use crate::support::stack;

fn context() -> HookContext {
    HookContext {
        event: Event::Hook("update-status".into()),
        unit: "iris/0".into(),
        application: "iris".into(),
        model_name: "edge".into(),
        model_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".into(),
        version: None,
    }
}

fn identity() -> Identity {
    Identity {
        application: "iris".into(),
        model_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".into(),
        namespace: "edge".into(),
    }
}

/// A cluster with the models of these options and these pods.
fn cluster_with(options: &Value, pods: &[Value]) -> Observed {
    let planned = plan(&configured(options), &site(), &Observed::default()).unwrap();
    let applied = json!([{"manager": identity().manager(), "operation": "Apply", "fieldsV1": {}}]);
    let objects = planned.models.iter().map(|planned| {
        let mut object = planned.deployment.clone();
        object["metadata"]["managedFields"] = applied.clone();
        object
    });
    Observed {
        seldon_deployments: objects.map(|object| serde_json::from_value(object).unwrap()).collect(),
        pods: pods
            .iter()
            .map(|pod| serde_json::from_value(pod.clone()).unwrap())
            .collect(),
        ..Observed::default()
    }
}

/// A pod as Seldon makes it.
fn pod(predictor: &str, name: &str, address: &str) -> Value {
    let port =
        |number: u16| json!([{"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": number}]);
    json!({
        "metadata": {
            "name": name, "labels": {"seldon-model/model": "iris", "seldon-model/predictor": predictor},
        },
        "spec": {"containers": [
            {"name": "iris", "ports": port(6000)},
            {"name": "beside"},
            {"name": "seldon-container-engine", "ports": port(8000)},
        ]},
        "status": {"phase": "Running", "podIP": address},
    })
}

/// All targets as `job: address labels…`, in their order.
fn targets(observed: &Observed) -> Vec<String> {
    let mut all = Vec::new();
    for job in metrics::scrape_jobs(observed, &identity()) {
        assert_eq!(job["metrics_path"], "/prometheus");
        for config in job["static_configs"].as_array().unwrap() {
            let labels: Vec<&str> = config["labels"]
                .as_object()
                .unwrap()
                .values()
                .map(|v| v.as_str().unwrap())
                .collect();
            let job = job["job_name"].as_str().unwrap();
            all.push(format!(
                "{job}: {} {}",
                config["targets"][0].as_str().unwrap(),
                labels.join(" ")
            ));
        }
    }
    all
}

#[test]
fn single_pod_is_scraped_through_its_service() {
    let options = json!({"image": "iris:1", "canary": "{image: 'iris:2', weight: 10, replicas: 2}"});
    let pods = [
        pod("default", "iris-default-a", "10.1.0.1"),
        pod("canary", "iris-canary-a", "10.1.0.2"),
        pod("canary", "iris-canary-b", "fd00::3"),
    ];
    // Labels by their names: container, pod, seldon_endpoint, seldon_model, seldon_predictor.
    assert_eq!(
        targets(&cluster_with(&options, &pods)),
        [
            "executor: 10.1.0.2:8000 seldon-container-engine iris-canary-a pod iris canary",
            "executor: [fd00::3]:8000 seldon-container-engine iris-canary-b pod iris canary",
            "executor: iris-default.edge.svc.cluster.local:8000 service iris default",
            "service: iris-canary.edge.svc.cluster.local:8000 service iris canary",
            "custom: 10.1.0.2:6000 iris iris-canary-a custom iris canary",
            "custom: [fd00::3]:6000 iris iris-canary-b custom iris canary",
            "custom: 10.1.0.1:6000 iris iris-default-a custom iris default",
        ]
    );
}

#[test]
fn autoscaled_predictor_is_scraped_by_pod() {
    let options = json!({
        "image": "iris:1", "autoscale": "{max: 3, cpu: 80}", "resources": "{requests: {cpu: 100m}}",
    });
    assert_eq!(
        targets(&cluster_with(&options, &[])),
        ["service: iris-default.edge.svc.cluster.local:8000 service iris default"]
    );
}

#[test]
fn service_metrics_of_several_pods_are_dropped() {
    let jobs = metrics::scrape_jobs(
        &cluster_with(&json!({"image": "iris:1", "replicas": 2}), &[]),
        &identity(),
    );
    let drop = json!([{"source_labels": ["__name__"], "regex": ".+", "action": "drop"}]);
    assert_eq!((jobs.len(), &jobs[0]["metric_relabel_configs"]), (1, &drop));
}

#[test]
fn stopped_and_terminating_pods_are_not_scraped() {
    assert_eq!(
        targets(&cluster_with(&json!({"image": "iris:1", "replicas": 0}), &[])),
        Vec::<String>::new()
    );
    let bare = json!({"image": "iris:1", "annotations": "{seldon.io/no-engine: 'true'}"});
    let pods = [pod("default", "iris-default-a", "10.1.0.1")];
    assert_eq!(
        targets(&cluster_with(&bare, &pods)),
        ["custom: 10.1.0.1:6000 iris iris-default-a custom iris default"]
    );
    let mut leaving = pod("default", "a", "10.1.0.1");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut done = pod("default", "b", "10.1.0.2");
    done["status"]["phase"] = json!("Failed");
    let without_address = pod("default", "c", "");
    let other = pod("other", "d", "10.1.0.4");
    let options = json!({"image": "iris:1"});
    let only = ["executor: iris-default.edge.svc.cluster.local:8000 service iris default"];
    assert_eq!(
        targets(&cluster_with(&options, &[leaving, done, without_address, other])),
        only
    );
    let mut observed = cluster_with(&options, &[]);
    observed.seldon_deployments[0].metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(targets(&observed), Vec::<String>::new());
    let mut observed = cluster_with(&options, &[]);
    observed.seldon_deployments[0].metadata.labels = None;
    assert_eq!(targets(&observed), Vec::<String>::new(), "somebody else's");
}

#[test]
fn metrics_databag_follows_the_interface() {
    let options = json!({"image": "iris:1", "canary": "{image: 'iris:2', replicas: 2}"});
    let pods = [pod("default", "a", "10.1.0.1"), pod("canary", "b", "10.1.0.2")];
    for observed in [cluster_with(&options, &pods), Observed::default()] {
        let bag = metrics_bag(&context(), metrics::scrape_jobs(&observed, &identity()));
        stack::assert_prometheus_scrape(&bag.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect());
    }
    let bag = metrics_bag(&context(), Vec::new());
    assert_eq!(
        serde_json::from_str::<Value>(&bag["scrape_metadata"]).unwrap(),
        json!({
            "model": "edge", "model_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "application": "iris",
            "unit": "iris/0", "charm_name": "seldon-model",
        })
    );
}

#[test]
fn dashboard_databag_follows_the_interface() {
    let bag = dashboard::bag();
    assert_eq!(bag.len(), 1);
    let bag: Value = serde_json::from_str(&bag["dashboards"]).unwrap();
    assert!(bag["uuid"].as_str().unwrap().len() == 32);
    let templates = bag["templates"].as_object().unwrap();
    assert_eq!(templates.keys().collect::<Vec<_>>(), ["file:seldon-models"]);
    let template = &templates["file:seldon-models"];
    assert_eq!(
        (&template["charm"], &template["inject_dropdowns"]),
        (&json!("seldon-model"), &json!(false))
    );
    // Its topology would be added to every query, with a unit that no model's pod has.
    assert_eq!(template["juju_topology"], json!({}));
}

/// Pipes bytes through a program.
fn through(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; apt-get install xz-utils coreutils"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn encoded_dashboard_matches_its_json_source() {
    let dashboard: Value = serde_json::from_str(dashboard::JSON).unwrap();
    let text = serde_json::to_vec(&dashboard).unwrap();
    if std::env::var_os("UPDATE_DASHBOARD").is_some() {
        let encoded = through("base64", &["--wrap=120"], &through("xz", &["-9e"], &text));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/integrations/dashboard.xz.base64");
        return fs::write(path, encoded).unwrap();
    }
    let decoded = through(
        "xz",
        &["--decompress"],
        &through("base64", &["--decode"], dashboard::ENCODED.as_bytes()),
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&decoded).unwrap(),
        dashboard,
        "type: UPDATE_DASHBOARD=1 cargo test --test it encoded_dashboard"
    );
}

#[test]
fn every_panel_has_a_valid_query() {
    let dashboard = stack::dashboard();
    let uid = dashboard["uid"].as_str().unwrap();
    // Any other is replaced by Canonical's library, so that links to it would break.
    assert!(uid.len() == 40 && uid.chars().all(|c| c.is_ascii_hexdigit()), "{uid}");
    assert!(
        dashboard["version"].is_u64(),
        "Grafana's charm takes the highest of several"
    );
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let source = json!({"type": "prometheus", "uid": "${prometheusds}"});
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        assert_eq!(variable["datasource"], source, "the one that Grafana's charm brings");
    }
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let place = &panel["gridPos"];
        assert!(
            place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24,
            "{panel}"
        );
        assert_eq!(panel["datasource"], source);
    }
    for (title, query) in stack::queries() {
        // Alerts and panels share one definition of a failure.
        assert!(
            !query.contains("service=") || query.contains(alerts::PREDICTIONS),
            "{title}: {query}"
        );
        assert!(
            !query.contains("code=") || query.contains(alerts::FAILED),
            "{title}: {query}"
        );
        assert!(
            query.contains(r#"juju_model_uuid="$juju_model_uuid""#),
            "{title}: {query}"
        );
    }
}

/// The rules where promtool finds them.
fn written_rules() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rules-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let rules = alerts::rules(&context(), true);
    fs::write(folder.join("rules.json"), rules.to_string()).unwrap();
    folder
}

fn promtool(folder: &Path, arguments: &[&str]) {
    let program = kube_box::assets::promtool(&|line| eprintln!("{line}")).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn alert_rules_fire_only_when_they_should() {
    let folder = written_rules();
    promtool(&folder, &["check", "rules", "--lint=all", "--lint-fatal", "rules.json"]);
    let cases = include_str!("observability/alerts.yaml");
    fs::write(folder.join("alerts.yaml"), cases).unwrap();
    promtool(&folder, &["test", "rules", "alerts.yaml"]);
    fs::remove_dir_all(&folder).unwrap();
    // Each has a case in which it fires.
    for rule in alerts::rules(&context(), true)["groups"][0]["rules"]
        .as_array()
        .unwrap()
    {
        let name = rule["alert"].as_str().unwrap();
        assert!(
            cases.contains(&format!("alertname=\"{name}\"")),
            "{name} is in no case of alerts.yaml"
        );
    }
}

#[test]
fn missing_metrics_alert_needs_something_to_scrape() {
    let names = |scraped| -> BTreeSet<String> {
        let rules = alerts::rules(&context(), scraped);
        let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
        rules
            .iter()
            .map(|rule| rule["alert"].as_str().unwrap().to_owned())
            .collect()
    };
    let missed: Vec<String> = names(true).difference(&names(false)).cloned().collect();
    assert_eq!(missed, ["SeldonMetricsMissing"]);
}

#[test]
fn alert_rules_carry_juju_topology_labels() {
    let rules = alerts::rules(&context(), true);
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let labels: BTreeMap<String, String> = serde_json::from_value(rule["labels"].clone()).unwrap();
        assert_eq!(labels["juju_model"], "edge");
        assert_eq!(labels["juju_model_uuid"], "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
        assert_eq!(labels["juju_application"], "iris");
        assert_eq!(labels["juju_charm"], "seldon-model");
        assert!(!rule["expr"].as_str().unwrap().contains("juju_"), "{rule}");
    }
}
