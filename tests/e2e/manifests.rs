//! Models of more than one server: graphs, manifests with several predictors, payload logs, explainers.

use std::process::Stdio;

use kube::api::PostParams;
use kube_box::images::{IRIS_1, IRIS_2, STEPS};
use serde_json::{Value, json};

use crate::fixture::{FLOWER, Model, SERVES, SOON, full, until};
use crate::load::{Answer, send};
use crate::support::kinds::pod;

/// The flower in millimetres.
const IN_MILLIMETRES: &str = r#"{"data": {"ndarray": [[51, 35, 14, 2]]}}"#;
/// One with long petals.
const LONG_PETALS: &str = r#"{"data": {"ndarray": [[6.0, 3.0, 5.0, 1.8]]}}"#;
/// Seldon's annotation for responses that include their routing, which feedback follows.
const TELLS_ROUTING: &str = "seldon.io/engine-seldon-enable-routing-injection";

pub fn graphs_combine_split_route_and_learn() {
    let mut model = Model::new("graphs");
    let two = json!([{"model": "one", "image": IRIS_1}, {"model": "two", "image": IRIS_2}]);
    let entries = json!({
        "stages": {"graph": {
            "transformer": "scale", "image": STEPS, "env": {"STEP": "Scale"}, "children": [
                {"combiner": "average", "image": STEPS, "env": {"STEP": "Average"}, "children": two},
            ],
        }},
        "ab": {"graph": {
            "router": "choose", "implementation": "RANDOM_ABTEST", "parameters": {"ratioA": 0.7}, "children": two,
        }},
        "learning": {
            "graph": {"router": "way", "image": STEPS, "env": {"STEP": "Way"}, "children": two},
            "annotations": {TELLS_ROUTING: "true"},
        },
    });
    model.configure(&[("image", ""), ("prefix", ""), ("models", &entries.to_string())]);
    model.until_says(2 * SERVES, &["active: "]);

    three_stages_make_one_answer(&model);
    ab_test_splits_near_its_ratio(&model);
    feedback_follows_the_route_of_its_request(&model);
}

fn three_stages_make_one_answer(model: &Model) {
    // The first request makes five Python processes load lazily, on two cores that start other models.
    let answer = until(SOON, "the graph of three stages answers", || {
        let answer = send(&model.predictions("stages"), IN_MILLIMETRES);
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(format!("{answer:?}"))
        }
    });
    let meta = &answer.json()["meta"];
    let path = &meta["requestPath"];
    for (node, image) in [("scale", STEPS), ("average", STEPS), ("one", IRIS_1), ("two", IRIS_2)] {
        assert_eq!(path[node], image, "{answer:?}");
    }
    assert_eq!(meta["tags"]["scaled"], "mm to cm");
    assert_eq!(meta["tags"]["averaged"], true);
    // The response of each alone, and the mean of both.
    let probabilities_of = |name: &str| {
        until(SOON, &format!("{name} is asked"), || {
            let answer = served(&send(&model.predictions("ab"), FLOWER));
            if answer.json()["meta"]["requestPath"].get(name).is_some() {
                Ok(answer.probabilities())
            } else {
                Err(answer.body)
            }
        })
    };
    let (one, two) = (probabilities_of("one"), probabilities_of("two"));
    for (index, mean) in answer.probabilities().into_iter().enumerate() {
        assert!(
            (mean - f64::midpoint(one[index], two[index])).abs() < 1e-9,
            "{answer:?}"
        );
    }
}

fn ab_test_splits_near_its_ratio(model: &Model) {
    let first = (0..100)
        .filter(|_| served(&send(&model.predictions("ab"), FLOWER)).version() == "1")
        .count();
    // Outside of this range once in twenty thousand times.
    assert!((50..=88).contains(&first), "{first} of a hundred went to the first");
}

fn feedback_follows_the_route_of_its_request(model: &Model) {
    let predict = |flower: &str, way: i64, version: &str| {
        let answer = served(&send(&model.predictions("learning"), flower));
        assert_eq!(answer.json()["meta"]["routing"]["way"], way, "{answer:?}");
        assert_eq!(answer.version(), version);
        answer.json()
    };
    predict(FLOWER, 0, "1");
    let answer = predict(LONG_PETALS, 1, "2");

    // A client sends back the response and its reward.
    let request: Value = serde_json::from_str(LONG_PETALS).unwrap();
    let feedback = json!({"request": request, "response": answer, "reward": 0.75});
    let taken = served(&send(
        &model.url("/model/learning/api/v1.0/feedback"),
        &feedback.to_string(),
    ));
    assert_eq!(taken.json()["meta"]["tags"]["rewards"], json!([0.0, 0.75]), "{taken:?}");
    let sent = |node: &str| calls(model, "learning", node, "/send-feedback");
    assert_eq!((sent("way"), sent("one"), sent("two")), (1, 0, 1));
}

pub fn manifest_splits_logs_and_explains() {
    let mut model = Model::new("shapes");
    let sink = Sink::new(&model);
    let predictor = |name: &str, image: &str, traffic: u8| {
        json!({
            "name": name, "replicas": 1, "traffic": traffic,
            "componentSpecs": [{"spec": {"containers": [{"name": "classifier", "image": image}]}}],
            "graph": {"name": "classifier", "type": "MODEL"},
            "svcOrchSpec": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}},
        })
    };
    let mut most = predictor("most", IRIS_1, 75);
    most["explainer"] = json!({"type": "AnchorTabular"});
    let mut some = predictor("some", IRIS_2, 25);
    some["graph"]["logger"] = json!({"mode": "all", "url": sink.url()});
    let manifest = json!({
        "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "spec": {"predictors": [most, some]},
    });
    model.configure(&[("image", ""), ("manifest", &manifest.to_string())]);
    model.until_says(SERVES, &["active: "]);

    two_predictors_share_the_requests(&model);
    each_side_of_a_request_is_logged(&model, &sink);
    explainer_names_the_decisive_feature(&model);
}

