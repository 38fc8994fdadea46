//! Findings of fuzzing.

use super::*;

fn errors(models: &str) -> Vec<String> {
    let config = parsed(json!({"models": models}));
    config.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn suggested_command_is_accepted() {
    let wrong = [
        "[",
        "{",
        "~",
        "-1",
        "x y",
        "{a: }",
        "{a: []}",
        "{a: 1.0}",
        "{'a b': 1}",
        "{limits: {memory: x}}",
        ",",
    ];
    let mut accepted = 0;
    for option in options::names(options::Scope::Model) {
        for value in wrong {
            let config = parsed(json!({"image": "iris:1", option: value}));
            for error in &config.errors {
                let cause = error.cause().unwrap_or_default();
                let values = [error.run().unwrap(), &cause]
                    .into_iter()
                    .filter_map(|text| text.split_once(&format!(" {option}=")))
                    .map(|(_, value)| value);
                // A file and a placeholder are the operator's own.
                let Some(typed) = values.into_iter().find(|value| !value.starts_with(['@', '…'])) else {
                    continue;
                };
                let typed = &shlex::split(typed).unwrap().join(" ");
                let typed = typed
                    .parse::<i64>()
                    .map_or_else(|_| json!(typed), |number| json!(number));
                let mut options = json!({
                    "image": "iris:1",
                    "model-uri": "gs://bucket/model",
                    "resources": "{requests: {cpu: 100m}}",
                });
                options[option] = typed;
                assert_eq!(parsed(options).errors, [], "{error}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn unknown_key_is_reported_in_one_printable_line() {
    for entry in [
        "{a: {image: x, \"imst\\tusage\": 1}}",
        "a: {image: x, env\t\ty: 1}",
        "a: {image: x, env: {\"OMi\\t@\": }}",
        "a: {image: x, parameters: {\"s\\t?\": []}}",
    ] {
        let errors = errors(entry);
        assert!(!errors.is_empty());
        for error in errors {
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }
}
