use proptest::prelude::*;
use serde_json::json;

use super::*;

mod access;
mod entries;
mod fuzzed;
mod graphs;
pub(crate) mod invalid;
mod manifest_values;
mod manifests;
mod pods;
mod releases;
mod routes;
mod scalars;
mod secrets;

fn options(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        other => panic!("{other} is not a map of options"),
    }
}

fn parsed(value: Json) -> Config {
    parse("iris", &options(value))
}

/// The text of the one error of an application `iris` that serves an image and has this option too.
fn error(option: &str, value: impl Into<Json>) -> String {
    let mut all = options(json!({"image": "seldonio/sklearn-iris:0.3"}));
    all.insert(option.to_owned(), value.into());
    let config = parse("iris", &all);
    assert_eq!(config.models, [], "an invalid model is not planned");
    assert!(config.frozen.contains("iris"), "its objects stay unchanged");
    match config.errors.as_slice() {
        [one] => one.to_string(),
        errors => panic!("{option}: {errors:#?}"),
    }
}

/// The model of an application `iris` that serves an image and has this option too.
fn model(option: &str, value: impl Into<Json>) -> Model {
    let mut all = options(json!({"image": "seldonio/sklearn-iris:0.3"}));
    all.insert(option.to_owned(), value.into());
    let config = parse("iris", &all);
    assert_eq!(config.errors, []);
    config.models.into_iter().next().unwrap()
}

#[test]
fn image_alone_makes_a_model_named_after_application() {
    let config = parsed(json!({"image": "seldonio/sklearn-iris:0.3"}));
    assert_eq!(config.errors, []);
    let [model] = config.models.as_slice() else {
        panic!("{config:#?}");
    };
    assert_eq!(model.name, "iris");
    assert_eq!(model.server.source.to_string(), "seldonio/sklearn-iris:0.3");
    assert_eq!(model.prefix.to_string(), "/model/iris/");
    assert_eq!(model.hosts, ["*"]);
    assert_eq!(model.server.replicas, 1);
    assert_eq!(model.retries, None);
}

#[test]
fn missing_model_error_names_the_command() {
    let config = parsed(json!({"image": "", "replicas": 1}));
    let errors: Vec<String> = config.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "option image: is not set. Run: juju config iris image=seldonio/sklearn-iris:0.3 \
             (nor is implementation: there is no model to serve)"
        ]
    );
}

#[test]
fn invalid_image_reference_is_rejected_with_rule() {
    let long = format!("x/{}", "a".repeat(10_000));
    let digest = format!("iris@sha256:{}", "a".repeat(63));
    for (image, rule) in [
        ("sklearn iris:0.3", "must not contain spaces"),
        ("seldonio/Iris:0.3", "must be lowercase"),
        ("seldonio/iris:", "has an invalid tag"),
        ("seldonio/iris:-x", "has an invalid tag"),
        ("seldonio//iris", "is not a valid image reference"),
        ("-iris", "is not a valid image reference"),
        ("a..b", "is not a valid image reference"),
        ("my_registry.local/iris", "has an invalid registry"),
        ("localhost:99999/iris", "has an invalid registry"),
        (digest.as_str(), "64 hexadecimal digits"),
        ("iris:a+b", "has an invalid tag"),
        (long.as_str(), "at most 255 characters"),
    ] {
        let text = error("image", image);
        assert!(text.contains(rule), "{image}: {text}");
        assert!(text.starts_with("option image: "), "{text}");
        assert!(text.contains("juju config iris image="), "{text}");
        assert!(text.chars().count() < 240, "{text}");
    }
}

#[test]
fn every_common_image_reference_is_accepted() {
    let digest = format!("iris@sha256:{}", "0a".repeat(32));
    let longest = "a".repeat(255);
    for image in [
        "iris",
        "seldonio/sklearn-iris:0.3",
        "localhost:32000/iris:edge_1",
        "10.1.2.3:5000/a/b-c/d__e:V1.0",
        "ghcr.io/Org-less/x".to_lowercase().as_str(),
        digest.as_str(),
        "localhost/iris",
        "my_org/iris:_1",
        "a.b/c.d",
        longest.as_str(),
    ] {
        assert_eq!(model("image", image).server.source.to_string(), image);
    }
}

