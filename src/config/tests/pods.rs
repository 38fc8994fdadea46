//! Options of pods: autoscaling, further fields, payload logs, traces, explainers.

use super::*;
use crate::config::value::{Collector, DisruptionBudget, Scaler};

/// The only error of these options and an image.
#[track_caller]
fn error_of(mut options: Json) -> String {
    options["image"] = json!("iris:1");
    let errors = parsed(options).errors;
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].to_string()
}

#[track_caller]
fn server_of(mut options: Json) -> ServerOptions {
    options["image"] = json!("iris:1");
    let config = parsed(options);
    assert_eq!(config.errors, []);
    config.models[0].server.clone()
}

#[test]
fn autoscaling_has_bounds_and_a_target() {
    let server = server_of(json!({
        "autoscale": "{min: 2, max: 5, cpu: 80, memory: 120}",
        "resources": "{requests: {cpu: 100m}, limits: {memory: 1Gi}}",
    }));
    let autoscale = server.autoscale.unwrap();
    assert_eq!((autoscale.min, autoscale.max), (2, 5));
    let Scaler::Load { cpu, memory, metrics } = autoscale.by else {
        panic!("not by load")
    };
    assert_eq!((cpu, memory, metrics.len()), (Some(80), Some(120), 0));
    let least = server_of(json!({
        "autoscale": "{max: 3, metrics: [{type: Pods, pods: {metric: {name: x}, target: {type: AverageValue, averageValue: '10'}}}]}",
    }));
    assert_eq!(least.autoscale.unwrap().min, 1);
}

#[test]
fn autoscaling_without_target_is_rejected() {
    for (autoscale, text) in [
        ("{cpu: 80}", "max: is not set"),
        ("{max: 0, cpu: 80}", "max: must be a whole number from 1 to 100"),
        ("{min: 4, max: 3, cpu: 80}", "min (4) is greater than max (3)"),
        ("{max: 3}", "must have cpu, memory, metrics or keda"),
        (
            "{min: 0, max: 3, metrics: [{type: Pods}]}",
            "min: must be at least 1 without keda",
        ),
        ("{max: 3, cpus: 80}", "unknown key `cpus`, did you mean `cpu`?"),
        ("{max: 3, metrics: {type: Pods}}", "metrics: must be a list"),
        (
            "{max: 3, metrics: [{type: Pods, pod: {}}]}",
            "unknown key `metrics[0].pod`",
        ),
        ("{max: 3, metrics: [{type: 1}]}", "metrics[0].type: must be text"),
        ("{max: 3, metrics: [{pods: {}}]}", "metrics[0].type: is not set"),
        (
            "{max: 3, cpu: 80, keda: {}}",
            "keda: cannot be combined with cpu, memory or metrics",
        ),
        ("{max: 3, keda: {}}", "keda.triggers: must be a list"),
        (
            "{max: 3, keda: {trigers: []}}",
            "keda: unknown key `trigers`, did you mean `triggers`?",
        ),
        (
            "{max: 3, keda: {triggers: [{type: cron}]}}",
            "keda.triggers[0]: must have type and metadata",
        ),
        (
            "{max: 3, keda: {triggers: [{type: prometheus, metadata: {threshold: 5}}]}}",
            "keda.triggers[0].metadata.threshold: must be text",
        ),
        ("80", "must be a YAML map, not a number"),
    ] {
        let error = error_of(json!({"autoscale": autoscale}));
        assert!(
            error.starts_with("option autoscale: ") && error.contains(text),
            "{text}\n{error}"
        );
    }
}

#[test]
fn percentage_target_needs_a_resource_request() {
    let error = error_of(json!({"autoscale": "{max: 3, cpu: 80}"}));
    assert_eq!(
        error,
        "option resources: must request cpu. Run: juju config iris resources='{requests: {cpu: 100m}}' \
         (cpu: 80 in autoscale is a percentage of the request)"
    );
    let error = error_of(json!({
        "autoscale": "{max: 3, memory: 80}",
        "resources": "{requests: {memory: 1Gi}}",
        "engine-resources": "{requests: {cpu: 50m}}",
    }));
    assert!(
        error.starts_with("option engine-resources: must request memory. ")
            && error.contains("(memory: 80 in autoscale"),
        "{error}"
    );
    // Seldon sets the executor's resources by default.
    server_of(
        json!({"autoscale": "{max: 3, memory: 80}", "resources": "{requests: {memory: 1Gi}}", "engine-resources": ""}),
    );
}

