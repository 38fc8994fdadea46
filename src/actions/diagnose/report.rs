//! The report of `diagnose`, for people.

use super::{Finding, Missing, NOTHING};
use crate::actions::checks::CheckState;
use crate::actions::{ActionContext, api_error};
use crate::api_error::ApiError;
use crate::inputs::Inputs;
use crate::inputs::gateway::RelatedGateway;
use crate::permissions::Permission;
use crate::shell::juju_trust;
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
    lines.push(indented(&format!("faulty options: {}", errors.len())));
    lines.extend(errors.iter().map(|error| indented(&indented(&error.to_string()))));
    lines.extend(["", "Rights"].map(ToOwned::to_owned));
    lines.extend(rights(application, missing).iter().map(|line| indented(line)));
    lines.extend(["", "Cluster"].map(ToOwned::to_owned));
    lines.push(indented(&match missing {
        Ok(_) => "Seldon Core's and Istio's definitions are there".to_owned(),
        Err(error) => api_error(call, error),
    }));
    lines.extend(report.notes.iter().map(|note| indented(note)));
    for found in findings {
        lines.push(String::new());
        lines.extend(model(found));
    }
    lines.join("\n")
}

fn indented(line: &str) -> String {
    format!("  {line}")
}

fn model(found: &Finding) -> Vec<String> {
    let mut lines = vec![match found.broken {
        NOTHING => format!("Model {}: whole", found.model),
        broken => format!("Model {}: broken at {broken}", found.model),
    }];
    let mut is_reached = true;
    for link in &found.links {
        let mark = match link.state {
            CheckState::Passed => "ok",
            CheckState::Unknown => "?",
            CheckState::Failed => "BROKEN",
        };
        // What comes behind a broken link is often only a consequence.
        let mark = if is_reached {
            mark.to_owned()
        } else {
            format!("({mark})")
        };
        is_reached &= link.state != CheckState::Failed;
        lines.push(indented(&format!("{mark:8} {}: {}", link.name, link.text)));
    }
    if found.links.is_empty() {
        lines.push(indented(&found.why));
    }
    let competitors = found.competitors.iter();
    lines.extend(competitors.map(|competitor| indented(&format!("beside it on the gateway: {competitor}"))));
    lines
}

fn relations(inputs: &Inputs) -> Vec<String> {
    let gateway = match &inputs.gateway {
        RelatedGateway::None => "gateway-info: not related".to_owned(),
        RelatedGateway::Pending(by) => format!("{}: {} has not said which gateway", by.kind.endpoint(), by.application),
        RelatedGateway::Ambiguous(all) => {
            let all = all
                .iter()
                .map(|by| format!("{} ({})", by.application, by.kind.endpoint()));
            format!("several name a gateway: {}", all.collect::<Vec<_>>().join(" and "))
        }
        RelatedGateway::Known { gateway, up, by } => {
            let up = if *up { "" } else { ", which is not up" };
            format!("{}: {} names {gateway}{up}", by.kind.endpoint(), by.application)
        }
    };
    let related = inputs.juju.related.iter();
    let others = related.filter(|endpoint| !["gateway-info", "gateway-metadata"].contains(&endpoint.as_str()));
    [gateway]
        .into_iter()
        .chain(others.map(|endpoint| format!("{endpoint}: related")))
        .collect()
}

fn rights(application: &str, missing: &Missing) -> Vec<String> {
    let grant = juju_trust(application);
    let said = |what: &str, missing: &[Permission]| {
        if missing.is_empty() {
            format!("{what}: all there")
        } else {
            format!("{what}: may not {}; {grant}", status::rights(missing))
        }
    };
    match missing {
        Ok(missing) => missing.iter().map(|(what, lacks)| said(what, lacks)).collect(),
        Err(ApiError::Forbidden { missing, .. }) => vec![said("needed", missing)],
        Err(_) => vec!["not looked at, as the cluster could not be".to_owned()],
    }
}
