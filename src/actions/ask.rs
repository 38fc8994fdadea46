//! `predict` and `feedback`: a request to a model, through the gateway as its clients send it, or straight to a predictor.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::parameters::{Parameters, example_of_map};
use super::protocol::Speech;
use super::request::{Target, post};
use super::{Call, Failure, Results, chosen, refused};
use crate::asked::Asked;
use crate::config::Model;
use crate::entrance::{Reach, Service, Way, names};
use crate::look::Look;
use crate::plan::PlannedModel;
use crate::shell::{command, juju_trust};

/// Longest request, in bytes.
const LONGEST_REQUEST: usize = 1024 * 1024;
/// Seconds that an answer may take.
const TIMEOUT: RangeInclusive<u32> = 1..=60;
/// Where it is not said.
const DEFAULT_TIMEOUT: u32 = 10;

/// Asks a model for a prediction.
pub async fn predict(call: &Call<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let data = parameters.map("data")?;
    let data = data.ok_or_else(|| format!("data is missing; {}", example_of_map("data")))?;
    let path = |speech: &Speech, _: &Model| Ok(speech.predictions());
    ask(call, &parameters, &data, path).await
}

/// Tells a model what an answer was worth.
pub async fn feedback(call: &Call<'_>) -> Result<Results, Failure> {
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
    let path = |speech: &Speech, model: &Model| {
        speech.feedback().map(ToOwned::to_owned).map_err(|protocol| {
            format!(
                "{} speaks the protocol {protocol}, with which Seldon Core passes no feedback on; that of seldon alone has it",
                model.name
            )
        })
    };
    ask(call, &parameters, &data, path).await
}

async fn ask(
    call: &Call<'_>,
    parameters: &Parameters,
    data: &Map<String, Value>,
    path: impl FnOnce(&Speech, &Model) -> Result<String, String>,
) -> Result<Results, Failure> {
    let limit = parameters.whole("timeout", &TIMEOUT)?.unwrap_or(DEFAULT_TIMEOUT);
    let predictor = parameters.text("predictor")?;
    let direct = parameters.flag("direct")? || predictor.is_some();
    let body = serde_json::to_vec(data).unwrap_or_default();
    if body.len() > LONGEST_REQUEST {
        let length = body.len().div_ceil(1024);
        let most = LONGEST_REQUEST / 1024;
        return Err(format!("the request is {length} KiB long, at most {most} KiB are sent").into());
    }
    let mut asked = Asked::read(call.tools, call.invocation, call.identity)?;
    let wanted = parameters.text("model")?;
    chosen(&asked, wanted)?;
    let look = call.look(&mut asked).await?;
    let model = chosen(&asked, wanted)?;
    let planned = look.plan.model(&model.name);
    let planned = planned.ok_or_else(|| format!("{} is not planned", model.name))?;
    let live = look.observed.seldon_deployment(&model.name);
    let live = live.filter(|live| look.identity.labelled(live)).map(|live| &live.data);
    let speech = Speech::read(live.unwrap_or(&planned.deployment), predictor);
    let path = path(&speech, model)?;
    let target = if direct {
        straight(call, &look, planned, predictor, &path).await?
    } else {
        through_the_gateway(call, &look, planned, &path).await?
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
                command(&["juju", "run", &call.invocation.unit, "diagnose"])
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
async fn straight(
    call: &Call<'_>,
    look: &Look,
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
    let services = look.cluster.services().await;
    let services = services.map_err(|refusal| refused(call, &refusal))?;
    let service = services.into_iter().find(|service| service.name == meant.service);
    let address = service.and_then(|service: Service| service.cluster_address);
    let address = address.ok_or_else(|| {
        format!(
            "Seldon Core has made no Service {} yet; {} says why",
            meant.service,
            command(&["juju", "run", &call.invocation.unit, "diagnose"])
        )
    })?;
    Ok(Target {
        tls: false,
        address,
        port: look.observed.ports(name, &meant.service).http,
        host: None,
        path: format!("/{path}"),
    })
}

async fn through_the_gateway(
    call: &Call<'_>,
    look: &Look,
    planned: &PlannedModel,
    path: &str,
) -> Result<Target, Failure> {
    let model = &planned.model;
    let instead = "direct=true asks the model itself";
    let found = planned.gateway.as_ref().and_then(|gateway| {
        let listeners = look.observed.gateways.get(gateway)?;
        Some((gateway, listeners))
    });
    let Some((gateway, listeners)) = found else {
        return Err(format!(
            "{} has no gateway that is there; {} says why, {instead}",
            model.name,
            command(&["juju", "run", &call.invocation.unit, "diagnose"])
        )
        .into());
    };
    let entrance = look.cluster.entrance(gateway, listeners).await;
    let ways = entrance.ways(listeners);
    let mut inside: Vec<&Way> = ways.iter().filter(|way| way.reach == Reach::Cluster).collect();
    inside.sort_by_key(|way| way.tls);
    if inside.is_empty() {
        let why = if entrance.services.is_none() {
            let application = &call.invocation.application;
            format!("{}: {}", entrance.unknown.join("; "), juju_trust(application))
        } else {
            format!("no Service of the Gateway {gateway} has an address for its ports in the cluster")
        };
        return Err(format!("the gateway's address is not known: {why}; {instead}").into());
    }
    let target = inside.into_iter().find_map(|way| {
        let host = names(&model.hosts, &way.hosts).into_iter().next()?;
        Some(Target {
            tls: way.tls,
            address: way.address.clone(),
            port: way.port,
            // Of those below a domain, the one called as the model is as good as any.
            host: host.map(|host| host.replacen('*', &model.name, 1)),
            path: format!("{}{path}", model.prefix),
        })
    });
    let none = || format!("the gateway {gateway} takes no requests for {}", model.hosts.join(", "));
    target.ok_or_else(none).map_err(Failure::from)
}