#[test]
fn disruption_budget_is_a_count_or_percentage() {
    let budget = |text: &str| server_of(json!({"disruption-budget": text})).disruption_budget.unwrap();
    assert_eq!(
        budget("{max-unavailable: 1}"),
        DisruptionBudget::MaxUnavailable(json!(1))
    );
    assert_eq!(
        budget("{min-available: 50%}"),
        DisruptionBudget::MinAvailable(json!("50%"))
    );
    for (text, rule) in [
        ("{}", "must have min-available or max-unavailable"),
        (
            "{min-available: 1, max-unavailable: 1}",
            "must have min-available or max-unavailable",
        ),
        ("{max-unavailable: half}", "max-unavailable: must be N or N%"),
        ("{max-unavailable: 101%}", "max-unavailable: must be N or N%"),
        ("{max-unavailable: -1}", "max-unavailable: must be N or N%"),
    ] {
        let error = error_of(json!({"disruption-budget": text}));
        assert!(error.contains(rule), "{text}: {error}");
    }
}

#[test]
fn pod_accepts_kubernetes_fields_without_an_option() {
    let pod = "{runtimeClassName: nvidia, tolerations: [{key: gpu, operator: Exists}], volumes: [{name: data, emptyDir: {}}],
        containers: [{name: iris, volumeMounts: [{name: data, mountPath: /data}]}, {name: sidecar, image: 'busybox:1'}]}";
    let fields = server_of(json!({"pod": pod})).pod.unwrap();
    assert_eq!(fields.general["runtimeClassName"], "nvidia");
    assert_eq!(fields.containers.len(), 2);
    // As the API server would fill it in, or the object there would differ for ever.
    let ports = "{containers: [{name: iris, ports: [{name: debug, containerPort: 5678}]}]}";
    let fields = server_of(json!({"pod": ports})).pod.unwrap();
    assert_eq!(fields.containers[0]["ports"][0]["protocol"], "TCP");
    for (pod, text) in [
        ("[]", "must be a YAML map, not a list"),
        (
            "{nodeSelecter: {a: b}}",
            "unknown key `nodeSelecter`, did you mean `nodeSelector`?",
        ),
        (
            "{securityContext: {runAsRoot: true}}",
            "unknown key `securityContext.runAsRoot`",
        ),
        ("{tolerations: {key: gpu}}", "tolerations: must be a list"),
        ("{hostNetwork: 'yes'}", "hostNetwork: must be true or false"),
        (
            "{terminationGracePeriodSeconds: soon}",
            "terminationGracePeriodSeconds: must be a whole number",
        ),
        (
            "{containers: [{name: iris, image: 'iris:2'}]}",
            "containers[0].image: use option image instead",
        ),
        (
            "{containers: [{name: iris, imagePullPolicy: Always}]}",
            "containers[0].imagePullPolicy: use option image-pull-policy instead",
        ),
        (
            "{containers: [{name: irsi, tty: true}]}",
            "containers[0]: must have an image",
        ),
        ("{containers: [{tty: true}]}", "containers[0].name: is not set"),
        (
            "{containers: [{name: iris}, {name: iris}]}",
            "containers[1].name: is used twice",
        ),
        (
            "{containers: [{name: iris, volumeMounts: [{name: data, mountPath: /data}]}]}",
            "containers[0].volumeMounts[0].name: not in volumes",
        ),
    ] {
        let error = error_of(json!({"pod": pod}));
        assert!(
            error.starts_with("option pod: ") && error.contains(text),
            "{text}\n{error}"
        );
    }
}

