//! Alert rules on the models' metrics.
//!
//! The rules use `up`, which Prometheus writes itself for every target, and the executor's histogram of its
//! requests (Seldon Core v1.17.1, `executor/api/metric/server.go`). Its label `service` is `predictions` for HTTP and the method's whole
//! name for gRPC; `code` is a number for HTTP and a name for gRPC. No rule names the application: the scraper adds it to every
//! expression, from the rule's own labels.

use serde_json::{Value, json};

use super::CHARM;
use super::metrics::target;
use crate::api::seldon::{CANARY, PREDICTOR};
use crate::shell::{Commands, JujuCli, command, juju_config, juju_status};
use juju_hooks::HookContext;

/// The executor's histogram of the requests that it answers, in seconds.
const REQUESTS: &str = "seldon_api_executor_server_requests_seconds";
/// Requests for a prediction, by HTTP or by one of the three protocols over gRPC.
pub const PREDICTIONS: &str = r#"service=~"predictions|.*/(Predict|ModelInfer)""#;
/// Failures of the model, not of its client.
pub const FAILED: &str =
    r#"code=~"5..|Unknown|DeadlineExceeded|ResourceExhausted|Unimplemented|Internal|Unavailable|DataLoss""#;
/// The range of rates: several scrapes, as Canonical's Prometheus scrapes once a minute.
const WINDOW: &str = "5m";

/// The tolerated ratio of failures.
const MANY_FAILURES: &str = "0.05";
/// The tolerated 99th percentile of the latency, in seconds.
const SLOW: &str = "5";
/// How many times the model's latency a canary may have.
const SLOWER: &str = "2";
/// A latency in seconds below which a canary is fast enough in any case.
const FAST: &str = "0.05";

struct AlertRule {
    name: &'static str,
    expression: String,
    /// How long the expression must hold before the alert fires.
    lasts: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: String,
}

/// The rules of an application, one group of Prometheus; `scraped` is whether there are targets.
pub fn rules(context: &HookContext, scraped: bool) -> Value {
    let application = &context.application;
    let commands = Commands {
        application,
        namespace: &context.model_name,
        juju: JujuCli::of_version(context.version.as_ref()),
    };
    let mut rules = serving(&commands);
    rules.extend(answering(&commands));
    rules.extend(canary(application));
    if scraped {
        rules.push(AlertRule {
            name: "SeldonMetricsMissing",
            expression: format!("absent(up{{{}=~\".+\"}})", target::MODEL),
            lasts: "10m",
            severity: "critical",
            summary: "The models' metrics are not scraped",
            description: format!(
                "No model of {application} has been scraped for 10 minutes, so no other alert can fire. Look at the application that is related to {application}:metrics-endpoint."
            ),
        });
    }
    let has_our_labels = |rule: AlertRule| {
        json!({
            "alert": rule.name,
            "expr": rule.expression,
            "for": rule.lasts,
            "labels": {
                "severity": rule.severity,
                "juju_model": context.model_name,
                "juju_model_uuid": context.model_uuid,
                "juju_application": application,
                "juju_charm": CHARM,
            },
            "annotations": {"summary": rule.summary, "description": rule.description},
        })
    };
    let short: String = context.model_uuid.chars().take(8).collect();
    json!({"groups": [{
        "name": format!("{}_{short}_{application}_seldon_models_alerts", context.model_name),
        "rules": rules.into_iter().map(has_our_labels).collect::<Vec<_>>(),
    }]})
}

fn by_predictor() -> String {
    format!("{}, {}", target::MODEL, target::PREDICTOR)
}

fn serving(commands: &Commands) -> Vec<AlertRule> {
    let application = commands.application;
    let up = |endpoint: &str| format!("up{{{}=\"{endpoint}\"}}", target::ENDPOINT);
    vec![
        AlertRule {
            name: "SeldonModelDown",
            expression: format!("max by ({}) ({}) == 0", by_predictor(), up(target::SERVICE)),
            lasts: "5m",
            severity: "critical",
            summary: "No pod of a model is ready",
            description: format!(
                "No pod of {{{{ $labels.seldon_model }}}} ({{{{ $labels.seldon_predictor }}}}) has been ready for 5 minutes. For the cause and the command to run: {}, {}.",
                juju_status(application),
                commands.run_on_leader("list-models")
            ),
        },
        AlertRule {
            name: "SeldonReplicaDown",
            expression: format!("{} == 0", up(target::POD)),
            lasts: "15m",
            severity: "warning",
            summary: "A pod of a model does not answer",
            description: format!(
                "Pod {{{{ $labels.pod }}}} of {{{{ $labels.seldon_model }}}} ({{{{ $labels.seldon_predictor }}}}) has not answered for 15 minutes; requests go to the others. Look at it with {}.",
                command(&["kubectl", "describe", "pod", "{{ $labels.pod }}"])
            ),
        },
    ]
}

