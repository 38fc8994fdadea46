//! Each action, on a model that serves. They share it, as no action changes anything.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::model::{FLOWER, Model};
use crate::setup::setup;

static SERVING: Mutex<Option<Model>> = Mutex::new(None);

/// Runs a test on the shared model, which the first one deploys.
#[track_caller]
fn on_a_serving_model(test: impl FnOnce(&Model)) {
    let mut serving = SERVING.lock().unwrap_or_else(PoisonError::into_inner);
    test(serving.get_or_insert_with(|| Model::serving("actions")));
}

/// Destroys it; nothing of a static is dropped.
pub fn finish() {
    drop(SERVING.lock().unwrap_or_else(PoisonError::into_inner).take());
}

pub fn list_models_shows_the_state() {
    on_a_serving_model(|model| {
        let results = model.completed("list-models", &[]);
        assert_eq!(results["iris"]["state"], "active", "{results}");
        assert_eq!(results["iris"]["url"], model.prefix(), "{results}");
        assert_eq!(results["iris"]["serves"], setup().images[0], "{results}");
    });
}

pub fn report_is_json_for_programs() {
    on_a_serving_model(|model| {
        let results = model.completed("report", &[]);
        let report: Value = serde_json::from_str(results["report"].as_str().unwrap()).unwrap();
        assert_eq!(report["format"], 1, "{report}");
        assert_eq!(report["status"]["state"], "active", "{report}");
        assert_eq!(report["serving"], 1, "{report}");
    });
}

pub fn endpoints_shows_the_addresses() {
    on_a_serving_model(|model| {
        let results = model.completed("endpoints", &[]);
        let iris = &results["iris"];
        let (namespace, name) = &setup().gateway;
        assert_eq!(iris["gateway"], format!("{namespace}/{name}"), "{results}");
        assert_eq!(iris["prefix"], model.prefix(), "{results}");
        let cluster = iris["cluster"].as_str().unwrap();
        assert!(cluster.ends_with(&model.prefix()), "{results}");
        let default = iris["services"]["default"].as_str().unwrap();
        assert!(default.contains(&model.name), "{results}");
    });
}

pub fn predict_returns_the_models_answer() {
    on_a_serving_model(|model| {
        // What is not text reaches the charm as text.
        for (more, through_gateway) in [("timeout=30", true), ("direct=true", false)] {
            let data = format!("data={FLOWER}");
            let results = model.completed("predict", &[&data, more]);
            assert_eq!(results["status-code"], "200", "{results}");
            assert!(results["result"].as_str().unwrap().contains("ndarray"), "{results}");
            let url = results["url"].as_str().unwrap();
            assert_eq!(url.contains(&model.prefix()), through_gateway, "{results}");
        }
    });
}

pub fn feedback_is_accepted() {
    on_a_serving_model(|model| {
        let (request, reward) = (format!("request={FLOWER}"), "reward=1.0");
        let results = model.completed("feedback", &[&request, reward]);
        assert_eq!(results["status-code"], "200", "{results}");
        let task = model.act("feedback", &[&request]);
        assert_eq!(task.status, "failed", "{task:?}");
        assert!(task.message.contains("reward or truth"), "{task:?}");
    });
}

pub fn plan_shows_what_an_option_would_change() {
    on_a_serving_model(|model| {
        let nothing = model.completed("plan", &[]);
        let [first, second] = &setup().images;
        let results = model.completed("plan", &[&format!("config={{image: \"{second}\"}}")]);
        assert_ne!(nothing["summary"], results["summary"]);
        let changes = results["changes"].as_str().unwrap();
        assert!(changes.contains(&format!("image {first} -> {second}")), "{results}");
    });
}

pub fn diagnose_finds_nothing_broken() {
    on_a_serving_model(|model| {
        let results = model.completed("diagnose", &[]);
        assert_eq!(results["iris"]["broken"], "nothing", "{results}");
        assert!(
            results["report"].as_str().unwrap().contains("Model iris: ok"),
            "{results}"
        );
    });
}

pub fn promote_needs_a_canary() {
    on_a_serving_model(|model| {
        let task = model.act("promote", &[]);
        assert_eq!(task.status, "failed", "{task:?}");
        assert!(
            task.message.contains("iris: no canary. Run: juju config iris canary="),
            "{task:?}"
        );
    });
}

pub fn rollback_needs_an_earlier_version() {
    on_a_serving_model(|model| {
        let task = model.act("rollback", &[]);
        assert_eq!(task.status, "failed", "{task:?}");
        assert!(
            task.message.contains("iris: no earlier version is recorded"),
            "{task:?}"
        );
    });
}
