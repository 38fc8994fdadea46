//! `predict` and `feedback`: a request to a model, through the gateway like those of clients, or directly to a predictor.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::gateway_endpoints::{self, Endpoint, Exposure, Service};
use super::parameters::{Parameters, invalid_map};
use super::protocol::InferenceProtocol;
use super::request::{Target, post};
use super::{ActionContext, Failure, GRANT_ALTERNATIVE, Results, api_error, select_model};
use crate::config::Model;
use crate::config::value::either;
use crate::inputs::Inputs;
use crate::plan::PlannedModel;
use crate::reconcile::snapshot::Snapshot;

/// Longest request, in bytes.
const LONGEST_REQUEST: usize = 1024 * 1024;
/// Allowed timeouts, in seconds.
const TIMEOUT: RangeInclusive<u32> = 1..=60;
/// In seconds.
const DEFAULT_TIMEOUT: u32 = 10;
/// A hint for messages about the gateway.
const DIRECT: &str = "direct=true bypasses the gateway";

pub async fn predict(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let data = parameters.map("data")?;
    let data = data.ok_or_else(|| invalid_map("data", "must be set"))?;
    let path = |protocol: &InferenceProtocol, _: &Model| Ok(protocol.predictions());
    send(call, &parameters, &data, path).await
}

pub async fn feedback(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut data = Map::new();
    for name in ["request", "response", "truth"] {
        if let Some(map) = parameters.map(name)? {
            data.insert(name.to_owned(), Value::Object(map));
        }
    }
    if let Some(reward) = parameters.number("reward")? {
        data.insert("reward".to_owned(), Value::from(reward));
    }
    if !data.contains_key("reward") && !data.contains_key("truth") {
        let rule = "must be set, such as reward=1.0 or --string-args truth='{…}'";
        return Err(format!("parameter reward or truth: {rule}").into());
    }
    let path = |protocol: &InferenceProtocol, model: &Model| {
        protocol.feedback().map(ToOwned::to_owned).map_err(|protocol| {
            format!(
                "{}: Seldon Core does not forward feedback with protocol {protocol}, only with seldon",
                model.name
            )
        })
    };
    send(call, &parameters, &data, path).await
}

async fn send(
    call: &ActionContext<'_>,
    parameters: &Parameters,
    data: &Map<String, Value>,
    path: impl FnOnce(&InferenceProtocol, &Model) -> Result<String, String>,
) -> Result<Results, Failure> {
    let limit = parameters.whole("timeout", &TIMEOUT)?.unwrap_or(DEFAULT_TIMEOUT);
    let predictor = parameters.text("predictor")?;
    let is_direct = parameters.flag("direct")? || predictor.is_some();
    let body = serde_json::to_vec(data).unwrap_or_default();
    if body.len() > LONGEST_REQUEST {
        let length = body.len().div_ceil(1024);
        let most = LONGEST_REQUEST / 1024;
        return Err(format!("the request is {length} KiB long, must be at most {most} KiB").into());
    }
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    let desired = parameters.text("model")?;
    select_model(&inputs, desired)?;
    let snapshot = call.snapshot(&mut inputs).await?;
    let model = select_model(&inputs, desired)?;
    let planned = snapshot.plan.model(&model.name);
    let planned = planned.ok_or_else(|| format!("{}: not planned", model.name))?;
    let live = snapshot.observed.seldon_deployment(&model.name);
    let live = live
        .filter(|live| snapshot.identity.has_our_labels(live))
        .map(|live| &live.data);
    let protocol = InferenceProtocol::read(live.unwrap_or(&planned.deployment), predictor);
    let path = path(&protocol, model)?;
    let target = if is_direct {
        direct(call, &snapshot, planned, predictor, &path).await?
    } else {
        through_gateway(call, &snapshot, planned, &path).await?
    };

    let mut results = vec![("url".to_owned(), target.url())];
    results.extend(target.host.clone().map(|host| ("host".to_owned(), host)));
    let answer = match post(&target, body, Duration::from_secs(limit.into())).await {
        Ok(answer) => answer,
        Err(cause) => {
            let message = format!(
                "{}: no answer. Run: {} ({}: {cause})",
                model.name,
                call.commands().diagnose(),
                target.url()
            );
            return Err(Failure::Failed(message, results));
        }
    };
    results.extend([
        ("status-code".to_owned(), answer.status.to_string()),
        ("latency-ms".to_owned(), answer.latency.as_millis().to_string()),
        ("result".to_owned(), answer.text),
    ]);
    if answer.is_cut {
        results.push(("cut".to_owned(), "the answer is longer than what is shown".to_owned()));
    }
    if !(200..300).contains(&answer.status) {
        let mut message = format!("{}: status code {}", model.name, answer.status);
        if let (false, Some(access), 401 | 403) = (is_direct, &model.access, answer.status) {
            let _ = write!(message, " (it {access}; {DIRECT})");
        }
        return Err(Failure::Failed(message, results));
    }
    Ok(results)
}