/// Seldon Core up to 1.16, which the site runs, never updates a Deployment without explicit replicas.
pub fn manifest_without_replicas_changes_its_image() {
    let mut model = Model::new("uncounted");
    for (image, version) in [(IRIS_1, "1"), (IRIS_2, "2")] {
        let container = json!({"name": "classifier", "image": image});
        let predictor = json!({
            "name": "default", "graph": {"name": "classifier", "type": "MODEL"},
            "componentSpecs": [{"spec": {"containers": [container]}}],
            "svcOrchSpec": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}},
        });
        let manifest = json!({
            "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "spec": {"predictors": [predictor]},
        });
        model.configure(&[("image", ""), ("manifest", &manifest.to_string())]);
        model.until_says(SERVES, &["active: "]);
        assert_eq!(served(&model.predict()).version(), version);
    }
}

fn two_predictors_share_the_requests(model: &Model) {
    let some = (0..100).filter(|_| served(&model.predict()).version() == "2").count();
    // Outside of this range once in ten thousand times.
    assert!((9..=43).contains(&some), "{some} of a hundred went to the one with 25%");
}

fn each_side_of_a_request_is_logged(model: &Model, sink: &Sink) {
    // In any order: the headers that identify a request, and both sides of it.
    let answer = until(SOON, "the second predictor answers", || {
        let answer = served(&model.predict());
        if answer.version() == "2" {
            Ok(answer)
        } else {
            Err(answer.body)
        }
    });
    let of_kind = |events: &[Value], kind: &str| -> Option<Value> {
        let is = |event: &&Value| event["headers"]["ce-type"] == format!("io.seldon.serving.inference.{kind}");
        events.iter().rfind(is).cloned()
    };
    let (request, response) = until(SOON, "both sides are logged", || {
        let events = sink.events();
        of_kind(&events, "request")
            .zip(of_kind(&events, "response"))
            .filter(|(_, response)| parsed(&response["body"]) == answer.json())
            .ok_or_else(|| format!("{} events, the last: {:?}", events.len(), events.last()))
    });
    assert_eq!(parsed(&request["body"]), serde_json::from_str::<Value>(FLOWER).unwrap());
    for event in [&request, &response] {
        let headers = &event["headers"];
        assert_eq!(headers["ce-inferenceservicename"], "iris", "{event}");
        assert_eq!(headers["ce-namespace"], "shapes");
        assert_eq!(headers["ce-endpoint"], "some");
        assert_eq!(headers["ce-modelid"], "classifier");
    }
    let events = sink.events();
    assert!(
        events.iter().all(|event| event["headers"]["ce-endpoint"] == "some"),
        "{events:?}"
    );
}

fn explainer_names_the_decisive_feature(model: &Model) {
    let answer = served(&send(&model.url("/model/shapes/explainer/api/v1.0/explain"), FLOWER)).json();
    // Any flower with petals as short as these is of the same kind.
    let anchor = answer["data"]["anchor"].to_string();
    assert!(anchor.contains("petal"), "{answer}");
    assert!(answer["data"]["precision"].as_f64().unwrap() > 0.9, "{answer}");
    assert_eq!(answer["data"]["raw"]["prediction"], json!([0]), "{answer}");
}

/// Asserts a successful response.
#[track_caller]
fn served(answer: &Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.clone()
}

fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// The JSON at a URL inside the node.
#[track_caller]
fn inside(url: &str) -> Value {
    let mut command = full().enter().unwrap();
    command.args(["curl", "-s", "--max-time", "30", url]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{url} answered {}", String::from_utf8_lossy(&output.stdout)))
}

/// How often the executor of a model called a node of its graph.
fn calls(model: &Model, of: &str, node: &str, path: &str) -> u64 {
    let (node, path) = (format!("model_name=\"{node}\""), format!("service=\"{path}\""));
    model
        .executor_counts(|pod| pod["metadata"]["labels"]["seldon-model/model"] == of)
        .lines()
        .filter(|line| line.starts_with("seldon_api_executor_client_requests_seconds_count"))
        .filter(|line| line.contains(&node) && line.contains(&path))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// A pod that keeps the payload logs that are sent to it.
struct Sink {
    address: String,
}

impl Sink {
    fn new(model: &Model) -> Self {
        let sink = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sink"},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                "name": "sink", "image": STEPS, "command": ["python3", "/steps/sink.py"],
                "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
            }]},
        });
        let pods = model.api(&pod());
        model
            .wait(pods.create(&PostParams::default(), &serde_json::from_value(sink).unwrap()))
            .unwrap();
        let address = until(SOON, "the sink is ready", || {
            let status = model.wait(pods.get("sink")).unwrap().data["status"].clone();
            let ready = status["containerStatuses"][0]["ready"] == true;
            status["podIP"]
                .as_str()
                .filter(|_| ready)
                .map(str::to_owned)
                .ok_or(status.to_string())
        });
        Self { address }
    }

    fn url(&self) -> String {
        format!("http://{}:8080/", self.address)
    }

    /// All payloads, oldest first.
    fn events(&self) -> Vec<Value> {
        serde_json::from_value(inside(&self.url())).unwrap()
    }
}
