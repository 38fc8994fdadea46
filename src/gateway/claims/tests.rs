#![allow(clippy::needless_pass_by_value, reason = "data is taken as it is written")]

use serde_json::json;

use super::*;
use crate::gateway::listeners::Listener;
use crate::gateway::prefix::Prefix;

const MODEL: &str = "iris";

fn iris() -> ModelRequests {
    ModelRequests {
        model: MODEL.to_owned(),
        namespace: "edge".to_owned(),
        gateway: GatewayName::parse("istio/gate").unwrap(),
        hosts: vec!["*".to_owned()],
        prefix: Prefix::new("/model/iris/").unwrap(),
        grpc_host: None,
    }
}

/// A gateway for every host, at port 80.
fn gateways() -> BTreeMap<GatewayName, Listeners> {
    let listeners = Listeners {
        hosts: vec!["*".to_owned()],
        http: true,
        servers: vec![Listener {
            port: 80,
            tls: false,
            hosts: vec!["*".to_owned()],
        }],
        ..Listeners::default()
    };
    [(GatewayName::parse("istio/gate").unwrap(), listeners)].into()
}

fn read(kind: ObjectKind, namespace: &str, spec: &Value, model: &ModelRequests) -> RouteClaim {
    let (models, gateways) = (std::slice::from_ref(model), gateways());
    ClaimReader::new(models, &gateways).read_spec(kind, namespace, "theirs", None, spec)
}

/// The claims on HTTP requests, the strongest first, each as its precedence and `?` if it is not certain.
fn http(claim: &RouteClaim) -> String {
    let http = claim
        .of_model(MODEL)
        .filter(|claim| claim.requests == RequestKind::Http);
    let one = |claim: Claim| format!("{:?}{}", claim.precedence, if claim.certain { "" } else { "?" });
    http.map(one).collect::<Vec<_>>().join(" ")
}

fn of_match(rule_match: Value) -> String {
    let spec = json!({"hosts": ["*"], "gateways": ["istio/gate"], "http": [{"match": [rule_match]}]});
    http(&read(ObjectKind::VirtualService, "other", &spec, &iris()))
}

#[test]
fn virtual_services_claim_paths() {
    for (uri, expected) in [
        (json!({"prefix": "/model/iris/"}), "ByAge"),
        (json!({"prefix": "/model/iris"}), "ByAge"),
        (json!({"prefix": "/model/"}), "ByAge"),
        (json!({"prefix": "/mod"}), "ByAge"),
        (json!({"prefix": "/model/iris/api/"}), "ByAge"),
        (json!({"exact": "/model/iris"}), "ByAge"),
        (json!({"exact": "/model/iris/api"}), "ByAge"),
        (json!({"prefix": "/model/irisx/"}), ""),
        (json!({"prefix": "/model/fraud/"}), ""),
        (json!({"exact": "/model"}), ""),
        (json!({"regex": "/model/.*"}), "ByAge"),
        (json!({"regex": "/(?:model|other)/[a-z]+/.*"}), "ByAge"),
        (json!({"regex": ".*predictions"}), "ByAge"),
        // Below the prefix, but none of the paths that models are known to serve.
        (json!({"regex": "/model/[a-z]+/page"}), "ByAge?"),
        (json!({"regex": ".*tensorflow.*"}), "ByAge?"),
        (json!({"regex": "/model/[a-z]"}), ""),
        (json!({"regex": "/other/.*"}), ""),
        (json!({"regex": "/model/fraud/.*"}), ""),
        // Invalid for Envoy as well, which rejects more than this route then.
        (json!({"regex": "("}), "ByAge?"),
        (json!({"prefix": "/"}), "CatchAll"),
        // Istio sorts no regular expression behind the other routes.
        (json!({"regex": ".*"}), "ByAge"),
        (json!({"regex": "/.*"}), "ByAge"),
    ] {
        assert_eq!(of_match(json!({"uri": uri})), expected, "{uri}");
    }
    assert_eq!(
        of_match(json!({"uri": {"prefix": "/MODEL/"}, "ignoreUriCase": true})),
        "ByAge"
    );
    assert_eq!(of_match(json!({})), "CatchAll");
}

