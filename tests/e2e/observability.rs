//! Prometheus with the charm's databags: real scrapes of real pods, and every query of the dashboard on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use juju_sim::juju::Charm;
use kube_box::images::{IRIS_1, IRIS_2};
use serde_json::{Value, json};

use crate::fixture::{FLOWER, Model, SERVES, SOON, folder, full, until};
use crate::load::{Load, send};
use crate::support::kinds::{deployment, pod, service};
use crate::support::stack;

/// Where Prometheus answers, on the node's loopback.
const PROMETHEUS: &str = "127.0.0.1:9099";
/// A flower that lacks three of its four measures, on which the model fails.
const NO_FLOWER: &str = r#"{"data": {"ndarray": [[5.1]]}}"#;

/// Labels and numbers.
type Found = Vec<(BTreeMap<String, String>, f64)>;

/// A Prometheus on the node, which lives as long as this value.
struct Prometheus {
    // `drop` ends it by request: a signal would reach the program that entered the node instead.
    child: Child,
    folder: PathBuf,
}

impl Prometheus {
    /// Starts one with the configuration that Canonical's charm would make of a databag, but with the addresses of Services for their
    /// names: a site has no DNS.
    fn start(model: &Model, bag: &BTreeMap<String, String>) -> Self {
        let folder = folder("prometheus");
        fs::create_dir_all(&folder).unwrap();
        let mut jobs = stack::scrape_configs(bag);
        for job in &mut jobs {
            let relabel = job["relabel_configs"].as_array_mut().unwrap();
            relabel.extend(model.objects(&service()).iter().map(|service| {
                let name = service["metadata"]["name"].as_str().unwrap();
                let host = format!("{name}.{}.svc.cluster.local", model.model());
                let address = service["spec"]["clusterIP"].as_str().unwrap();
                json!({
                    "source_labels": ["__address__"], "regex": format!("{host}:(.+)"),
                    "replacement": format!("{address}:$1"), "target_label": "__address__",
                })
            }));
        }
        let interval = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
        let config = json!({"global": interval, "scrape_configs": jobs, "rule_files": ["rules.json"]});
        fs::write(folder.join("prometheus.json"), config.to_string()).unwrap();
        fs::write(folder.join("rules.json"), &bag["alert_rules"]).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let mut command: Command = full().enter().unwrap();
        let child = command
            .arg(kube_box::assets::prometheus(&|line| eprintln!("{line}")).unwrap())
            .arg(format!("--config.file={}", folder.join("prometheus.json").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={PROMETHEUS}"))
            .arg("--web.enable-lifecycle")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, folder };
        until(SOON, "Prometheus answers", || {
            prometheus.get("query", &[("query", "1")])
        });
        prometheus
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let mut curl: Command = full().enter().unwrap();
        curl.args(["curl", "-sS", "--get", &format!("http://{PROMETHEUS}/api/v1/{path}")]);
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let output = curl.output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).map_err(|_| {
            format!(
                "{}; {}",
                String::from_utf8_lossy(&output.stderr),
                self.folder.join("log").display()
            )
        })?;
        if answer["status"] == "success" {
            Ok(answer["data"].clone())
        } else {
            Err(answer.to_string())
        }
    }

    /// The result of a query: labels and numbers, at least one, and none NaN.
    fn query(&self, query: &str) -> Result<Found, String> {
        let found: Found = self.get("query", &[("query", query)])?["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let labels = serde_json::from_value(one["metric"].clone()).unwrap();
                (labels, one["value"][1].as_str().unwrap().parse().unwrap())
            })
            .collect();
        if !found.is_empty() && found.iter().all(|(_, number)| number.is_finite()) {
            Ok(found)
        } else {
            Err(format!("{query} gives {found:?}"))
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Ok(mut curl) = full().enter() {
            let _ = curl
                .args(["curl", "-s", "-X", "POST", &format!("http://{PROMETHEUS}/-/quit")])
                .output();
        }
        let _ = self.child.wait();
    }
}

/// A query as Grafana sends it, with everything selected.
fn chosen(query: &str, model: &Model) -> String {
    query
        .replace("$juju_model_uuid", &model.world.model.uuid)
        .replace("$juju_model", &model.model())
        .replace("$juju_application", ".*")
        .replace("$seldon_model", ".*")
}