#[test]
fn number_out_of_bounds_names_the_bounds() {
    for value in [json!(-1), json!(1_000_000_000), json!(1.5), json!("2")] {
        let text = error("replicas", value);
        assert!(text.contains("from 0 to 100"), "{text}");
    }
    assert_eq!(model("replicas", 0).server.replicas, 0);
    assert!(error("retries", 11).contains("from 0 to 10"));
    assert_eq!(model("retries", 0).retries, Some(0));
}

#[test]
fn quantities_follow_kubernetes_syntax() {
    let text = error("resources", "{limits: {memory: 1Gib}}");
    assert!(
        text.contains("limits.memory: is not a valid quantity") && text.contains("{limits: {memory: 1Gi}}"),
        "{text}"
    );
    let text = error("resources", "{requests: {cpu: 2}, limits: {cpu: 500m}}");
    assert!(text.contains("limits.cpu: is less than the request"), "{text}");
    // As an f64, 9 thousandths are more than 0.009.
    model("resources", "{requests: {cpu: 9m}, limits: {cpu: '0.009'}}");
    let text = error("resources", "{request: {cpu: 1}}");
    assert!(
        text.contains("unknown key `request`, did you mean `requests`?"),
        "{text}"
    );
    assert!(error("resources", "{limits: {nvidia.com/gpu: 500m}}").contains("must be a whole number"));
    assert_eq!(
        model("resources", "{limits: {memory: '1e9'}}")
            .server
            .resources
            .unwrap()
            .limits["memory"],
        "1e9"
    );
    let text = error("engine-resources", "{requests: {gpu: 1}}");
    assert!(text.contains("requests: unknown resource `gpu`"), "{text}");
    let resources = model(
        "resources",
        "{requests: {cpu: 0.5, memory: 100Mi}, limits: {nvidia.com/gpu: 1}}",
    )
    .server
    .resources
    .unwrap();
    assert_eq!(resources.requests.get("cpu").unwrap(), "0.5");
    assert_eq!(resources.limits.get("nvidia.com/gpu").unwrap(), "1");
}

#[test]
fn near_quantities_and_bounds_are_handled() {
    model("resources", "{requests: {cpu: 500m}, limits: {cpu: 0.5}}");
    model("resources", "{limits: {cpu: '.5'}}");
    for (amount, such) in [
        ("{cpu: x}", "{cpu: 100m}"),
        ("{memory: x}", "{memory: 128Mi}"),
        ("{cpu: '1e-3'}", "100m"),
    ] {
        let text = error("resources", format!("{{limits: {amount}}}"));
        assert!(text.contains(such), "{text}");
    }
    error("resources", format!("{{limits: {{memory: '{}'}}}}", "1".repeat(21)));
    model("resources", format!("{{limits: {{memory: '{}'}}}}", "1".repeat(20)));
    let long = format!("{}example", "a.".repeat(130));
    for domain in ["-a.example", "a-.example", "a..example", "A.example", &long] {
        error("resources", format!("{{limits: {{{domain}/gpu: 1}}}}"));
    }
    error("resources", "{limits: {nvidia.com/-gpu: 1}}");
}

#[test]
fn server_rejects_a_protocol_it_lacks() {
    let parsed_server = |server: &str, protocol: &str| {
        parsed(json!({"implementation": server, "model-uri": "gs://b/m", "protocol": protocol}))
    };
    for (server, protocol) in [
        ("SKLEARN_SERVER", "tensorflow"),
        ("TENSORFLOW_SERVER", "v2"),
        ("TRITON_SERVER", "seldon"),
        ("TRITON_SERVER", ""),
        ("HUGGINGFACE_SERVER", ""),
    ] {
        let config = parsed_server(server, protocol);
        let text = config.errors.first().unwrap().to_string();
        assert!(
            text.contains("must be ") && text.contains(&format!(" with {server}")),
            "{text}"
        );
    }
    for (server, protocol) in [
        ("SKLEARN_SERVER", ""),
        ("XGBOOST_SERVER", "v2"),
        ("TENSORFLOW_SERVER", "tensorflow"),
        ("OUR_OWN_SERVER", "v2"),
    ] {
        assert_eq!(parsed_server(server, protocol).errors, [], "{server} {protocol}");
    }
}

