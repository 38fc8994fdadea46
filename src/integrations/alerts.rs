//! Alert rules on the models' metrics.
//!
//! A rule rests on what is there: `up`, which Prometheus writes itself for every target, and the executor's histogram of its
//! requests (Seldon Core v1.17.1, `executor/api/metric/server.go`). Its label `service` is `predictions` for HTTP and the method's whole
//! name for gRPC; `code` is a number for HTTP and a word for gRPC. No rule names the application: who takes the rules puts that into
//! every expression, by the rule's own labels.

use serde_json::{Value, json};

use super::CHARM;
use super::metrics::target;
use crate::api::seldon::{CANARY, PREDICTOR};
use crate::shell::{command, juju_config};
use juju_hooks::HookContext;

/// The executor's histogram of the requests that it answers, in seconds.
const REQUESTS: &str = "seldon_api_executor_server_requests_seconds";
/// Those that ask for a prediction, by HTTP or by one of the three protocols over gRPC.
pub const PREDICTIONS: &str = r#"service=~"predictions|.*/(Predict|ModelInfer)""#;
/// Answers that are the model's failure, not its client's.
pub const FAILED: &str =
    r#"code=~"5..|Unknown|DeadlineExceeded|ResourceExhausted|Unimplemented|Internal|Unavailable|DataLoss""#;
/// What rates are taken over: some scrapes, at the minute between two of them that Canonical's Prometheus leaves.
const WINDOW: &str = "5m";

/// The part of the answers that may be failures.
const MANY_FAILURES: f64 = 0.05;
/// Seconds within which 99 of 100 requests are to be answered: no client waits that long gladly.
const SLOW: f64 = 5.0;
/// How many times as long a canary may take.
const SLOWER: f64 = 2.0;
/// Seconds within which a canary may be as slow as it likes, in comparison.
const FAST: f64 = 0.05;

/// One rule.
struct AlertRule {
    name: &'static str,
    expression: String,
    /// How long it must hold.
    lasts: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: String,
}

/// The rules of an application, one group as Prometheus reads it; `scraped` says whether there is anything to scrape.
#[must_use]
pub fn rules(context: &HookContext, scraped: bool) -> Value {
    let application = &context.application;
    let mut rules = serving(application);
    rules.extend(answering(application));
    rules.extend(canary(application));
    if scraped {
        rules.push(AlertRule {
            name: "SeldonMetricsMissing",
            expression: format!("absent(up{{{}=~\".+\"}})", target::MODEL),
            lasts: "10m",
            severity: "critical",
            summary: "Nobody scrapes the models' metrics",
            description: format!(
                "No model of {application} has been scraped for 10 minutes, so no other alert can fire. Look at the application that is related to {application}:metrics-endpoint."
            ),
        });
    }
    let labelled = |rule: AlertRule| {
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
        "rules": rules.into_iter().map(labelled).collect::<Vec<_>>(),
    }]})
}

/// The labels of one predictor.
fn by_predictor() -> String {
    format!("{}, {}", target::MODEL, target::PREDICTOR)
}

fn serving(application: &str) -> Vec<AlertRule> {
    let up = |endpoint: &str| format!("up{{{}=\"{endpoint}\"}}", target::ENDPOINT);
    vec![
        AlertRule {
            name: "SeldonModelDown",
            expression: format!("max by ({}) ({}) == 0", by_predictor(), up(target::SERVICE)),
            lasts: "5m",
            severity: "critical",
            summary: "No pod of a model is ready",
            description: format!(
                "No pod of {{{{ $labels.seldon_model }}}} ({{{{ $labels.seldon_predictor }}}}) has been ready for 5 minutes. What keeps it from serving, and what to type: {}, {}.",
                command(&["juju", "status", application]),
                command(&["juju", "run", &format!("{application}/leader"), "list-models"])
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

fn answering(application: &str) -> Vec<AlertRule> {
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
                command(&["juju", "run", &format!("{application}/leader"), "rollback"])
            ),
        },
        AlertRule {
            name: "SeldonModelSlow",
            expression: format!("{} > {SLOW}", quantile(0.99, &by, &[PREDICTIONS])),
            lasts: "10m",
            severity: "warning",
            summary: "A model is slow",
            description: format!(
                "One of a hundred requests to {{{{ $labels.seldon_model }}}} ({{{{ $labels.seldon_predictor }}}}) takes longer than {{{{ $value | humanizeDuration }}}}. More pods may help ({}, or autoscale=…), or more processor for each (resources=…).",
                juju_config(application, "replicas", "…")
            ),
        },
    ]
}

/// What a canary does worse than the model itself.
fn canary(application: &str) -> Vec<AlertRule> {
    let by = target::MODEL;
    let of = |predictor: &str| format!("{}=\"{predictor}\"", target::PREDICTOR);
    let failures = |predictor: &str| {
        let of = of(predictor);
        let all = rate(by, &[&of, PREDICTIONS]);
        // Where nothing has ever failed, there is no such series.
        let failed = rate(by, &[&of, PREDICTIONS, FAILED]);
        format!("(({failed} or {all} * 0) / {all})")
    };
    let time = |predictor: &str| quantile(0.95, by, &[&of(predictor), PREDICTIONS]);
    let give_up = juju_config(application, "canary", "");
    let give_up = format!("To give it up: {give_up}, or canary: in its entry of models.");
    vec![
        AlertRule {
            name: "SeldonCanaryFailing",
            expression: format!("{} - {} > {MANY_FAILURES}", failures(CANARY), failures(PREDICTOR)),
            lasts: "10m",
            severity: "warning",
            summary: "A canary fails more often than the model",
            description: format!(
                "The canary of {{{{ $labels.seldon_model }}}} fails more often than the model itself, by {{{{ $value | humanizePercentage }}}} of the answers. {give_up}"
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
                "The canary of {{{{ $labels.seldon_model }}}} takes {{{{ $value | humanize }}}} times as long as the model itself, at the 95th percentile. {give_up}"
            ),
        },
    ]
}

/// Requests a second.
fn rate(by: &str, matchers: &[&str]) -> String {
    format!(
        "sum by ({by}) (rate({REQUESTS}_count{{{}}}[{WINDOW}]))",
        matchers.join(", ")
    )
}

/// The seconds within which that part of the requests is answered.
fn quantile(part: f64, by: &str, matchers: &[&str]) -> String {
    format!(
        "histogram_quantile({part}, sum by ({by}, le) (rate({REQUESTS}_bucket{{{}}}[{WINDOW}])))",
        matchers.join(", ")
    )
}