#[test]
fn logger_has_one_destination() {
    let logger = |text: &str| server_of(json!({"logger": text})).logger.unwrap();
    let by_url = logger("http://broker.logging:8080/a?b=c");
    assert_eq!(
        (by_url.mode, by_url.url.as_deref()),
        ("all", Some("http://broker.logging:8080/a?b=c"))
    );
    let to_kafka = logger("{mode: request, kafka: {broker: 'kafka:9092', topic: iris}}");
    assert_eq!(
        (to_kafka.mode, to_kafka.kafka.unwrap().topic.as_str()),
        ("request", "iris")
    );
    assert_eq!(logger("{mode: response}").url, None);
    for (text, rule) in [
        ("broker", "option logger: must be an http:// or https:// URL"),
        ("ftp://broker", "must be an http:// or https:// URL"),
        ("{url: 'http://a b'}", "url: must be an http:// or https:// URL"),
        ("{mode: some}", "mode: must be all, request or response"),
        (
            "{kafka: {broker: kafka, topic: iris}}",
            "kafka.broker: must be host:port",
        ),
        ("{kafka: {broker: 'kafka:9092'}}", "kafka.topic: is not set"),
        (
            "{kafka: {broker: 'kafka:9092', topic: 'a b'}}",
            "kafka.topic: is not a valid topic name",
        ),
        (
            "{url: 'http://b', kafka: {broker: 'kafka:9092', topic: iris}}",
            "kafka: cannot be combined with url",
        ),
        ("{modes: all}", "unknown key `modes`, did you mean `mode`?"),
    ] {
        let error = error_of(json!({"logger": text}));
        assert!(error.contains(rule), "{text}: {error}");
    }
}

#[test]
fn traces_go_to_an_agent_or_collector() {
    let tracing = |text: &str| server_of(json!({"tracing": text})).tracing.unwrap();
    let agent = tracing("jaeger.tracing.svc:6831");
    let to = Collector::Agent {
        host: "jaeger.tracing.svc".into(),
        port: 6831,
    };
    assert_eq!((agent.to, agent.sampler, agent.parameter.as_str()), (to, "const", "1"));
    let some = tracing("{to: 'http://jaeger:14268/api/traces', sampler: probabilistic, parameter: 0.1}");
    assert_eq!(some.to, Collector::Endpoint("http://jaeger:14268/api/traces".into()));
    assert_eq!((some.sampler, some.parameter.as_str()), ("probabilistic", "0.1"));
    for (text, rule) in [
        ("jaeger", "option tracing: must be an agent's host:port, or a URL"),
        ("jaeger:0", "must be an agent's host:port"),
        ("{sampler: const}", "to: is not set"),
        ("{to: 'jaeger:6831', sampler: all}", "sampler: is not a valid sampler"),
        (
            "{to: 'jaeger:6831', sampler: probabilistic, parameter: 10}",
            "parameter: must be from 0 to 1 for sampler probabilistic",
        ),
        (
            "{to: 'jaeger:6831', parameter: many}",
            "parameter: must be a number, not text",
        ),
    ] {
        let error = error_of(json!({"tracing": text}));
        assert!(error.contains(rule), "{text}: {error}");
    }
}

#[test]
fn explainer_has_a_known_type_and_source() {
    let explained = |mut options: Json| {
        options["image"] = json!("iris:1");
        let config = parsed(options);
        assert_eq!(config.errors, []);
        config.models[0].explainer.clone().unwrap()
    };
    let one = explained(json!({"explainer": "{type: AnchorTabular, model-uri: 'gs://b/e', config: {threshold: 0.9}}"}));
    assert_eq!(
        (one.kind, one.replicas, one.config["threshold"].as_str()),
        ("AnchorTabular", 1, "0.9")
    );
    let v2 = explained(json!({"protocol": "v2", "explainer": "{type: AnchorTabular, init-parameters: {seed: 1}}"}));
    assert_eq!(v2.init_parameters.as_deref(), Some("{\"seed\":1}"));
    for (text, rule) in [
        ("{}", "type: is not set"),
        ("{type: Anchor}", "type: is not a valid type"),
        ("{type: ALE, model_uri: x}", "did you mean `model-uri`?"),
        ("{type: ALE, model-uri: here}", "model-uri: must be a URI"),
        (
            "{type: ALE, init-parameters: {a: 1}}",
            "init-parameters: used with protocol v2 only",
        ),
        (
            "{type: ALE, replicas: 0}",
            "replicas: must be a whole number from 1 to 100",
        ),
    ] {
        let error = error_of(json!({"explainer": text}));
        assert!(error.contains(rule), "{text}: {error}");
    }
    let error = error_of(json!({"protocol": "v2", "explainer": "{type: ALE, config: {a: 1}}"}));
    assert!(error.contains("config: not used with protocol v2"), "{error}");
    let long = "a".repeat(46);
    let models = format!("{{{long}: {{image: 'iris:1', explainer: {{type: ALE}}}}}}");
    let config = parsed(json!({"models": models}));
    assert!(
        config.errors[0].to_string().contains("would be 1 characters too long"),
        "{:?}",
        config.errors
    );
}

