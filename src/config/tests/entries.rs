//! Many models in one application: names, entries over options, and prefixes that meet.

use serde_json::json;

use super::{options, parse, parsed};
use crate::config::value::Protocol;
use crate::config::{LONGEST_OPTION, MOST_MODELS};

#[test]
fn name_is_valid_with_seldons_suffixes() {
    let image = json!({"image": "iris:1"});
    for name in ["1iris", "a".repeat(49).as_str(), "iris-", "Iris", "my.iris"] {
        let config = parse(name, &options(image.clone()));
        let text = config.errors.first().unwrap().to_string();
        assert!(text.contains("the application's name is "), "{text}");
        let config = parsed(json!({"models": format!("{{{name}: {{image: 'iris:1'}}}}")}));
        let text = config.errors.first().unwrap().to_string();
        assert!(text.contains("the model's name is "), "{text}");
    }
    assert_eq!(parse(&"a".repeat(48), &options(image)).errors, []);
}

#[test]
fn entries_default_to_the_options() {
    let config = parsed(json!({
        "image": "iris:1", "replicas": 2, "timeout": "30s",
        "models": "{a: {}, b: {image: 'iris:2', replicas: 0, timeout: ''}, c: null}",
    }));
    assert_eq!(config.errors, []);
    let seen: Vec<_> = config
        .models
        .iter()
        .map(|m| {
            (
                m.name.as_str(),
                m.server.source.to_string(),
                m.server.replicas,
                m.timeout.is_some(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("a", "iris:1".to_owned(), 2, true),
            ("b", "iris:2".to_owned(), 0, false),
            ("c", "iris:1".to_owned(), 2, true),
        ]
    );
}

#[test]
fn invalid_entry_is_frozen_and_blocks_no_other() {
    let config = parsed(json!({
        "image": "iris:1",
        "models": "{good: {}, bad: {replicas: -1, imge: x}, list: {env: [a]}}",
    }));
    let names: Vec<_> = config.models.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    assert_eq!(config.frozen.iter().collect::<Vec<_>>(), ["bad", "list"]);
    let texts: Vec<String> = config.errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:#?}");
    assert_eq!(
        texts[..2],
        [
            "models: bad: unknown key `imge`, did you mean `image`? Run: juju config iris models=@models.yaml",
            "models: bad: replicas: must be a whole number from 0 to 100. \
             Run: juju config iris models=@models.yaml (value: -1; set replicas: 1)",
        ]
    );
    assert!(texts[2].contains("list: env"), "{texts:#?}");
}

#[test]
fn invalid_default_is_reported_once() {
    let config = parsed(json!({"image": "iris:1", "timeout": "soon", "models": "{a: {}, b: {}, c: {timeout: 1s}}"}));
    assert_eq!(config.errors.len(), 1, "{:#?}", config.errors);
    assert_eq!(config.models.len(), 1);
}

#[test]
fn models_that_are_no_map_freeze_everything() {
    for (models, rule) in [
        ("[a, b]", "must be a YAML map"),
        ("a: {}\na: {}", "duplicate"),
        ("{a", "is not valid YAML"),
    ] {
        let config = parsed(json!({"image": "iris:1", "models": models}));
        assert_eq!(config.models, []);
        let text = config.errors.first().unwrap().to_string();
        assert!(text.contains(rule), "{models}: {text}");
    }
}

#[test]
fn malformed_entry_blocks_no_other() {
    for (models, rule) in [
        ("{good: {}, bad: 'iris:1'}", "models: bad: must be a map"),
        ("{good: {}, 2024: {}}", "models: 2024: the model's name is not valid"),
    ] {
        let config = parsed(json!({"image": "iris:1", "models": models}));
        let names: Vec<_> = config.models.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["good"], "{models}");
        let text = config.errors.first().unwrap().to_string();
        assert!(text.contains(rule), "{models}: {text}");
    }
}

#[test]
fn named_gateway_may_be_the_related_one() {
    let config =
        parsed(json!({"image": "iris:1", "models": "{a: {prefix: /p/, gateway: istio/gate}, b: {prefix: /p/}}"}));
    assert_eq!(config.models, []);
}

#[test]
fn model_name_conflicting_with_a_route_is_rejected() {
    let config = parsed(json!({"image": "iris:1", "models": "{iris: {}, iris-route: {}}"}));
    assert_eq!(config.models.len(), 1);
    assert!(
        config.errors[0]
            .to_string()
            .contains("is used by another model's route")
    );
}

#[test]
fn models_with_overlapping_prefixes_are_frozen() {
    for (one, other) in [("/m/", "/m/"), ("/m/", "/m/x/"), ("/m/x/", "/m/")] {
        let config = parsed(json!({
            "image": "iris:1",
            "models": format!("{{a: {{prefix: {one}}}, b: {{prefix: {other}}}, c: {{}}}}"),
        }));
        assert_eq!(config.frozen.iter().collect::<Vec<_>>(), ["a", "b"]);
        let text = config.errors.first().unwrap().to_string();
        assert!(text.contains("overlaps the prefix of a"), "{text}");
    }
    let apart = parsed(json!({
        "image": "iris:1",
        "models": "{a: {prefix: /m/, hosts: a.example}, b: {prefix: /m/, hosts: b.example}, c: {prefix: /mm/}}",
    }));
    assert_eq!(apart.errors, []);
}

#[test]
fn models_share_a_prefix_only_across_gateways() {
    let with = |one: &str, other: &str| {
        let models = format!("{{a: {{prefix: /x/, gateway: {one}}}, b: {{prefix: /x/, gateway: {other}}}}}");
        parsed(json!({"image": "iris:1", "models": models})).frozen.len()
    };
    assert_eq!(with("edge/one", "edge/two"), 0);
    assert_eq!(with("edge/one", "edge/one"), 2);
}

#[test]
fn null_value_unsets_the_option() {
    let options = json!({"image": "iris:1", "protocol": "v2", "models": "{a: {protocol: }, b: {protocol: ''}, c: {}}"});
    let config = parsed(options);
    assert_eq!(config.errors, []);
    let protocols: Vec<_> = config.models.iter().map(|model| model.protocol).collect();
    assert_eq!(protocols, [None, None, Some(Protocol::V2)]);
}

#[test]
fn pasted_secret_is_not_repeated_as_a_key() {
    const LONG: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6Ikp3dEtleTEyMzQ1Njc4OTAifQ";
    const ODD: &str = "hunter2!%$";
    for secret in [LONG, ODD] {
        for (option, value) in [
            ("models", format!("{{a: {{image: x, '{secret}': 1}}}}")),
            ("canary", format!("{{'{secret}': 1}}")),
            ("headers", format!("{{'{secret}': {{a: b}}}}")),
            ("headers", format!("{{request: {{set: {{'{secret}\u{e9}': b}}}}}}")),
            ("env", format!("{{'{secret}\u{e9}': x}}")),
            ("resources", format!("{{'{secret}': x}}")),
            ("pod", format!("{{'{secret}': x}}")),
            ("pod", format!("{{securityContext: {{'{secret}': x}}}}")),
            ("pod", format!("{{containers: [{{name: x, '{secret}': x}}]}}")),
            ("labels", format!("{{'{secret}\u{e9}': x}}")),
            ("annotations", format!("{{'{secret}\u{e9}': x}}")),
            ("access", format!("{{jwt: {{issuer: x, '{secret}': x}}}}")),
            ("graph", format!("{{model: x, '{secret}': x}}")),
            ("models", format!("{{'{secret}': {{}}}}")),
        ] {
            let config = parsed(json!({"image": "x:1", option: value}));
            let error = config.errors[0].to_string();
            assert!(!error.contains(&secret[..8]), "{error}");
        }
    }
    let config = parsed(json!({"models": format!("{{a: {{image: x, {LONG}: 1}}}}")}));
    let error = config.errors[0].to_string();
    assert!(
        error.contains("models: a: unknown key, not shown as it may be a secret"),
        "{error}"
    );
}

#[test]
fn only_a_near_key_is_suggested() {
    let error_of = |key: &str| {
        let config = parsed(json!({"models": format!("{{a: {{image: x, {key}: 1}}}}")}));
        config.errors[0].to_string()
    };
    assert!(error_of("imagge").contains("did you mean `image`?"));
    for key in ["zzzzzzzzzzzz", "xyz"] {
        assert!(!error_of(key).contains("did you mean"), "{}", error_of(key));
    }
    assert!(
        error_of("''").contains("models: a: unknown key `\"\"`"),
        "{}",
        error_of("''")
    );
}

#[test]
fn maximum_of_models_and_text_is_accepted() {
    let models = |count: usize| (0..count).fold(String::new(), |all, at| all + &format!("m{at}: {{}}\n"));
    assert_eq!(
        parsed(json!({"image": "x", "models": models(MOST_MODELS)}))
            .models
            .len(),
        MOST_MODELS
    );
    assert_eq!(
        parsed(json!({"image": "x", "models": models(MOST_MODELS + 1)})).models,
        []
    );
    let comment = |length: usize| {
        let models = "a: {}\n";
        format!("{models}#{}", "x".repeat(length - models.len() - 1))
    };
    assert_eq!(
        parsed(json!({"image": "x", "models": comment(LONGEST_OPTION)})).errors,
        []
    );
    assert_ne!(
        parsed(json!({"image": "x", "models": comment(LONGEST_OPTION + 1)})).errors,
        []
    );
}

#[test]
fn two_models_never_lead_to_one_object() {
    let clashes = |models: &str| {
        let config = parsed(json!({"image": "iris:1", "models": models}));
        config.errors.first().map(ToString::to_string)
    };
    for (models, rule) in [
        (
            "{iris: {graph: {model: default, image: 'a:1'}}, iris-default: {}}",
            "models: iris-default: would get a Service of iris. Run: juju config iris models=@models.yaml (iris-default-default: rename",
        ),
        (
            "{a: {canary: {graph: {model: default, image: 'b:1'}}}, a-canary: {}}",
            "models: a-canary: would get a Service of a.",
        ),
        (
            "{a: {explainer: {type: ALE, model-uri: 'gs://b/e'}}, a-default: {graph: {model: explainer, image: 'c:1'}}}",
            "",
        ),
    ] {
        let error = clashes(models);
        assert_eq!(error.is_some(), !rule.is_empty(), "{models}: {error:?}");
        assert!(error.is_none_or(|error| error.contains(rule)), "{models}");
    }
}

#[test]
fn hostile_texts_are_rejected_at_once() {
    let start = std::time::Instant::now();
    let models = |count: usize| {
        serde_json::Value::Object((0..count).map(|n| (format!("m{n}"), json!({}))).collect()).to_string()
    };
    let config = parsed(json!({"image": "iris:1", "models": models(40), "env": "[".repeat(250_000)}));
    assert_eq!(config.errors.len(), 1, "{:#?}", config.errors);
    let error = config.errors[0].to_string();
    assert!(error.contains("option env: is not valid YAML"), "{error}");
    let env = format!("{{A: {}}}", "x".repeat(240 * 1024));
    let config = parsed(json!({"image": "iris:1", "models": models(200), "env": env}));
    let error = config.errors[0].to_string();
    assert!(
        error.starts_with("option env: is too long for 200 models. Run: "),
        "{error}"
    );
    assert_eq!((config.models.len(), config.frozen.len()), (0, 200));
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
