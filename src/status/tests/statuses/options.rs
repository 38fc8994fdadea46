//! What is told of options and secrets that are wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Entry, Scene, State, examples};
use crate::config;
use crate::config::secret::SecretContents;
use crate::config::value::SecretUri;
use juju_hooks::{SecretContent, SecretError, Version};

/// A value of each option that breaks a rule, and what stands beside it.
const WRONG: [(&str, &str, &str); 35] = [
    ("image", "Iris 0.3", ""),
    ("implementation", "sklearn server", ""),
    ("model-uri", "bucket/iris", "implementation=SKLEARN_SERVER"),
    ("graph", "{model: iris}", ""),
    ("manifest", "{kind: Deployment}", ""),
    ("protocol", "grpc", ""),
    ("parameters", "[1, 2]", ""),
    ("env", "{VERSION: 3.10}", ""),
    ("resources", "{limits: {memory: 1GB}}", ""),
    ("engine-resources", "{memory: 1Gi}", ""),
    ("replicas", "-1", ""),
    ("autoscale", "{min: 3, max: 2, cpu: 80}", ""),
    ("disruption-budget", "{max-unavailable: all}", ""),
    ("image-pull-policy", "Sometimes", ""),
    ("image-pull-secret", "registry", ""),
    ("storage-secret", "hunter2", ""),
    ("pod", "{nodes: [a]}", ""),
    ("logger", "broker.logging", ""),
    ("tracing", "jaeger", ""),
    ("explainer", "{type: Magic}", ""),
    ("prefix", "model/iris", ""),
    ("hosts", "http://models.example", ""),
    ("grpc-host", "*.example", ""),
    ("timeout", "30", ""),
    ("retries", "11", ""),
    ("headers", "{set: {x-site: '12'}}", ""),
    ("headers", "{request: {set: {x-load: 90%}}}", ""),
    ("gateway", "site-gateway", ""),
    ("labels", "{seldon-model/model: x}", ""),
    ("annotations", "{note: 'a=b'}", ""),
    ("canary", "{weight: 10%}", ""),
    ("shadow", "{match: {x-next: 'yes'}}", ""),
    ("models", "{Iris: {}}", ""),
    ("models", "{iris: {imgae: 'iris:1'}}", ""),
    ("models", "{a: {prefix: /m/}, b: {prefix: /m/b/}}", ""),
];

/// The options that Juju itself keeps from being wrong.
const NEVER_WRONG: [&str; 1] = ["watch"];

pub fn errors() -> Vec<Entry> {
    let declared: serde_json::Value = serde_yaml::from_str(include_str!("../../../../config.yaml")).unwrap();
    let declared: Vec<&String> = declared["options"].as_object().unwrap().keys().collect();
    for option in declared {
        let known = WRONG.iter().any(|(wrong, ..)| wrong == option) || NEVER_WRONG.contains(&option.as_str());
        assert!(
            known,
            "src/judge/tests/statuses/options.rs has no wrong value for {option}"
        );
    }
    let (mut entries, mut valid) = (Vec::new(), Vec::new());
    for (option, value, beside) in WRONG {
        let mut options = Map::new();
        if !["manifest", "graph", "implementation", "model-uri"].contains(&option) {
            options.insert("image".into(), json!("iris:1"));
        }
        if let Some((option, value)) = beside.split_once('=') {
            options.insert(option.into(), json!(value));
        }
        let number = ["replicas", "retries"]
            .contains(&option)
            .then(|| value.parse::<i64>().unwrap());
        options.insert(option.into(), number.map_or_else(|| json!(value), Value::from));
        let mut scene = Scene::iris();
        scene.config = config::parse("iris", &options);
        let about = format!("option {option}");
        let about = if option == "models" {
            "models: ".to_owned()
        } else {
            about
        };
        let errors: Vec<String> = scene.config.errors.iter().map(ToString::to_string).collect();
        match errors.iter().find(|error| error.starts_with(&about)) {
            Some(error) => entries.push(Entry::of_state(State::Blocked, error.clone(), "")),
            None => valid.push((option, value, errors)),
        }
    }
    assert!(valid.is_empty(), "these break no rule of their own: {valid:#?}");
    entries
}

const URI: &str = "secret:9m4e2mr0ui3e8a215n4g";

pub fn secrets() -> Vec<Entry> {
    let mut entries: Vec<Entry> = examples!(SecretError {
        SecretError::NotGranted => SecretError::NotGranted, "";
        SecretError::NotFound => SecretError::NotFound, "";
        SecretError::Unsupported(_) => SecretError::Unsupported(Version::read("2.9.42").unwrap()),
            "Or a newer Juju. The Secret is of your making then, and stays when the application goes.";
    })
    .into_iter()
    .map(|(unreadable, behind)| told("image-pull-secret", Err(unreadable), behind))
    .collect();
    let content = |pairs: &[(&str, &str)]| -> SecretContent {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    for (word, pairs) in [
        ("image-pull-secret", vec![("username", "edge")]),
        ("image-pull-secret", vec![("registry", "a b")]),
        ("image-pull-secret", vec![("dockerconfigjson", "{}")]),
        ("storage-secret", vec![("access-key-id", "edge")]),
        ("storage-secret", vec![("user", "edge")]),
    ] {
        entries.push(told(word, Ok(content(&pairs)), ""));
    }
    entries
}

fn told(word: &str, answer: Result<SecretContent, SecretError>, behind: &str) -> Entry {
    let options = json!({"implementation": "SKLEARN_SERVER", "model-uri": "s3://models/iris", word: URI});
    let mut scene = Scene::iris();
    scene.config = config::parse("iris", options.as_object().unwrap());
    let uri: SecretUri = scene.config.juju_secrets().into_iter().next().unwrap();
    let answers: SecretContents = BTreeMap::from([(uri, answer)]);
    scene.config.resolve_secrets("iris", "edge", &answers);
    Entry::of_state(State::Blocked, scene.config.errors[0].to_string(), behind)
}