/// The cluster address of a predictor's Service.
async fn direct(
    call: &ActionContext<'_>,
    snapshot: &Snapshot,
    planned: &PlannedModel,
    predictor: Option<&str>,
    path: &str,
) -> Result<Target, Failure> {
    let name = &planned.model.name;
    let mut predictors = planned.predictors.iter();
    let selected = predictors.find(|planned| predictor.is_none_or(|name| planned.name == name));
    let Some(selected) = selected else {
        let unknown = predictor.unwrap_or_default();
        let names: Vec<&str> = planned
            .predictors
            .iter()
            .map(|predictor| predictor.name.as_str())
            .collect();
        let rule = format!("unknown predictor `{unknown}` of {name}, expected {}", either(&names));
        return Err(format!("parameter predictor: {rule}").into());
    };
    let services = gateway_endpoints::services(&snapshot.cluster, &snapshot.identity.namespace).await;
    let services = services.map_err(|error| api_error(call, &error))?;
    let service = services.into_iter().find(|service| service.name == selected.service);
    let address = service.and_then(|service: Service| service.cluster_address);
    let address = address.ok_or_else(|| {
        format!(
            "{name}: waiting for Seldon Core to create its Service. Run: {} (Service {})",
            call.commands().diagnose(),
            selected.service
        )
    })?;
    Ok(Target {
        tls: false,
        address,
        port: snapshot.observed.ports(name, &selected.service).http,
        host: None,
        path: format!("/{path}"),
    })
}

/// The endpoints inside the cluster, those without TLS first.
pub fn cluster_endpoints(endpoints: &[Endpoint]) -> Vec<&Endpoint> {
    let mut inside: Vec<&Endpoint> = endpoints
        .iter()
        .filter(|endpoint| endpoint.exposure == Exposure::Cluster)
        .collect();
    inside.sort_by_key(|endpoint| endpoint.tls);
    inside
}

async fn through_gateway(
    call: &ActionContext<'_>,
    snapshot: &Snapshot,
    planned: &PlannedModel,
    path: &str,
) -> Result<Target, Failure> {
    let model = &planned.model;
    let known = planned.gateway.as_ref().and_then(|gateway| {
        let listeners = snapshot.observed.gateways.get(gateway)?;
        Some((gateway, listeners))
    });
    let Some((gateway, listeners)) = known else {
        return Err(format!(
            "{}: no gateway. Run: {} ({DIRECT})",
            model.name,
            call.commands().diagnose()
        )
        .into());
    };
    let gateway_state = gateway_endpoints::find(&snapshot.cluster, gateway, listeners).await;
    let endpoints = gateway_state.endpoints(listeners);
    let inside = cluster_endpoints(&endpoints);
    if inside.is_empty() {
        let (run, cause) = if let Some(ambiguity) = gateway_state.ambiguity(gateway, listeners) {
            (ambiguity.command, ambiguity.cause)
        } else if gateway_state.services.is_none() {
            let cause = format!("{}; {GRANT_ALTERNATIVE}", gateway_state.unknown.join("; "));
            (call.commands().trust(), cause)
        } else {
            let cause = format!("Gateway {gateway}: no Service has a cluster address for its ports");
            (call.commands().diagnose(), cause)
        };
        return Err(format!(
            "{}: gateway address unknown. Run: {run} ({cause}; {DIRECT})",
            model.name
        )
        .into());
    }
    let target = Target::of_model(model, &inside, &format!("{}{path}", model.prefix));
    let not_accepted = || {
        let hosts = model.hosts.join(", ");
        format!(
            "{}: not accepted by gateway {gateway}. Run: {} (hosts {hosts})",
            model.name,
            model.config_command(&call.context.application, "hosts", "…")
        )
    };
    target.ok_or_else(not_accepted).map_err(Failure::from)
}