pub fn every_dashboard_panel_shows_data() {
    let mut model = Model::new("watched");
    model
        .world
        .add_application("prometheus", Charm::fake("prometheus", "1/stable"), 1)
        .unwrap();
    let id = model
        .world
        .integrate("iris:metrics-endpoint", "prometheus:metrics-endpoint")
        .unwrap();
    // A predictor with one pod, whose counts come through its Service, and one with two.
    let canary = format!("{{image: '{IRIS_2}', weight: 50, replicas: 2}}");
    model.configure(&[("image", IRIS_1), ("canary", &canary)]);
    model.until_says(SERVES, &["active: "]);
    model.update_status();
    let bag = model.world.relations[&id]
        .data("iris")
        .cloned()
        .unwrap()
        .into_iter()
        .collect();
    let prometheus = Prometheus::start(&model, &bag);
    let load = Load::start(&model.predictions("watched"), FLOWER, 2);

    let feedback = model.url("/model/watched/api/v1.0/feedback");
    let reward = json!({"request": serde_json::from_str::<Value>(FLOWER).unwrap(), "response": {}, "reward": 0.5});
    let send_requests = || {
        assert_eq!(send(&model.predictions("watched"), NO_FLOWER).status, 500);
        assert_eq!(send(&feedback, &reward.to_string()).status, 200);
    };
    all_targets_answer(&prometheus);
    until(SERVES, "both predictors have answered well and badly", || {
        send_requests();
        let rates = "sum by (seldon_predictor, code) (rate(seldon_api_executor_server_requests_seconds_count{service=\"predictions\"}[5m])) > 0";
        let found = prometheus.query(rates)?;
        if found.len() == 4 {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    let mut seen = BTreeMap::new();
    for (title, query) in stack::queries() {
        let found = until(SERVES, &title, || {
            send_requests();
            let found = prometheus.query(&chosen(&query, &model))?;
            // A panel is complete once both predictors are in it.
            let predictors: BTreeSet<&str> = found
                .iter()
                .filter_map(|(labels, _)| labels.get("seldon_predictor"))
                .map(String::as_str)
                .collect();
            let whole = predictors.is_empty() || predictors == BTreeSet::from(["canary", "default"]);
            whole.then(|| found.clone()).ok_or(format!("{title}: {found:?}"))
        });
        for (labels, number) in &found {
            eprintln!("{title}: {number:.4} {labels:?}");
            assert!(
                labels.get("seldon_model").is_none_or(|name| name == "iris"),
                "{labels:?}"
            );
        }
        seen.insert(title, found);
    }
    load.stop();
    values_are_correct(&seen);
    // The wrapper counts a feedback before its reward, and may be scraped in between: the difference shows while there are few.
    let (_, mean) = stack::queries()
        .into_iter()
        .find(|(title, _)| title.ends_with("Mean reward"))
        .unwrap();
    until(SERVES, "the mean reward is that of every feedback", || {
        send_requests();
        let found = prometheus.query(&chosen(&mean, &model))?;
        let close = found.iter().all(|(_, reward)| (reward - 0.5).abs() < 0.05);
        if close { Ok(()) } else { Err(format!("{found:?}")) }
    });
    variables_list_what_exists(&prometheus, &model);
    rules_are_read(&prometheus);
    a_pod_that_goes_is_missed(&mut model, &prometheus, id);
}

fn all_targets_answer(prometheus: &Prometheus) {
    until(SOON, "all targets answer", || {
        let up = prometheus.query("up")?;
        let mut kinds: Vec<&str> = up
            .iter()
            .map(|(labels, _)| labels["seldon_endpoint"].as_str())
            .collect();
        kinds.sort_unstable();
        // A Service each, the two pods of the canary, and the custom metrics of each of the three models.
        if kinds != ["custom", "custom", "custom", "pod", "pod", "service", "service"] {
            return Err(format!("{kinds:?}"));
        }
        for (labels, _) in &up {
            assert_eq!(
                (labels["juju_application"].as_str(), labels["juju_charm"].as_str()),
                ("iris", "seldon-model")
            );
        }
        let down: Vec<_> = up.iter().filter(|(_, number)| *number == 0.0).collect();
        if down.is_empty() {
            Ok(())
        } else {
            Err(format!("{down:?}"))
        }
    });
}

/// Values that are known in advance, or nearly.
fn values_are_correct(seen: &BTreeMap<String, Found>) {
    let values_of = |title: &str| {
        let found = seen.iter().find(|(name, _)| name.split_once(' ').unwrap().1 == title);
        found.unwrap_or_else(|| panic!("no panel {title}")).1.clone()
    };
    let by_predictor = |title: &str| -> BTreeMap<String, f64> {
        values_of(title)
            .into_iter()
            .map(|(labels, number)| (labels["seldon_predictor"].clone(), number))
            .collect()
    };
    assert!(values_of("Predictors without a ready pod")[0].1.abs() < f64::EPSILON);
    assert_eq!(
        by_predictor("Pods that answer"),
        [("canary".to_owned(), 2.0), ("default".to_owned(), 1.0)].into()
    );
    let shares = by_predictor("Share of the requests");
    assert!((shares.values().sum::<f64>() - 1.0).abs() < 1e-6, "{shares:?}");
    let failures = values_of("Failures")[0].1;
    assert!(failures > 0.0 && failures < 1.0, "{failures}");
    let codes: BTreeSet<String> = values_of("Answers by code")
        .into_iter()
        .map(|(labels, _)| labels["code"].clone())
        .collect();
    assert_eq!(codes, BTreeSet::from(["200".to_owned(), "500".to_owned()]));
    let (p50, p99) = (by_predictor("p50"), by_predictor("p99"));
    assert!(
        p50.iter()
            .all(|(predictor, time)| *time > 0.0 && *time <= p99[predictor]),
        "{p50:?} {p99:?}"
    );
}

fn variables_list_what_exists(prometheus: &Prometheus, model: &Model) {
    for variable in stack::dashboard()["templating"]["list"].as_array().unwrap() {
        let query = chosen(variable["query"]["query"].as_str().unwrap(), model);
        let inside = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (series, label) = inside.rsplit_once(", ").unwrap();
        let offered = prometheus
            .get(&format!("label/{label}/values"), &[("match[]", series)])
            .unwrap();
        let wanted = match label {
            "juju_model" => model.model(),
            "juju_model_uuid" => model.world.model.uuid.clone(),
            "juju_application" | "seldon_model" => "iris".to_owned(),
            other => panic!("{other}"),
        };
        assert_eq!(offered, json!([wanted]), "{query}");
    }
}

fn rules_are_read(prometheus: &Prometheus) {
    let rules = prometheus.get("rules", &[]).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 7);
    for rule in rules {
        assert_eq!(
            (&rule["health"], &rule["lastError"]),
            (&json!("ok"), &Value::Null),
            "{rule}"
        );
    }
}

/// After the next hook a deleted pod is no target any more, and its successor is one.
fn a_pod_that_goes_is_missed(model: &mut Model, prometheus: &Prometheus, id: u32) {
    let names = |model: &Model| -> BTreeSet<String> {
        let bag = model.world.relations[&id].data("iris").cloned().unwrap();
        let jobs: Vec<Value> = serde_json::from_str(&bag["scrape_jobs"]).unwrap();
        let configs = jobs.iter().flat_map(|job| job["static_configs"].as_array().unwrap());
        configs
            .filter_map(|config| config["labels"]["pod"].as_str().map(str::to_owned))
            .collect()
    };
    let before = names(model);
    let canary = model
        .names(&pod())
        .into_iter()
        .find(|name| name.contains("-canary-"))
        .unwrap();
    model.delete(&pod(), &canary);
    until(Duration::from_secs(30), "its silence is seen", || {
        let down = prometheus.query(&format!("up{{pod=\"{canary}\"}} == 0"))?;
        if down.is_empty() {
            Err("it answers".to_owned())
        } else {
            Ok(())
        }
    });
    until(SERVES, "the canary has two pods again", || {
        let all = model.objects(&deployment());
        let canary = all
            .iter()
            .find(|object| object["metadata"]["name"].as_str().unwrap().contains("-canary-"));
        match canary.unwrap()["status"]["availableReplicas"].as_u64() {
            Some(2) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    model.update_status();
    let after = names(model);
    assert!(
        !after.contains(&canary) && after.len() == before.len(),
        "{before:?} {after:?}"
    );
}