#[test]
fn virtual_services_claim_by_other_conditions() {
    for (conditions, expected) in [
        (json!({"name": "mine"}), "CatchAll"),
        (json!({"method": {"exact": "POST"}}), "ByAge"),
        (json!({"method": {"exact": "GET"}}), "ByAge"),
        (json!({"method": {"regex": "P.*"}}), "ByAge"),
        (json!({"method": {"exact": "OPTIONS"}}), ""),
        (json!({"scheme": {"exact": "http"}}), "ByAge"),
        (json!({"scheme": {"exact": "https"}}), ""),
        (json!({"authority": {"exact": "iris.example"}}), "ByAge?"),
        (json!({"authority": {"regex": ".*example"}}), "ByAge?"),
        (json!({"headers": {"x": {"exact": "y"}}}), "ByAge?"),
        (json!({"headers": {"x": {}}}), "ByAge?"),
        (
            json!({"headers": {"Content-Type": {"prefix": "application/"}}}),
            "ByAge",
        ),
        (json!({"headers": {"content-type": {"prefix": "application/grpc"}}}), ""),
        (json!({"headers": {"seldon": {"exact": "iris"}}}), "ByAge?"),
        (json!({"headers": {"seldon": {"exact": "wine"}}}), ""),
        (json!({"withoutHeaders": {"x": {"exact": "y"}}}), "ByAge"),
        (
            json!({"withoutHeaders": {"content-type": {"exact": "application/json"}}}),
            "",
        ),
        (json!({"queryParams": {"a": {"exact": "b"}}}), "ByAge?"),
        (json!({"port": 80}), "CatchAll"),
        (json!({"port": 8443}), ""),
        (json!({"gateways": ["istio/gate"]}), "CatchAll"),
        (json!({"gateways": ["mesh"]}), ""),
        (json!({"gateways": ["istio/door", "mesh"]}), ""),
        (json!({"sourceNamespace": "shop"}), "ByAge?"),
        (json!({"unheardOf": 1}), "ByAge?"),
    ] {
        assert_eq!(of_match(conditions.clone()), expected, "{conditions}");
        let mut with_path = conditions;
        with_path["uri"] = json!({"prefix": "/model/iris/"});
        let expected = expected.replace("CatchAll", "ByAge");
        assert_eq!(of_match(with_path.clone()), expected, "{with_path}");
        with_path["uri"] = json!({"prefix": "/model/fraud/"});
        assert_eq!(of_match(with_path.clone()), "", "{with_path}");
    }
}

#[test]
fn only_visible_routes_of_the_gateway_claim() {
    let rules = json!([{"match": [{"uri": {"prefix": "/model/iris/"}}]}]);
    for (namespace, gateways, more, expected) in [
        ("other", json!(["istio/gate"]), json!({}), "ByAge"),
        ("istio", json!(["gate"]), json!({}), "ByAge"),
        ("other", json!(["gate"]), json!({}), ""),
        ("istio", json!(["./gate"]), json!({}), "ByAge"),
        ("other", json!(["./gate"]), json!({}), ""),
        ("other", json!(["gate.istio.svc.cluster.local"]), json!({}), "ByAge"),
        ("other", json!(["istio/door"]), json!({}), ""),
        ("other", json!(["mesh", "istio/gate"]), json!({}), "ByAge"),
        ("other", json!([]), json!({}), ""),
        ("other", json!(["istio/gate"]), json!({"exportTo": ["."]}), ""),
        ("istio", json!(["istio/gate"]), json!({"exportTo": ["."]}), "ByAge"),
        (
            "other",
            json!(["istio/gate"]),
            json!({"exportTo": [".", "istio"]}),
            "ByAge",
        ),
        ("other", json!(["istio/gate"]), json!({"exportTo": ["*"]}), "ByAge"),
    ] {
        let mut spec = json!({"hosts": ["*"], "gateways": gateways, "http": rules});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let claim = read(ObjectKind::VirtualService, namespace, &spec, &iris());
        assert_eq!(http(&claim), expected, "{namespace} {spec}");
    }
}

