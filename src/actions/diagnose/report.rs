//! The report of `diagnose`, for people.

use super::{Finding, Missing, NOTHING};
use crate::actions::{Call, refused};
use crate::api_error::ApiError;
use crate::asked::Asked;
use crate::judge::chain::LinkState;
use crate::judge::{self, Verdict};
use crate::permissions::Permission;
use crate::plan::RelatedGateway;
use crate::shell::juju_trust;

pub fn report(call: &Call, asked: &Asked, verdict: &Verdict, findings: &[Finding], missing: &Missing) -> String {
    let application = &call.invocation.application;
    let status = &verdict.status;
    let mut lines = vec![format!(
        "{application} in model {}: {}: {}",
        call.invocation.model_name,
        status.state.word(),
        status.message
    )];
    lines.extend(["", "Juju"].map(ToOwned::to_owned));
    lines.extend(relations(asked).iter().map(|line| indented(line)));
    let faults = &asked.config.faults;
    lines.push(indented(&format!("faulty options: {}", faults.len())));
    lines.extend(faults.iter().map(|fault| indented(&indented(&fault.to_string()))));
    lines.extend(["", "Rights"].map(ToOwned::to_owned));
    lines.extend(rights(application, missing).iter().map(|line| indented(line)));
    lines.extend(["", "Cluster"].map(ToOwned::to_owned));
    lines.push(indented(&match missing {
        Ok(_) => "Seldon Core's and Istio's definitions are there".to_owned(),
        Err(refusal) => refused(call, refusal),
    }));
    lines.extend(verdict.notes.iter().map(|note| indented(note)));
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
            LinkState::Sound => "ok",
            LinkState::Unknown => "?",
            LinkState::Broken => "BROKEN",
        };
        // What comes behind a broken link is often only a consequence.
        let mark = if is_reached {
            mark.to_owned()
        } else {
            format!("({mark})")
        };
        is_reached &= link.state != LinkState::Broken;
        lines.push(indented(&format!("{mark:8} {}: {}", link.name, link.text)));
    }
    if found.links.is_empty() {
        lines.push(indented(&found.why));
    }
    let rivals = found.rivals.iter();
    lines.extend(rivals.map(|rival| indented(&format!("beside it on the gateway: {rival}"))));
    lines
}

fn relations(asked: &Asked) -> Vec<String> {
    let gateway = match &asked.gateway {
        RelatedGateway::Missing => "gateway-info: not related".to_owned(),
        RelatedGateway::Silent(by) => format!(
            "{}: {} has not said which gateway",
            by.language.endpoint(),
            by.application
        ),
        RelatedGateway::Several(all) => {
            let all = all
                .iter()
                .map(|by| format!("{} ({})", by.application, by.language.endpoint()));
            format!("several name a gateway: {}", all.collect::<Vec<_>>().join(" and "))
        }
        RelatedGateway::Named { gateway, up, by } => {
            let up = if *up { "" } else { ", which is not up" };
            format!("{}: {} names {gateway}{up}", by.language.endpoint(), by.application)
        }
    };
    let related = asked.told.related.iter();
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
            format!("{what}: may not {}; {grant}", judge::rights(missing))
        }
    };
    match missing {
        Ok(missing) => missing.iter().map(|(what, lacks)| said(what, lacks)).collect(),
        Err(ApiError::Forbidden { missing, .. }) => vec![said("needed", missing)],
        Err(_) => vec!["not looked at, as the cluster could not be".to_owned()],
    }
}
