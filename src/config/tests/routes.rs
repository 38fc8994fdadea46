//! What leads to a model: prefix, hosts, time, gateway.

use serde_json::json;

use super::{error, model, parsed};

#[test]
fn prefix_is_read_alike_by_every_gateway() {
    for (prefix, rule) in [
        ("model/iris/", "begin and end with /"),
        ("/model/iris", "begin and end with /"),
        ("/", "must not be / alone"),
        ("/model/../iris/", ". or .."),
        ("/model//iris/", "//"),
        ("/model/my iris/", "letters, digits"),
        ("/model/iris?x=1/", "letters, digits"),
        ("/model%2firis/", "letters, digits"),
    ] {
        let text = error("prefix", prefix);
        assert!(text.contains(rule), "{prefix}: {text}");
        assert!(text.contains("juju config iris prefix=/model/iris/"), "{text}");
    }
    assert_eq!(model("prefix", "/ml/v1.0/").prefix.to_string(), "/ml/v1.0/");
}

#[test]
fn prefix_length_is_limited() {
    model("prefix", format!("/{}/", "x".repeat(254)));
    assert!(error("prefix", format!("/{}/", "x".repeat(255))).contains("at most 256"));
}

#[test]
fn routes_accept_hosts_timeouts_and_gateways() {
    assert_eq!(model("hosts", "*").hosts, ["*"]);
    assert_eq!(
        model("hosts", "a.example, *.b.example").hosts,
        ["a.example", "*.b.example"]
    );
    assert_eq!(model("hosts", "[a.example]").hosts, ["a.example"]);
    assert!(error("hosts", "*.b.example,x.b.example").contains("includes another host"));
    for both in ["*.b.example,*.example", "*.example,*.b.example"] {
        assert!(error("hosts", both).contains("includes another host"), "{both}");
    }
    model("hosts", "*.a.example,*.b.example");
    let many = |count: usize| {
        (0..count)
            .map(|at| format!("h{at}.example"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(model("hosts", many(64)).hosts.len(), 64);
    assert!(error("hosts", many(65)).contains("at most 64"));
    assert!(error("hosts", "under_score").contains("is not a valid hostname"));
    for (text, seconds) in [
        ("30s", "30s"),
        ("500ms", "0.5s"),
        ("2m", "120s"),
        ("1.25s", "1.25s"),
        ("2.01s", "2.01s"),
        ("4.1m", "246s"),
        ("1h30m", "5400s"),
        ("24h", "86400s"),
        ("1ms", "0.001s"),
    ] {
        assert_eq!(model("timeout", text).timeout.unwrap().to_string(), seconds);
    }
    for text in ["30", "0s", "0.5ms", "1.5ms", "-1s", "24.1h", "1e3s", "s", "1y"] {
        assert!(
            error("timeout", text).contains("must be a duration from 1ms to 24h"),
            "{text}"
        );
    }
    assert_eq!(
        model("gateway", "kubeflow/kubeflow-gateway")
            .gateway
            .unwrap()
            .to_string(),
        "kubeflow/kubeflow-gateway"
    );
    assert!(error("gateway", "kubeflow-gateway").contains("namespace/name"));
}

#[test]
fn grpc_host_is_a_single_name() {
    assert_eq!(
        model("grpc-host", "iris.plant.example").grpc_host.as_deref(),
        Some("iris.plant.example")
    );
    assert_eq!(model("grpc-host", "10.0.0.7").grpc_host.as_deref(), Some("10.0.0.7"));
    assert_eq!(model("hosts", "*").grpc_host, None);
    for (host, rule) in [
        ("*.plant.example", "without *"),
        ("iris.plant.example:8080", "must not have a port"),
        ("iris_plant", "is not a valid hostname"),
        ("a,b", "is not a valid hostname"),
    ] {
        let text = error("grpc-host", host);
        assert!(text.contains(rule), "{host}: {text}");
        assert!(text.contains("juju config iris grpc-host=iris.example.com"), "{text}");
    }
}

#[test]
fn grpc_host_is_one_of_the_models_hosts() {
    let errors = |options| -> Vec<String> { parsed(options).errors.iter().map(ToString::to_string).collect() };
    let errors_with =
        |hosts: &str| errors(json!({"image": "iris:1", "hosts": hosts, "grpc-host": "iris.plant.example"}));
    for hosts in ["", "*", "*.plant.example", "a.example,iris.plant.example"] {
        assert_eq!(errors_with(hosts), Vec::<String>::new(), "{hosts}");
    }
    assert_eq!(
        errors_with("a.example"),
        ["option hosts: must include grpc-host. \
             Run: juju config iris hosts=a.example,iris.plant.example (value: a.example)"]
    );
    let two = |models: &str| errors(json!({"image": "iris:1", "models": models}));
    assert_eq!(
        two("{a: {grpc-host: x.example}, b: {grpc-host: x.example}}"),
        ["models: b: grpc-host: is used by a already. \
             Run: juju config iris models=@models.yaml (value: x.example; set grpc-host: b.example.com)"]
    );
    // A request goes to the routes of the nearest host, and to no others.
    for other in ["x.example", "'*.example'"] {
        let text = two(&format!("{{a: {{grpc-host: x.example}}, b: {{hosts: {other}}}}}")).concat();
        assert!(
            text.contains("a: grpc-host: is one of the hosts of b"),
            "{other}: {text}"
        );
    }
    for models in [
        "{a: {grpc-host: x.example}, b: {grpc-host: y.example}}",
        "{a: {grpc-host: x.example, hosts: x.example}, b: {hosts: '*.example'}}",
        "{a: {grpc-host: x.example, gateway: one/gate}, b: {grpc-host: x.example, gateway: two/gate}}",
    ] {
        assert_eq!(two(models), Vec::<String>::new(), "{models}");
    }
    // Neither of two that have the same is touched.
    let config = parsed(json!({"image": "iris:1", "models": "{a: {grpc-host: x}, b: {grpc-host: x}, c: {}}"}));
    assert_eq!(
        config
            .models
            .iter()
            .map(|model| model.name.as_str())
            .collect::<Vec<_>>(),
        ["c"]
    );
}
