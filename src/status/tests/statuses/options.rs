//! What is told of options and secrets that are wrong.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Entry, Scene, examples};
use crate::config;
use crate::config::options::{self, Scope};
use crate::config::secret::SecretContents;
use crate::config::tests::invalid::{INVALID, with_value};
use crate::config::value::SecretUri;
use crate::status::ApplicationProblem;
use juju_hooks::{SecretContent, SecretError, Version};

pub fn errors() -> Vec<Entry> {
    for option in options::names(Scope::Application) {
        let known = INVALID.iter().any(|(invalid, ..)| *invalid == option);
        assert!(known, "src/config/tests/invalid.rs has no value for {option}");
    }
    let (mut entries, mut valid) = (Vec::new(), Vec::new());
    for (option, value, others) in INVALID {
        let options = with_value(option, value, others);
        let mut scene = Scene::iris();
        scene.config = config::parse("iris", &options);
        let about = format!("option {option}");
        let about = if option == "models" {
            "models: ".to_owned()
        } else {
            about
        };
        let errors = &scene.config.errors;
        match errors.iter().find(|error| error.what().starts_with(&about)) {
            Some(error) => entries.push(Entry::of_application(ApplicationProblem::Config(error.clone()), "")),
            None => valid.push((option, value, errors.clone())),
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
    Entry::of_application(ApplicationProblem::Config(scene.config.errors.remove(0)), behind)
}
