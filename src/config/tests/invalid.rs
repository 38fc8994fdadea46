//! Invalid values, one for each rule that the documentation shows, and the room that `juju status` has for their messages.

use super::*;
use crate::config::secret::SecretContents;
use juju_hooks::status::SHOWN_BYTES;
use juju_hooks::{SecretContent, SecretError, Version};

/// An option, a value that violates a rule, and the option that has to be set with it.
pub(crate) const INVALID: [(&str, &str, &str); 37] = [
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
    (
        "access",
        "{jwt: {issuer: 'https://sso.example', audiences: [iris]}}",
        "",
    ),
    ("gateway", "site-gateway", ""),
    ("labels", "{seldon-model/model: x}", ""),
    ("annotations", "{note: 'a=b'}", ""),
    ("canary", "{weight: 10%}", ""),
    ("shadow", "{match: {x-next: 'yes'}}", ""),
    ("watch", "yes", ""),
    ("models", "{Iris: {}}", ""),
    ("models", "{iris: {imgae: 'iris:1'}}", ""),
    ("models", "{a: {prefix: /m/}, b: {prefix: /m/b/}}", ""),
];

/// The options of an application with that value.
pub(crate) fn with_value(option: &str, value: &str, other: &str) -> Map<String, Json> {
    let mut options = Map::new();
    if !["manifest", "graph", "implementation", "model-uri"].contains(&option) {
        options.insert("image".into(), json!("iris:1"));
    }
    if let Some((option, value)) = other.split_once('=') {
        options.insert(option.into(), json!(value));
    }
    let is_number = ["replicas", "retries"].contains(&option);
    let number = is_number.then(|| value.parse::<i64>().unwrap());
    options.insert(option.into(), number.map_or_else(|| json!(value), Json::from));
    options
}

/// What is the case and the command must fit. Where the command is too long, the status shows `diagnose` in its place.
#[track_caller]
fn assert_fits(application: &str, error: &ConfigError) {
    let run = error.run().unwrap();
    let diagnose = format!("juju run {application}/leader diagnose");
    let shown = error.what().len() + ". Run: ".len() + run.len().min(diagnose.len());
    assert!(shown <= SHOWN_BYTES, "{} bytes too long: {error}", shown - SHOWN_BYTES);
}

const LONG_NAME: &str = "iris-of-the-assembly";

#[test]
fn rule_and_command_fit_into_juju_status() {
    assert_eq!(LONG_NAME.len(), 20);
    for (option, value, other) in INVALID {
        let options = with_value(option, value, other);
        for application in ["iris", LONG_NAME] {
            let errors = parse(application, &options).errors;
            assert!(!errors.is_empty(), "{option}={value}");
            for error in &errors {
                assert_fits(application, error);
            }
        }
        if option == "models" {
            continue;
        }
        let models = json!({LONG_NAME: options}).to_string();
        let errors = parsed(json!({"models": models})).errors;
        assert!(!errors.is_empty(), "{option}={value}");
        for error in &errors {
            assert_fits("iris", error);
        }
    }
}

#[test]
fn secret_error_and_command_fit_into_juju_status() {
    let uri = "secret:9m4e2mr0ui3e8a215n4g";
    let content = |key: &str| -> SecretContent { [(key.to_owned(), "a b".to_owned())].into_iter().collect() };
    let old = Version::read("2.9.42").unwrap();
    for option in ["image-pull-secret", "storage-secret"] {
        let options = json!({"implementation": "SKLEARN_SERVER", "model-uri": "s3://m/m", option: uri});
        for answer in [
            Err(SecretError::NotGranted),
            Err(SecretError::NotFound),
            Err(SecretError::Unsupported(old.clone())),
            Ok(content("registry")),
            Ok(content("dockerconfigjson")),
            Ok(content("access-key-id")),
            Ok(content("user")),
        ] {
            for (application, options) in [
                ("iris", options.clone()),
                (LONG_NAME, options.clone()),
                ("iris", json!({"models": json!({LONG_NAME: options}).to_string()})),
            ] {
                let mut config = parse(application, options.as_object().unwrap());
                let uris = config.juju_secrets().into_iter();
                let answers: SecretContents = uris.map(|uri| (uri, answer.clone())).collect();
                config.resolve_secrets(application, "edge", &answers);
                assert_eq!(config.errors.len(), 1);
                assert_fits(application, &config.errors[0]);
            }
        }
    }
}