#[test]
fn nearer_host_comes_first() {
    let prefix = json!({"uri": {"prefix": "/model/iris/"}});
    for (ours, theirs, rule_match, expected) in [
        ("*", "a.example", prefix.clone(), "First"),
        // A site's page under a name of its own is rarely meant to take a model's requests.
        ("*", "a.example", json!({}), "First?"),
        ("*", "a.example", json!({"uri": {"prefix": "/other/"}}), ""),
        ("a.example", "*", prefix.clone(), ""),
        ("a.example", "a.example", prefix.clone(), "ByAge"),
        ("a.example", "b.example", prefix.clone(), ""),
        ("*.example", "A.example", prefix.clone(), "First"),
    ] {
        let model = ModelRequests {
            hosts: vec![ours.to_owned()],
            ..iris()
        };
        let spec = json!({"hosts": [theirs], "gateways": ["istio/gate"], "http": [{"match": [rule_match]}]});
        let claim = read(ObjectKind::VirtualService, "other", &spec, &model);
        assert_eq!(http(&claim), expected, "{ours} {theirs} {rule_match}");
        let path = rule_match.pointer("/uri/prefix").cloned().unwrap_or(json!("/"));
        let path = json!({"path": {"type": "PathPrefix", "value": path}});
        let spec =
            json!({"parentRefs": [gate()], "hostnames": [theirs.to_lowercase()], "rules": [{"matches": [path]}]});
        let claim = read(ObjectKind::HttpRoute, "other", &spec, &model);
        assert_eq!(http(&claim), expected, "HTTPRoute {ours} {theirs} {rule_match}");
    }
    // With an exact host of its own the condition on the host is decided.
    let model = ModelRequests {
        hosts: vec!["a.example".to_owned()],
        ..iris()
    };
    for (authority, expected) in [("a.example", "ByAge"), ("a.example:80", "ByAge"), ("b.example", "")] {
        let rule_match = json!({"authority": {"exact": authority}});
        let spec = json!({"hosts": ["a.example"], "gateways": ["istio/gate"], "http": [{"match": [rule_match]}]});
        let claim = read(ObjectKind::VirtualService, "other", &spec, &model);
        assert_eq!(http(&claim), expected, "{authority}");
    }
}

fn gate() -> Value {
    json!({"name": "gate", "namespace": "istio"})
}

#[test]
fn more_specific_http_routes_come_first() {
    let path = |kind: &str, value: &str| json!({"type": kind, "value": value});
    let own = path("PathPrefix", "/model/iris");
    let header = json!([{"name": "x", "value": "y"}]);
    for (rule_match, expected) in [
        (json!({"path": own}), "ByAge"),
        (json!({"path": path("PathPrefix", "/model/iris/")}), "ByAge"),
        (json!({"path": path("PathPrefix", "/model/iris/api")}), "First"),
        (json!({"path": path("Exact", "/model/iris")}), "First"),
        (json!({"path": path("Exact", "/model/iris/api")}), "First"),
        (json!({"path": path("PathPrefix", "/model")}), ""),
        (json!({"path": path("PathPrefix", "/model"), "method": "POST"}), ""),
        (json!({"path": path("PathPrefix", "/")}), ""),
        (json!({"path": path("PathPrefix", "/model/irisx")}), ""),
        (json!({"path": path("RegularExpression", "/model/iris/.*")}), ""),
        (json!({"path": own, "method": "POST"}), "First"),
        (json!({"path": own, "method": "DELETE"}), ""),
        (json!({"path": own, "headers": header}), "First?"),
        (
            json!({"path": own, "queryParams": [{"name": "a", "value": "b"}]}),
            "First?",
        ),
        (json!({}), ""),
    ] {
        let spec = json!({"parentRefs": [gate()], "rules": [{"matches": [rule_match]}]});
        let claim = read(ObjectKind::HttpRoute, "other", &spec, &iris());
        assert_eq!(http(&claim), expected, "{rule_match}");
    }
    let service = json!({"name": "gate", "namespace": "istio", "kind": "Service"});
    let other_port = json!({"name": "gate", "namespace": "istio", "port": 8443});
    for (parent, expected) in [
        (json!({"name": "gate"}), ""),
        (service, ""),
        (other_port, ""),
        (gate(), "ByAge"),
    ] {
        let spec = json!({"parentRefs": [parent], "rules": [{"matches": [{"path": own}]}]});
        let claim = read(ObjectKind::HttpRoute, "other", &spec, &iris());
        assert_eq!(http(&claim), expected, "{parent}");
    }
}