#[test]
fn self_fetching_server_needs_no_model_uri() {
    let config = parsed(json!({"implementation": "HUGGINGFACE_SERVER", "protocol": "v2"}));
    assert_eq!(config.errors, []);
}

#[test]
fn model_uri_is_one_word_of_limited_length() {
    let uri = |length: usize| format!("gs://{}", "x".repeat(length - 5));
    model("model-uri", uri(2048));
    assert!(error("model-uri", uri(2049)).contains("at most 2048"));
    assert!(error("model-uri", "gs://a b").contains("must not contain spaces"));
}

#[test]
fn value_with_blanks_is_shown_in_quotes() {
    assert!(error("prefix", "/a b/").contains("(value: \"/a b/\")"));
}

#[test]
fn server_is_prepackaged_or_named_by_site() {
    let first = |value| {
        let errors = parsed(value).errors;
        errors.first().unwrap().to_string()
    };
    let text = first(json!({"implementation": "SKLEARN_SERVR", "model-uri": "gs://b/m"}));
    assert!(
        text.contains("option implementation: did you mean `SKLEARN_SERVER`? Run: "),
        "{text}"
    );
    let text = first(json!({"implementation": "RANDOM_ABTEST", "model-uri": "gs://b/m"}));
    assert!(text.contains("does not serve models"), "{text}");
    let text = first(json!({"implementation": "SKLEARN_SERVER"}));
    assert!(text.starts_with("option model-uri: is not set"), "{text}");
    let text = first(json!({"model-uri": "gs://b/m"}));
    assert!(text.starts_with("option implementation: is not set"), "{text}");
    let text = first(json!({"implementation": "SKLEARN_SERVER", "model-uri": "somewhere"}));
    assert!(text.contains("must be a URI"), "{text}");
}

