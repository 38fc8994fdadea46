//! A canary and a shadow: what they take from the model, and what may be wrong in them.

use super::*;

#[test]
fn canary_inherits_from_the_model() {
    let model = model("canary", "{image: 'iris:2', weight: 10, match: {x-canary: 'yes'}}");
    let canary = model.canary.as_ref().unwrap();
    assert_eq!(canary.server.source.to_string(), "iris:2");
    assert_eq!(canary.weight, 10);
    assert_eq!(canary.headers["x-canary"], "yes");
    assert_eq!(
        ServerOptions {
            source: model.server.source.clone(),
            ..canary.server.clone()
        },
        model.server
    );
    assert_eq!(
        model.serves(),
        "seldonio/sklearn-iris:0.3, iris:2 to 10% and where x-canary=yes"
    );
}

#[test]
fn canary_weight_defaults_to_zero_shadow_to_all() {
    assert_eq!(model("canary", "{image: 'iris:2'}").canary.unwrap().weight, 0);
    assert_eq!(model("shadow", "{image: 'iris:2'}").shadow.unwrap().weight, 100);
    let served = |option: &str, value: &str| model(option, value).serves();
    assert!(served("canary", "{image: 'iris:2'}").ends_with("iris:2 as a canary without requests"));
    assert!(served("canary", "{image: 'iris:2', match: {a: b}}").ends_with("iris:2 where a=b"));
    assert!(served("canary", "{image: 'iris:2', weight: 100}").ends_with("iris:2 to 100%"));
    assert!(served("shadow", "{image: 'iris:2'}").ends_with("copies to iris:2"));
}

#[test]
fn canary_error_names_location_and_command() {
    for (option, value, text) in [
        (
            "canary",
            "{image: IRIS}",
            "option canary: image: must be lowercase. Run: juju config iris canary=… (value: IRIS; set image: seldonio/sklearn-iris:0.3)",
        ),
        (
            "canary",
            "{image: 'iris:2', weight: 101}",
            "option canary: weight: must be a whole number from 0 to 100",
        ),
        (
            "canary",
            "{wieght: 10}",
            "option canary: unknown key `wieght`, did you mean `weight`?",
        ),
        ("canary", "{prefix: /other/}", "option canary: unknown key `prefix`"),
        (
            "canary",
            "{match: {X-Canary: 'yes'}}",
            "option canary: match: \"X-Canary\" is not a valid header name",
        ),
        (
            "canary",
            "{match: {namespace: blue}}",
            "option canary: match: header namespace is reserved for gRPC calls",
        ),
        (
            "canary",
            "{match: {x: ''}}",
            "option canary: match: x: must have a value",
        ),
        ("canary", "[iris]", "option canary: must be a YAML map, not a list"),
        (
            "canary",
            "{implementation: SKLEARN_SERVER}",
            "option canary: model-uri: is not set, SKLEARN_SERVER needs it",
        ),
        (
            "shadow",
            "{image: 'iris:2', match: {a: b}}",
            "option shadow: unknown key `match`",
        ),
        (
            "shadow",
            "{image: 'iris:2', weight: 0}",
            "option shadow: weight: must be at least 1",
        ),
    ] {
        let error = error(option, value);
        assert!(error.contains(text), "{text}\n{error}");
    }
    let config = parsed(json!({"models": "{a: {image: 'iris:1', canary: {image: IRIS}}}"}));
    assert_eq!(
        config.errors[0].to_string(),
        "models: a: canary.image: must be lowercase. \
         Run: juju config iris models=@models.yaml (value: IRIS; set image: seldonio/sklearn-iris:0.3)"
    );
}

#[test]
fn model_error_is_not_repeated_for_canary() {
    let config = parsed(json!({"image": "IRIS", "canary": "{image: 'iris:2'}", "shadow": "{image: 'iris:3'}"}));
    assert_eq!(config.errors.len(), 1, "{:?}", config.errors);
    let config = parsed(json!({"image": "iris:1", "resources": "x", "canary": "{weight: 5}"}));
    assert_eq!(config.errors.len(), 1, "{:?}", config.errors);
}

#[test]
fn models_do_not_share_a_canarys_service() {
    // iris-canary is what Seldon calls the Service of iris's canary, and that of predictor canary of iris.
    let models = "{iris: {canary: {image: 'iris:2'}}, iris-canary: {}}";
    assert_eq!(parsed(json!({"image": "iris:1", "models": models})).errors, []);
}
