//! `predict` and `feedback`: a request to a model, through the gateway as its clients send it, or straight to a predictor.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::gateway_endpoints::{self, Endpoint, Exposure, Service, common_hosts};
use super::parameters::{Parameters, example_of_map};
use super::protocol::InferenceProtocol;
use super::request::{Target, post};
use super::{ActionContext, Failure, Results, api_error, select_model};
use crate::config::Model;
use crate::inputs::Inputs;
use crate::plan::PlannedModel;
use crate::reconcile::snapshot::Snapshot;
use crate::shell::{command, juju_trust};

/// Longest request, in bytes.
const LONGEST_REQUEST: usize = 1024 * 1024;
/// Seconds that an answer may take.
const TIMEOUT: RangeInclusive<u32> = 1..=60;
/// Where it is not said.
const DEFAULT_TIMEOUT: u32 = 10;

/// Asks a model for a prediction.
pub async fn predict(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let data = parameters.map("data")?;
    let data = data.ok_or_else(|| format!("data is missing; {}", example_of_map("data")))?;
    let path = |protocol: &InferenceProtocol, _: &Model| Ok(protocol.predictions());
    send(call, &parameters, &data, path).await
}

/// Tells a model what an answer was worth.
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
        let why = "say what the answer was worth, reward=1.0, or what would have been right, --string-args truth='{…}'";
        return Err(why.to_owned().into());
    }
    let path = |protocol: &InferenceProtocol, model: &Model| {
        protocol.feedback().map(ToOwned::to_owned).map_err(|protocol| {
            format!(
                "{} speaks the protocol {protocol}, with which Seldon Core passes no feedback on; that of seldon alone has it",
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
        return Err(format!("the request is {length} KiB long, at most {most} KiB are sent").into());
    }
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    let desired = parameters.text("model")?;
    select_model(&inputs, desired)?;
    let snapshot = call.snapshot(&mut inputs).await?;
    let model = select_model(&inputs, desired)?;
    let planned = snapshot.plan.model(&model.name);
    let planned = planned.ok_or_else(|| format!("{} is not planned", model.name))?;
    let live = snapshot.observed.seldon_deployment(&model.name);
    let live = live
        .filter(|live| snapshot.identity.labelled(live))
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
        Err(why) => {
            let text = format!(
                "{} does not answer at {}: {why}; {} says what is broken",
                model.name,
                target.url(),
                command(&["juju", "run", &call.context.unit, "diagnose"])
            );
            return Err(Failure::Because(text, results));
        }
    };
    results.extend([
        ("status-code".to_owned(), answer.status.to_string()),
        ("latency-ms".to_owned(), answer.latency.as_millis().to_string()),
        ("result".to_owned(), answer.text),
    ]);
    if answer.is_cut {
        results.push((
            "cut".to_owned(),
            "the answer is longer, this is its beginning".to_owned(),
        ));
    }
    if !(200..300).contains(&answer.status) {
        let text = format!("{} answers with status code {}", model.name, answer.status);
        return Err(Failure::Because(text, results));
    }
    Ok(results)
}

/// The Service of a predictor, by its address in the cluster.
async fn direct(
    call: &ActionContext<'_>,
    snapshot: &Snapshot,
    planned: &PlannedModel,
    predictor: Option<&str>,
    path: &str,
) -> Result<Target, Failure> {
    let name = &planned.model.name;
    let mut predictors = planned.predictors.iter();
    let meant = predictors.find(|one| predictor.is_none_or(|name| one.name == name));
    let Some(meant) = meant else {
        let all: Vec<&str> = planned.predictors.iter().map(|one| one.name.as_str()).collect();
        return Err(format!("{name} has no such predictor: predictor=<one of {}>", all.join(", ")).into());
    };
    let services = gateway_endpoints::services(&snapshot.cluster, &snapshot.identity.namespace).await;
    let services = services.map_err(|error| api_error(call, &error))?;
    let service = services.into_iter().find(|service| service.name == meant.service);
    let address = service.and_then(|service: Service| service.cluster_address);
    let address = address.ok_or_else(|| {
        format!(
            "Seldon Core has made no Service {} yet; {} says why",
            meant.service,
            command(&["juju", "run", &call.context.unit, "diagnose"])
        )
    })?;
    Ok(Target {
        tls: false,
        address,
        port: snapshot.observed.ports(name, &meant.service).http,
        host: None,
        path: format!("/{path}"),
    })
}

async fn through_gateway(
    call: &ActionContext<'_>,
    snapshot: &Snapshot,
    planned: &PlannedModel,
    path: &str,
) -> Result<Target, Failure> {
    let model = &planned.model;
    let instead = "direct=true asks the model itself";
    let found = planned.gateway.as_ref().and_then(|gateway| {
        let listeners = snapshot.observed.gateways.get(gateway)?;
        Some((gateway, listeners))
    });
    let Some((gateway, listeners)) = found else {
        return Err(format!(
            "{} has no gateway that is there; {} says why, {instead}",
            model.name,
            command(&["juju", "run", &call.context.unit, "diagnose"])
        )
        .into());
    };
    let found = gateway_endpoints::find(&snapshot.cluster, gateway, listeners).await;
    let endpoints = found.endpoints(listeners);
    let mut inside: Vec<&Endpoint> = endpoints
        .iter()
        .filter(|endpoint| endpoint.exposure == Exposure::Cluster)
        .collect();
    inside.sort_by_key(|endpoint| endpoint.tls);
    if inside.is_empty() {
        let why = if found.services.is_none() {
            let application = &call.context.application;
            format!("{}: {}", found.unknown.join("; "), juju_trust(application))
        } else {
            format!("no Service of the Gateway {gateway} has an address for its ports in the cluster")
        };
        return Err(format!("the gateway's address is not known: {why}; {instead}").into());
    }
    let target = inside.into_iter().find_map(|endpoint| {
        let host = common_hosts(&model.hosts, &endpoint.hosts).into_iter().next()?;
        Some(Target {
            tls: endpoint.tls,
            address: endpoint.address.clone(),
            port: endpoint.port,
            // Of those below a domain, the one called as the model is as good as any.
            host: host.map(|host| host.replacen('*', &model.name, 1)),
            path: format!("{}{path}", model.prefix),
        })
    });
    let none = || format!("the gateway {gateway} takes no requests for {}", model.hosts.join(", "));
    target.ok_or_else(none).map_err(Failure::from)
}