/// The claims on gRPC requests, likewise.
fn grpc(kind: ObjectKind, spec: &Value) -> String {
    let model = ModelRequests {
        grpc_host: Some("iris.example".to_owned()),
        ..iris()
    };
    let claim = read(kind, "other", spec, &model);
    let grpc = claim
        .of_model(MODEL)
        .filter(|claim| claim.requests != RequestKind::Http);
    let one = |claim: Claim| {
        let certain = if claim.certain { "" } else { "?" };
        format!("{:?}:{:?}{certain}", claim.requests, claim.precedence)
    };
    grpc.map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn virtual_services_claim_calls() {
    let of_client = json!({"headers": {
        "content-type": {"prefix": "application/grpc"}, "seldon": {"exact": "iris"}, "namespace": {"exact": "edge"},
    }});
    let of_another_model = json!({"headers": {
        "content-type": {"prefix": "application/grpc"}, "seldon": {"exact": "wine"}, "namespace": {"exact": "edge"},
    }});
    let page =
        json!({"uri": {"prefix": "/v2/"}, "headers": {"referer": {"regex": "https?://[^/]+/model/v/v2/docs/.*"}}});
    let to_host = json!({
        "authority": {"regex": "iris[.]example(:[0-9]+)?"}, "headers": {"content-type": {"prefix": "application/grpc"}},
    });
    let to_another_path = json!([{"authority": {"exact": "iris.example"}, "uri": {"prefix": "/other/"}}]);
    let service = json!({"uri": {"prefix": "/inference.GRPCInferenceService/"}});
    for (hosts, rule_match, expected) in [
        ("*", of_client, "GrpcByHost:ByAge? GrpcByHeaders:ByAge?"),
        ("*", of_another_model, ""),
        ("*", page, ""),
        ("*", to_host, "GrpcByHost:ByAge"),
        ("*", to_another_path[0].clone(), ""),
        ("*", service.clone(), "GrpcByHost:ByAge GrpcByHeaders:ByAge?"),
        ("wine.example", service.clone(), ""),
        (
            "iris.example",
            json!({"uri": {"prefix": "/other/"}}),
            "GrpcByHost:First",
        ),
        ("*.example", service, "GrpcByHost:First"),
    ] {
        let spec = json!({"hosts": [hosts], "gateways": ["istio/gate"], "http": [{"match": [rule_match]}]});
        assert_eq!(
            grpc(ObjectKind::VirtualService, &spec),
            expected,
            "{hosts} {rule_match}"
        );
    }
}

#[test]
fn http_routes_claim_calls() {
    let host = |value: &str| json!({"type": "RegularExpression", "name": "Host", "value": value});
    let is_grpc = json!({"type": "RegularExpression", "name": "content-type", "value": "application/grpc.*"});
    let own = host("iris[.]example(:[0-9]+)?");
    let x = json!({"name": "x", "value": "y"});
    for (headers, path, expected) in [
        (json!([own, is_grpc]), "/", "GrpcByHost:ByAge"),
        (json!([host("iris.example"), is_grpc, x]), "/", "GrpcByHost:First?"),
        // Ours has one header more.
        (json!([own]), "/", ""),
        (json!([host("wine[.]example(:[0-9]+)?"), is_grpc]), "/", ""),
        (json!([own, is_grpc]), "/other", ""),
        (
            json!([]),
            "/inference.GRPCInferenceService",
            "GrpcByHost:First GrpcByHeaders:First?",
        ),
        (json!([]), "/", ""),
    ] {
        let matches = json!([{"path": {"type": "PathPrefix", "value": path}, "headers": headers}]);
        let spec = json!({"parentRefs": [gate()], "rules": [{"matches": matches}]});
        assert_eq!(grpc(ObjectKind::HttpRoute, &spec), expected, "{path} {headers}");
    }
}

#[test]
fn malformed_route_claims_nothing() {
    for spec in [
        json!(null),
        json!([]),
        json!({"http": 1}),
        json!({"hosts": {}}),
        json!({"rules": 1}),
    ] {
        for kind in [ObjectKind::VirtualService, ObjectKind::HttpRoute] {
            assert!(read(kind, "other", &spec, &iris()).is_empty(), "{spec}");
        }
    }
}

#[test]
fn age_decides_by_time_and_then_by_name() {
    let claim = |kind, created: &str, namespace: &str, name: &str| RouteClaim {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        created: Some(created.parse().unwrap()),
        models: BTreeMap::new(),
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    for kind in [ObjectKind::VirtualService, ObjectKind::HttpRoute] {
        assert!(claim(kind, early, "z", "z").is_older_than(&claim(kind, late, "a", "a")));
    }
    let (az, za) = (("a", "z"), ("z", "a"));
    let older = |kind, (namespace, name), (other_namespace, other)| {
        claim(kind, early, namespace, name).is_older_than(&claim(kind, early, other_namespace, other))
    };
    assert!(older(ObjectKind::VirtualService, za, az), "the name counts first");
    assert!(older(ObjectKind::HttpRoute, az, za), "the namespace counts first");
}