#[test]
fn invalid_variable_name_hides_the_value() {
    let text = error("env", "{1A: hunter2}");
    assert!(text.contains("\"1A\" is not a valid variable name"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let text = error("env", "{A: [hunter2]}");
    assert!(text.contains("A: must be a single value, not a list"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let env = model("env", "{THREADS: 2, DEBUG: true, NAME: iris}").server.env;
    assert_eq!(env.get("THREADS").unwrap(), "2");
    assert_eq!(env.get("DEBUG").unwrap(), "true");
}

#[test]
fn invalid_yaml_is_reported_with_location() {
    assert!(error("env", "{A: ").contains("is not valid YAML at line "));
    assert!(error("env", "A: 1\nA: 2").contains("duplicate"));
    assert!(error("parameters", "[1]").contains("must be a YAML map, not a list"));
    let big = format!("{{A: {}}}", "x".repeat(1 << 20));
    assert!(error("env", big).contains("at most 256 KiB"));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let config = parsed(json!({"models": bomb}));
    assert_eq!(config.errors.len(), 1, "{:#?}", config.errors);
}

#[test]
fn parameter_type_is_inferred_or_explicit() {
    let parameters = model(
        "parameters",
        "{method: predict, n: 3, ratio: 0.5, flag: true, version: {type: STRING, value: 3}}",
    )
    .server
    .parameters;
    let seen: Vec<_> = parameters
        .iter()
        .map(|p| (p.name.as_str(), p.value.as_str(), p.kind))
        .collect();
    assert_eq!(
        seen,
        [
            ("flag", "true", "BOOL"),
            ("method", "predict", "STRING"),
            ("n", "3", "INT"),
            ("ratio", "0.5", "FLOAT"),
            ("version", "3", "STRING"),
        ]
    );
    assert!(error("parameters", "{x: {type: INTEGER, value: 1}}").contains("x: must be a value or {type, value}"));
}

#[test]
fn reserved_labels_and_annotations_are_rejected() {
    assert!(error("labels", "{app: x}").contains("key `app` is reserved"));
    assert!(error("labels", "{seldon-model/application: x}").contains("is reserved"));
    assert!(error("labels", "{'a b': x}").contains("is not a valid key"));
    assert!(error("labels", "{team: 'a b'}").contains("team: is not a valid label value"));
    assert!(error("annotations", "{x: a=b}").contains("x: value must not contain ="));
    assert!(error("annotations", "{seldon.io/svc-name: x}").contains("is reserved"));
    assert_eq!(
        model("annotations", "{seldon.io/rest-timeout: 5000}").annotations["seldon.io/rest-timeout"],
        "5000"
    );
}

#[test]
fn no_error_shows_a_secret() {
    for env in [
        "{PASSWORD=hunter2}",
        "{PASSWORD: [hunter2]}",
        "{P: !!int hunter2}",
        "{P: 12345678901234567890123}",
        "PASSWORD: hunter2: x",
        "{1PASSWORD=hunter2: x}",
        "hunter2",
    ] {
        for options in [
            json!({"image": "iris:1", "env": env}),
            json!({"image": "iris:1", "models": format!("{{a: {{env: {env}}}}}")}),
        ] {
            let config = parsed(options.clone());
            let all: Vec<String> = config.errors.iter().map(ToString::to_string).collect();
            let all = all.join("\n");
            assert!(
                !all.is_empty() && !all.contains("hunter2") && !all.contains("1234567"),
                "{options}: {all}"
            );
        }
    }
}

#[test]
fn overlong_value_is_rejected() {
    let long = "X".repeat(1 << 20);
    for option in [
        "image",
        "implementation",
        "model-uri",
        "protocol",
        "prefix",
        "timeout",
        "gateway",
        "hosts",
        "labels",
    ] {
        let started = std::time::Instant::now();
        let text = error(option, long.clone());
        assert!(text.chars().count() < 400, "{option}: {}", text.len());
        assert!(started.elapsed().as_secs() < 2, "{option} took {:?}", started.elapsed());
    }
    let hosts: Vec<String> = (0..20_000).map(|n| format!("h{n}.example")).collect();
    assert!(error("hosts", hosts.join(",")).contains("at most 64"));
    let models: Vec<String> = (0..10_000).map(|n| format!("m{n}: {{}}")).collect();
    let config = parsed(json!({"image": "iris:1", "models": models.join("\n")}));
    assert!(config.errors[0].to_string().contains("at most 200"));
}

#[test]
fn site_may_define_its_own_servers() {
    for server in ["MLFLOW_SERVER_V2", "TRITON_SERVER_24", "DEMO_SERVER", "custom-server"] {
        let config = parsed(json!({"implementation": server, "model-uri": "gs://b/m"}));
        assert_eq!(config.errors, [], "{server}");
    }
    let config = parsed(json!({"implementation": "sklearn_server", "model-uri": "gs://b/m"}));
    assert!(config.errors[0].to_string().contains("did you mean `SKLEARN_SERVER`?"));
}

fn any_option() -> impl Strategy<Value = Json> {
    prop_oneof![
        any::<String>().prop_map(Json::from),
        "[-a-z0-9:/.{}*&,\\[\\]\"' \n]{0,40}".prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        Just(Json::Null),
    ]
}

proptest! {
    #[test]
    fn any_options_give_valid_models_or_errors(
        values in prop::collection::btree_map(prop::sample::select(options::names(options::Scope::Application)), any_option(), 0..6),
        application in "[a-z0-9-]{1,60}",
    ) {
        let options: Map<String, Json> = values.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let config = parse(&application, &options);
        prop_assert!(config.frozen.is_empty() || !config.errors.is_empty());
        for model in &config.models {
            prop_assert!(!config.frozen.contains(&model.name));
            prop_assert!(model.prefix.to_string().starts_with('/'));
        }
        for error in &config.errors {
            prop_assert!(error.to_string().contains("juju config"), "{error}");
            prop_assert!(!error.to_string().contains('\n'), "{error}");
        }
        prop_assert_eq!(parse(&application, &options), config);
    }

    #[test]
    fn prefixes_overlap_iff_some_path_matches_both(one in "(/[ab]{1,2}){1,3}/", other in "(/[ab]{1,2}){1,3}/") {
        let (a, b) = (value::prefix(&one).unwrap(), value::prefix(&other).unwrap());
        prop_assert_eq!(a.overlaps(&b), one.starts_with(&other) || other.starts_with(&one));
        prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
    }
}
