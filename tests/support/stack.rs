//! How the observability stack reads a databag, by the rules of its interfaces: `canonical/charm-relation-interfaces`,
//! `interfaces/prometheus_scrape/v0/schema.py`, and `canonical/prometheus-k8s-operator`,
//! `lib/charms/prometheus_k8s/v0/prometheus_scrape.py`.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use seldon_model::integrations::dashboard;
use serde_json::{Value, json};

/// The keys a job may have; the others are removed.
const ALLOWED: [&str; 17] = [
    "job_name",
    "metrics_path",
    "static_configs",
    "scrape_interval",
    "scrape_timeout",
    "proxy_url",
    "relabel_configs",
    "metric_relabel_configs",
    "sample_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "scheme",
    "basic_auth",
    "tls_config",
    "authorization",
    "params",
];

/// Asserts that a provider's databag follows the interface.
#[track_caller]
pub fn assert_prometheus_scrape(bag: &BTreeMap<String, String>) {
    let keys: Vec<&str> = bag.keys().map(String::as_str).collect();
    assert_eq!(keys, ["alert_rules", "scrape_jobs", "scrape_metadata"]);
    let read = |key: &str| serde_json::from_str::<Value>(&bag[key]).unwrap();
    let texts = |value: &Value| serde_json::from_value::<BTreeMap<String, String>>(value.clone()).unwrap();

    let metadata = texts(&read("scrape_metadata"));
    for key in ["model", "model_uuid", "application", "unit", "charm_name"] {
        assert!(!metadata[key].is_empty(), "{key}");
    }
    let mut names = BTreeSet::new();
    for job in read("scrape_jobs").as_array().unwrap() {
        let job = job.as_object().unwrap();
        assert!(job.keys().all(|key| ALLOWED.contains(&key.as_str())), "{job:?}");
        assert!(
            names.insert(job["job_name"].as_str().unwrap().to_owned()),
            "twice: {job:?}"
        );
        for config in job["static_configs"].as_array().unwrap() {
            assert!(
                !serde_json::from_value::<Vec<String>>(config["targets"].clone())
                    .unwrap()
                    .is_empty()
            );
            texts(&config["labels"]);
        }
    }
    for group in read("alert_rules")["groups"].as_array().unwrap() {
        assert!(group["name"].is_string());
        for rule in group["rules"].as_array().unwrap() {
            for key in ["alert", "expr", "for"] {
                assert!(rule[key].is_string(), "{key} of {rule}");
            }
            texts(&rule["labels"]);
            texts(&rule["annotations"]);
        }
    }
}

/// The jobs as Canonical's Prometheus writes them into its configuration: named after the application, each target with the
/// labels of its Juju topology, and `instance` made of those.
pub fn scrape_configs(bag: &BTreeMap<String, String>) -> Vec<Value> {
    assert_prometheus_scrape(bag);
    let metadata: Value = serde_json::from_str(&bag["scrape_metadata"]).unwrap();
    let get = |key: &str| metadata[key].as_str().unwrap().to_owned();
    let short: String = get("model_uuid").chars().take(8).collect();
    let prefix = format!("juju_{}_{short}_{}_prometheus_scrape", get("model"), get("application"));
    let topology = [
        ("juju_model", "model"),
        ("juju_model_uuid", "model_uuid"),
        ("juju_application", "application"),
        ("juju_charm", "charm_name"),
    ];
    let mut jobs: Vec<Value> = serde_json::from_str(&bag["scrape_jobs"]).unwrap();
    for job in &mut jobs {
        job["job_name"] = json!(format!("{prefix}_{}", job["job_name"].as_str().unwrap()));
        for config in job["static_configs"].as_array_mut().unwrap() {
            for (label, key) in topology {
                config["labels"][label] = json!(get(key));
            }
        }
        job["relabel_configs"] = json!([{
            "source_labels": ["juju_model", "juju_model_uuid", "juju_application"],
            "separator": "_", "target_label": "instance", "regex": "(.*)",
        }]);
    }
    jobs
}

pub fn dashboard() -> Value {
    serde_json::from_str(dashboard::JSON).unwrap()
}

/// The title and the query of every panel.
pub fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel.get("targets").and_then(Value::as_array).into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let number = panel["id"].as_u64().unwrap();
            all.push((format!("{number} {}", text(&panel["title"])), text(&target["expr"])));
        }
    }
    assert!(all.len() > 10);
    all
}
