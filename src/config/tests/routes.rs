//! What leads to a model: prefix, hosts, time, gateway.

use super::{fault, model};

#[test]
fn a_prefix_is_one_that_every_gateway_reads_alike() {
    for (prefix, rule) in [
        ("model/iris/", "begin and end with /"),
        ("/model/iris", "begin and end with /"),
        ("/", "every path of the gateway"),
        ("/model/../iris/", ". or .."),
        ("/model//iris/", "//"),
        ("/model/my iris/", "letters, digits"),
        ("/model/iris?x=1/", "letters, digits"),
        ("/model%2firis/", "letters, digits"),
    ] {
        let text = fault("prefix", prefix);
        assert!(text.contains(rule), "{prefix}: {text}");
        assert!(text.contains("juju config iris prefix=/model/iris/"), "{text}");
    }
    assert_eq!(model("prefix", "/ml/v1.0/").prefix.to_string(), "/ml/v1.0/");
}

#[test]
fn a_prefix_has_a_length_that_is_enough() {
    model("prefix", format!("/{}/", "x".repeat(254)));
    assert!(fault("prefix", format!("/{}/", "x".repeat(255))).contains("over 256"));
}

#[test]
fn routes_take_hosts_times_and_gateways() {
    assert_eq!(model("hosts", "*").hosts, ["*"]);
    assert_eq!(
        model("hosts", "a.example, *.b.example").hosts,
        ["a.example", "*.b.example"]
    );
    assert_eq!(model("hosts", "[a.example]").hosts, ["a.example"]);
    assert!(fault("hosts", "*.b.example,x.b.example").contains("covers another"));
    for both in ["*.b.example,*.example", "*.example,*.b.example"] {
        assert!(fault("hosts", both).contains("covers another"), "{both}");
    }
    model("hosts", "*.a.example,*.b.example");
    let many = |count: usize| {
        (0..count)
            .map(|at| format!("h{at}.example"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(model("hosts", many(64)).hosts.len(), 64);
    assert!(fault("hosts", many(65)).contains("at most 64"));
    assert!(fault("hosts", "under_score").contains("is no host name"));
    for (text, seconds) in [
        ("30s", "30s"),
        ("500ms", "0.5s"),
        ("2m", "120s"),
        ("1.25s", "1.25s"),
        ("2.01s", "2.01s"),
        ("4.1m", "246s"),
        ("24h", "86400s"),
        ("1ms", "0.001s"),
    ] {
        assert_eq!(model("timeout", text).timeout.unwrap().to_string(), seconds);
    }
    for text in ["30", "0s", "0.5ms", "1.5ms", "-1s", "24.1h", "1e3s", "s"] {
        assert!(fault("timeout", text).contains("a time with its unit"), "{text}");
    }
    assert_eq!(
        model("gateway", "kubeflow/kubeflow-gateway")
            .gateway
            .unwrap()
            .to_string(),
        "kubeflow/kubeflow-gateway"
    );
    assert!(fault("gateway", "kubeflow-gateway").contains("namespace/name"));
}
