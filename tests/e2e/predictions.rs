//! Predictions of a serving model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_box::images::{IRIS_2, MLSERVER_IRIS};
use serde_json::json;

use crate::fixture::{FLOWER, Model, SERVES};
use crate::load::{Load, assert_none_failed, send};
use crate::support::{assert_contains, status};

pub fn request_of_the_blog_is_answered() {
    let mut model = Model::new("blog");
    // As in the blog: the application's name, and no option for the path.
    model.config(&[("prefix", "")]);
    model.says();
    let says = model.until_says(SERVES, &["active: "]);
    assert_contains(&says, &["site.local/iris:1", "/model/iris/"]);

    let answer = send(&model.predictions("iris"), FLOWER);
    assert_eq!(answer.status, 200, "{answer:?}");
    let probabilities = answer.probabilities();
    assert_eq!(probabilities.len(), 3, "{answer:?}");
    let sum: f64 = probabilities.iter().sum();
    assert!((sum - 1.0).abs() < 1e-9, "{probabilities:?}");
    eprintln!("{}", answer.body);

    // The model itself answers 404 at its root; the gateway's own 404 is empty.
    let bare = send(&model.url("/model/iris"), FLOWER);
    assert!(bare.status == 404 && !bare.body.is_empty(), "{bare:?}");
    for path in ["/model/irisx", "/model/irisx/api/v0.1/predictions"] {
        let other = send(&model.url(path), FLOWER);
        assert!(other.status == 404 && other.body.is_empty(), "{path}: {other:?}");
    }
}

pub fn active_means_a_request_succeeds() {
    let mut model = Model::new("prompt");
    let url = model.predictions("prompt");
    let done = Arc::new(AtomicBool::new(false));
    let client = thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut first = None;
            while !done.load(Ordering::Relaxed) {
                let answer = send(&url, FLOWER);
                if answer.status == 200 {
                    first.get_or_insert(answer.at);
                }
                thread::sleep(Duration::from_millis(50));
            }
            first
        }
    });
    let mut statuses = vec![model.says()];
    let start = Instant::now();
    let active = loop {
        let run = model.hook("update-status");
        let says = status(&run);
        if says.starts_with("active: ") {
            // A reader of the status may send a request at once.
            let answer = model.predict();
            assert_eq!(answer.status, 200, "{answer:?}");
            break answer.at;
        }
        if statuses.last() != Some(&says) {
            statuses.push(says);
        }
        assert!(start.elapsed() < SERVES, "{statuses:#?}");
    };
    done.store(true, Ordering::Relaxed);
    let first = client.join().unwrap().expect("a request succeeded");
    assert!(first <= active, "active before any request succeeded");
    assert!(
        statuses.iter().all(|says| says.starts_with("waiting: ")),
        "{statuses:#?}"
    );
}

pub fn new_version_loses_no_request() {
    let mut model = Model::serving("release");
    let load = Load::start(&model.predictions("release"), FLOWER, 3);
    let mut statuses = vec![model.configure(&[("image", IRIS_2)])];
    let start = Instant::now();
    while !statuses.last().unwrap().starts_with("active: ") {
        assert!(start.elapsed() < SERVES, "{statuses:#?}");
        statuses.push(model.update_status());
    }
    let active = Instant::now();
    // Requests still on their way when it becomes active must succeed too.
    thread::sleep(Duration::from_secs(15));
    let answers = load.stop();
    assert_none_failed(&answers, 50.0);
    assert_contains(statuses.last().unwrap(), &["site.local/iris:2"]);
    assert!(
        statuses.iter().rev().skip(1).all(|says| says.starts_with("waiting: ")),
        "{statuses:#?}"
    );
    assert_eq!(answers.first().unwrap().version(), "1");
    assert_eq!(answers.last().unwrap().version(), "2");
    let last_of_1 = answers.iter().rfind(|answer| answer.version() == "1").unwrap();
    eprintln!(
        "{} requests, none failed; the last of version 1 came {:.1} s after version 2 was called active",
        answers.len(),
        last_of_1.at.saturating_duration_since(active).as_secs_f64()
    );
    assert!(
        last_of_1.at < active + Duration::from_secs(1),
        "version 1 answered long after version 2 was called active"
    );
}

pub fn executor_counts_the_requests() {
    let model = Model::serving("counted");
    let before = model.requests_counted("default");
    for _ in 0..7 {
        assert_eq!(model.predict().status, 200);
    }
    assert_eq!(model.requests_counted("default"), before + 7);
}

pub fn mlserver_answers_protocol_v2() {
    let mut model = Model::new("v2");
    model.configure(&[("image", MLSERVER_IRIS), ("protocol", "v2")]);
    model.until_says(SERVES, &["active: "]);
    let request = json!({"inputs": [
        {"name": "flower", "shape": [1, 4], "datatype": "FP64", "data": [[5.1, 3.5, 1.4, 0.2]]},
    ]});
    let answer = send(&model.url("/model/v2/v2/models/iris/infer"), &request.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["outputs"][0]["data"][0], 0, "{answer:?}");
}