#[test]
fn headers_are_changed_by_name() {
    let config = parsed(json!({
        "image": "iris:1",
        "headers": "{request: {set: {X-Site: '12'}, remove: [cookie]}, response: {add: {x-model: iris}}}",
    }));
    assert_eq!(config.errors, []);
    let headers = &config.models[0].headers;
    assert_eq!(headers.request.set["X-Site"], "12");
    assert_eq!(headers.request.remove, ["cookie"]);
    assert_eq!(headers.response.add["x-model"], "iris");
    for (text, rule) in [
        ("{}", "must have `set`, `add` or `remove`"),
        ("{request: {}}", "must have `set`, `add` or `remove`"),
        ("{set: {a: b}}", "option headers: unknown key `set`"),
        ("{request: {put: {a: b}}}", "request: unknown key `put`"),
        (
            "{request: {set: {':path': /}}}",
            "request.set: \"\" is not a valid header name",
        ),
        (
            "{request: {set: {Host: a}}}",
            "request.set: header Host cannot be changed",
        ),
        ("{request: {set: {a: \"b\\nc\"}}}", "request.set: a: must be one line"),
        (
            "{response: {remove: cookie}}",
            "response.remove: must be a list of header names",
        ),
        (
            "{request: {set: {x-a: a%20b%20c}}}",
            "(\"%20b%\" is not a command that every Envoy supports",
        ),
        ("{request: {add: {x-a: 100%}}}", "request.add: x-a: write %% for %"),
        ("{response: {set: {x-a: '%REQ%'}}}", "(\"%REQ%\" is not a command"),
        ("{response: {add: {x-a: '%A'}}}", "(\"%A\" is not a command"),
    ] {
        let error = error_of(json!({"headers": text}));
        assert!(error.contains(rule), "{text}: {error}");
    }
}

#[test]
fn headers_stay_within_envoys_limits() {
    let headers = |set: usize, add: usize, name: usize, value: usize| {
        let many = |count: usize, first: &str| -> String {
            let names = (1..count).map(|n| format!("{first}{n}: x, "));
            names.collect::<String>() + &format!("{}: {}", "n".repeat(name), "v".repeat(value))
        };
        let text = format!(
            "{{request: {{set: {{{}}}, add: {{{}}}}}}}",
            many(set, "s"),
            many(add, "a")
        );
        parsed(json!({"image": "iris:1", "headers": text}))
    };
    assert_eq!(headers(500, 500, 256, 16384).errors, []);
    for (config, rule) in [
        (
            headers(500, 501, 1, 1),
            "request: must set and add at most 1000 headers",
        ),
        (
            headers(1, 1, 257, 1),
            "nnnnnnnnnnnnnnnnnnnnnnnn…: name must be at most 256 bytes",
        ),
        (headers(1, 1, 1, 16385), "n: must be at most 16384 bytes"),
    ] {
        let error = config.errors[0].to_string();
        assert!(error.contains(rule), "{error}");
    }
}

#[test]
fn envoy_commands_and_percent_signs_stay_in_headers() {
    let config = parsed(json!({
        "image": "iris:1",
        "headers": "{request: {set: {x-from: '%DOWNSTREAM_REMOTE_ADDRESS%'}}, response: {add: {x-load: 90%%}}}",
    }));
    assert_eq!(config.errors, []);
    let headers = &config.models[0].headers;
    assert_eq!(headers.request.set["x-from"], "%DOWNSTREAM_REMOTE_ADDRESS%");
    assert_eq!(headers.response.add["x-load"], "90%%");
}