fn answering(commands: &Commands) -> Vec<AlertRule> {
    let by = by_predictor();
    vec![
        AlertRule {
            name: "SeldonModelFailing",
            expression: format!(
                "{} / {} > {MANY_FAILURES}",
                rate(&by, &[PREDICTIONS, FAILED]),
                rate(&by, &[PREDICTIONS])
            ),
            lasts: "10m",
            severity: "critical",
            summary: "A model answers with failures",
            description: format!(
                "{{{{ $value | humanizePercentage }}}} of the answers of {{{{ $labels.seldon_model }}}} ({{{{ $labels.seldon_predictor }}}}) are failures. Its log says why: {}. If a new version is to blame: {}.",
                command(&[
                    "kubectl",
                    "logs",
                    "-l",
                    "seldon-model/model={{ $labels.seldon_model }}",
                    "--all-containers"
                ]),
                commands.run_on_leader("rollback")
            ),
        },
        AlertRule {
            name: "SeldonModelSlow",
            expression: format!("{} > {SLOW}", quantile("0.99", &by, &[PREDICTIONS])),
            lasts: "10m",
            severity: "warning",
            summary: "A model is slow",
            description: format!(
                "One of a hundred requests to {{{{ $labels.seldon_model }}}} ({{{{ $labels.seldon_predictor }}}}) takes longer than {{{{ $value | humanizeDuration }}}}. More pods may help ({}, or autoscale=…), or more CPU for each (resources=…).",
                commands.config("replicas", "…")
            ),
        },
    ]
}

fn canary(application: &str) -> Vec<AlertRule> {
    let by = target::MODEL;
    let of = |predictor: &str| format!("{}=\"{predictor}\"", target::PREDICTOR);
    let failures = |predictor: &str| {
        let of = of(predictor);
        let all = rate(by, &[&of, PREDICTIONS]);
        // The series does not exist before the first failure.
        let failed = rate(by, &[&of, PREDICTIONS, FAILED]);
        format!("(({failed} or {all} * 0) / {all})")
    };
    let time = |predictor: &str| quantile("0.95", by, &[&of(predictor), PREDICTIONS]);
    let remove = juju_config(application, "canary", "");
    let remove = format!("To remove it: {remove}, or canary: in its entry of models.");
    vec![
        AlertRule {
            name: "SeldonCanaryFailing",
            expression: format!("{} - {} > {MANY_FAILURES}", failures(CANARY), failures(PREDICTOR)),
            lasts: "10m",
            severity: "warning",
            summary: "A canary fails more often than the model",
            description: format!(
                "The canary of {{{{ $labels.seldon_model }}}} fails more often than the model itself, by {{{{ $value | humanizePercentage }}}} of the answers. {remove}"
            ),
        },
        AlertRule {
            name: "SeldonCanarySlow",
            expression: format!(
                "{} / {} > {SLOWER} and {} > {FAST}",
                time(CANARY),
                time(PREDICTOR),
                time(CANARY)
            ),
            lasts: "10m",
            severity: "warning",
            summary: "A canary is slower than the model",
            description: format!(
                "The canary of {{{{ $labels.seldon_model }}}} takes {{{{ $value | humanize }}}} times as long as the model itself, at the 95th percentile. {remove}"
            ),
        },
    ]
}

/// Requests per second.
fn rate(by: &str, matchers: &[&str]) -> String {
    format!(
        "sum by ({by}) (rate({REQUESTS}_count{{{}}}[{WINDOW}]))",
        matchers.join(", ")
    )
}

/// A quantile of the latency, in seconds.
fn quantile(quantile: &str, by: &str, matchers: &[&str]) -> String {
    format!(
        "histogram_quantile({quantile}, sum by ({by}, le) (rate({REQUESTS}_bucket{{{}}}[{WINDOW}])))",
        matchers.join(", ")
    )
}
