//! What a site and its models cost: `just measure` prints the tables of docs/reference/test-site.md.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kube_box::images::{IRIS_1, IRIS_2};
use serde_json::Value;

use crate::fixture::{FLOWER, Model, SERVES, full, until};
use crate::load::send;
use crate::support::kinds::{deployment, pod};

/// The sample size of a latency.
const REQUESTS: usize = 1000;
/// Bytes in a mebibyte.
const MEBI: u64 = 1024 * 1024;

pub fn measure() {
    change();
    latency();
    memory();
}

/// From `juju config` to the first answer of the new version.
fn change() {
    println!("\n| from `config image=` to | seconds |\n|---|---|");
    let mut model = Model::serving("change");
    let start = Instant::now();
    let row = |what: &str| println!("| {what} | {:.2} |", start.elapsed().as_secs_f64());
    model.configure(&[("image", IRIS_2)]);
    row("the end of our hook");
    let pause = Duration::from_millis(20);
    let has_image = |object: &Value| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().cloned();
        containers
            .unwrap_or_default()
            .iter()
            .any(|container| container["image"] == IRIS_2)
    };
    while !model.objects(&deployment()).iter().any(has_image) {
        thread::sleep(pause);
    }
    row("a Deployment of the new version (Seldon's controller)");
    let is_new = |pod: &Value| {
        let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        containers.iter().any(|container| container["image"] == IRIS_2)
    };
    let condition = |pod: &Value, kind: &str| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|of| of["type"] == kind && of["status"] == "True")
    };
    let running = |pod: &Value| {
        let all = pod["status"]["containerStatuses"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        !all.is_empty() && all.iter().all(|container| container["state"].get("running").is_some())
    };
    while !model.objects(&pod()).iter().any(|pod| is_new(pod) && running(pod)) {
        thread::sleep(pause);
    }
    row("its containers running (kubelet)");
    while !model
        .objects(&pod())
        .iter()
        .any(|pod| is_new(pod) && condition(pod, "Ready"))
    {
        thread::sleep(pause);
    }
    row("its pod ready (model and Seldon's probes, whose delay is 20 s)");
    while model.predict().version() != "2" {
        thread::sleep(pause);
    }
    row("the first answer of the new version (route)");
    model.until_says(SERVES, &["active: ", IRIS_2]);
    row("active, asked once every quarter of a second");
}

/// One after the other, on one connection, from inside the node for both.
fn latency() {
    let model = Model::serving("latency");
    let address = |kind: &str| {
        let pods = model.objects(&pod());
        let found = pods
            .iter()
            .find(|pod| pod["metadata"]["labels"]["seldon-deployment-id"] == kind);
        found
            .and_then(|pod| pod["status"]["podIP"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    println!("\n| {REQUESTS} requests, one at a time | p50 | p99 |\n|---|---|---|");
    for (what, url) in [
        (
            "straight to the pod",
            format!("http://{}:8000/api/v0.1/predictions", address("iris")),
        ),
        (
            "through the gateway",
            "http://192.0.2.1:31380/model/latency/api/v0.1/predictions".to_owned(),
        ),
    ] {
        let mut curl: Command = full().enter().unwrap();
        curl.args(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}\n"]);
        curl.args(["-H", "Content-Type: application/json", "-d", FLOWER]);
        // One curl for all of them keeps its connection.
        curl.arg(format!("{url}?[1-{REQUESTS}]"));
        let output = curl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut times: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(times.len(), REQUESTS, "{text}");
        times.sort_by(f64::total_cmp);
        let percentile = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)] * 1000.0;
        println!("| {what} | {:.1} ms | {:.1} ms |", percentile(50), percentile(99));
    }
}

/// The memory of every process, by number of models.
fn memory() {
    let mut model = Model::new("memory");
    // The charm's default CPU request would be too much for thirty executors on two cores.
    let executor = "{requests: {cpu: 20m, memory: 64Mi}, limits: {memory: 256Mi}}";
    model.config(&[("image", ""), ("prefix", ""), ("engine-resources", executor)]);
    for count in [0_u32, 1, 10, 30] {
        let entries: Vec<String> = (0..count)
            .map(|number| format!("m{number}: {{image: '{IRIS_1}'}}"))
            .collect();
        if count > 0 {
            model.configure(&[("models", &format!("{{{}}}", entries.join(", ")))]);
            model.until_says(10 * SERVES, &["active: "]);
            // Each has answered once: what a model loads at its first request is counted.
            for number in 0..count {
                assert_eq!(send(&model.predictions(&format!("m{number}")), FLOWER).status, 200);
            }
        }
        // Pods of the previous measurement may still be terminating.
        let mut parts = until(SERVES, "no other models are left", || {
            let parts = full().memory().unwrap();
            let has_models = parts.iter().any(|(name, _)| name == "seldon-core-microservice");
            if has_models && count == 0 {
                Err("there are".to_owned())
            } else {
                Ok(parts)
            }
        });
        parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let total: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
        println!("\n| with {count} models | MiB |\n|---|---|\n| all | {} |", total / MEBI);
        for (name, bytes) in parts.iter().filter(|(_, bytes)| *bytes >= MEBI) {
            println!("| {name} | {} |", bytes / MEBI);
        }
    }
}
