//! The report of `diagnose` as text.

use super::{Finding, Missing, NOTHING};
use crate::actions::checks::CheckState;
use crate::actions::{ActionContext, GRANT_ALTERNATIVE, api_error};
use crate::api_error::ApiError;
use crate::inputs::Inputs;
use crate::inputs::gateway::RelatedGateway;
use crate::permissions::Permission;
use crate::status::{self, Report};

pub fn report(
    call: &ActionContext,
    inputs: &Inputs,
    report: &Report,
    findings: &[Finding],
    missing: &Missing,
) -> String {
    let application = &call.context.application;
    let status = &report.status;
    let mut lines = vec![format!(
        "{application} in model {}: {}: {}",
        call.context.model_name,
        status.state.as_str(),
        status.message
    )];
    // Where a command does not fit, the status names this action, which prints it.
    let problems = report.problems.iter().map(ToString::to_string);
    lines.extend(
        problems
            .filter(|problem| *problem != status.message)
            .map(|problem| indented(&problem)),
    );
    lines.extend(["", "Juju"].map(ToOwned::to_owned));
    lines.extend(relations(inputs).iter().map(|line| indented(line)));
    let errors = &inputs.config.errors;
    lines.push(indented(&format!("invalid options: {}", errors.len())));
    lines.extend(errors.iter().map(|error| indented(&indented(&error.to_string()))));
    lines.extend(["", "Permissions"].map(ToOwned::to_owned));
    lines.extend(permissions(call, missing).iter().map(|line| indented(line)));
    lines.extend(["", "Cluster"].map(ToOwned::to_owned));
    lines.push(indented(&match missing {
        Ok(_) => "CRDs of Seldon Core and Istio: found".to_owned(),
        Err(error) => api_error(call, error),
    }));
    lines.extend(report.notes.iter().map(|note| indented(note)));
    for finding in findings {
        lines.push(String::new());
        lines.extend(model(finding));
    }
    lines.join("\n")
}

fn indented(line: &str) -> String {
    format!("  {line}")
}

fn model(finding: &Finding) -> Vec<String> {
    let mut lines = vec![match finding.broken {
        NOTHING => format!("Model {}: ok", finding.model),
        broken => format!("Model {}: fails at {broken}", finding.model),
    }];
    let mut is_reached = true;
    for check in &finding.checks {
        let mark = match check.state {
            CheckState::Passed => "ok",
            CheckState::Unknown => "?",
            CheckState::Failed => "FAILED",
        };
        // A failure after the first one is often only a consequence of it.
        let mark = if is_reached {
            mark.to_owned()
        } else {
            format!("({mark})")
        };
        is_reached &= check.state != CheckState::Failed;
        lines.push(indented(&format!("{mark:8} {}: {}", check.name, check.text)));
    }
    if finding.checks.is_empty() {
        lines.push(indented(&finding.why));
    }
    let competitors = finding.competitors.iter();
    lines.extend(competitors.map(|competitor| indented(&format!("other route: {competitor}"))));
    lines
}

fn relations(inputs: &Inputs) -> Vec<String> {
    let gateway = match &inputs.gateway {
        RelatedGateway::None => "gateway-info: not related".to_owned(),
        RelatedGateway::Pending(by) => {
            format!("{}: {} has not named a gateway yet", by.kind.endpoint(), by.application)
        }
        RelatedGateway::Ambiguous(all) => {
            let all = all
                .iter()
                .map(|by| format!("{} ({})", by.application, by.kind.endpoint()));
            format!(
                "several gateways are related: {}",
                all.collect::<Vec<_>>().join(" and ")
            )
        }
        RelatedGateway::Known { gateway, up, by } => {
            let up = if *up { "" } else { " (not ready)" };
            format!("{}: {} provides {gateway}{up}", by.kind.endpoint(), by.application)
        }
    };
    let related = inputs.juju.related.iter();
    let others = related.filter(|endpoint| !["gateway-info", "gateway-metadata"].contains(&endpoint.as_str()));
    [gateway]
        .into_iter()
        .chain(others.map(|endpoint| format!("{endpoint}: related")))
        .collect()
}

fn permissions(call: &ActionContext, missing: &Missing) -> Vec<String> {
    let grant = call.commands().trust();
    let line = |purpose: &str, missing: &[Permission]| {
        if missing.is_empty() {
            format!("{purpose}: granted")
        } else {
            let missing = status::rights(missing);
            format!("{purpose}: may not {missing}. Run: {grant} ({GRANT_ALTERNATIVE})")
        }
    };
    match missing {
        Ok(missing) => missing
            .iter()
            .map(|(purpose, missing)| line(purpose, missing))
            .collect(),
        Err(ApiError::Forbidden { missing, .. }) => vec![line("required", missing)],
        Err(_) => vec!["not checked, as the cluster cannot be reached".to_owned()],
    }
}
