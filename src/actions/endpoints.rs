//! `endpoints`: where each model is reached, with the ports and addresses that are there now.

use std::collections::{BTreeMap, BTreeSet};

use super::protocol::Speech;
use super::request::bracketed;
use super::{Call, Failure, Results, chosen};
use crate::asked::Asked;
use crate::config::value::GatewayName;
use crate::entrance::{Entrance, Reach, Way, names};
use crate::judge::Standing;
use crate::look::Look;
use crate::plan::PlannedModel;
use crate::shell::juju_trust;

pub async fn run(call: &Call<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut asked = Asked::read(call.tools, call.invocation, call.identity)?;
    let wanted = parameters.text("model")?;
    let only = wanted.map(|wanted| Ok::<_, Failure>(chosen(&asked, Some(wanted))?.name.clone()));
    let only = only.transpose()?;
    let only = only.as_ref();
    let mut look = call.look(&mut asked).await?;
    look.deeper().await;
    let models: Vec<&PlannedModel> = look
        .plan
        .models
        .iter()
        .filter(|planned| only.is_none_or(|only| planned.model.name == *only))
        .collect();
    if models.is_empty() && look.plan.held.is_empty() {
        let fault = asked.config.faults.first().map(ToString::to_string);
        let nothing = || "there are no models: juju config says what to serve".to_owned();
        return Err(fault.unwrap_or_else(nothing).into());
    }
    let mut entrances: BTreeMap<&GatewayName, Entrance> = BTreeMap::new();
    for gateway in models.iter().filter_map(|planned| planned.gateway.as_ref()) {
        let seen = entrances.contains_key(gateway);
        if let (Some(listeners), false) = (look.observed.gateways.get(gateway), seen) {
            entrances.insert(gateway, look.cluster.entrance(gateway, listeners).await);
        }
    }
    let verdict = look.verdict(&asked, &BTreeMap::new(), false);
    let mut results = Results::new();
    for planned in models {
        let name = &planned.model.name;
        let gateway = planned.gateway.as_ref();
        let entrance = gateway.and_then(|gateway| entrances.get(gateway));
        let standing = verdict.models.iter().find(|standing| standing.model == *name);
        let found = of_model(call, &look, planned, entrance, standing);
        results.extend(found.into_iter().map(|(key, text)| (format!("{name}.{key}"), text)));
    }
    // Of one whose options are faulty no more is known.
    let held = |standing: &&Standing| only.is_none() && look.plan.held.contains(&standing.model);
    for standing in verdict.models.iter().filter(held) {
        let of_model = |key: &str, text: &str| (format!("{}.{key}", standing.model), text.to_owned());
        results.push(of_model("state", standing.state.word()));
        results.push(of_model("message", &standing.message));
    }
    Ok(results)
}

fn of_model(
    call: &Call,
    look: &Look,
    planned: &PlannedModel,
    entrance: Option<&Entrance>,
    standing: Option<&Standing>,
) -> Results {
    let model = &planned.model;
    let gateway = planned.gateway.as_ref();
    let listeners = gateway.and_then(|gateway| look.observed.gateways.get(gateway));
    let mut lines = Lines::default();
    if let (Some(entrance), Some(listeners)) = (entrance, listeners) {
        for way in entrance.ways(listeners) {
            lines.add(&way, &model.hosts, &model.prefix.to_string());
        }
    }
    let live = look.observed.seldon_deployment(&model.name).map(|live| &live.data);
    let speech = Speech::read(live.unwrap_or(&planned.deployment), None);
    let first = [&lines.http, &lines.https, &lines.inside].into_iter().flatten().next();
    let predictions = first.map(|(_, url)| format!("{url}{}", speech.predictions()));
    let namespace = &look.identity.namespace;
    let text = |key: &str, text: String| (key.to_owned(), text);
    let mut results = vec![
        text(
            "state",
            standing.map(|found| found.state.word().to_owned()).unwrap_or_default(),
        ),
        text(
            "message",
            standing.map(|found| found.message.clone()).unwrap_or_default(),
        ),
        text("prefix", model.prefix.to_string()),
        text("hosts", model.hosts.join("\n")),
        text("gateway", gateway.map(ToString::to_string).unwrap_or_default()),
        text("http", joined(&lines.http)),
        text("https", joined(&lines.https)),
        text("predictions", predictions.unwrap_or_default()),
        text("grpc", joined(&lines.grpc)),
        text("grpcs", joined(&lines.grpcs)),
        text("grpc-metadata", format!("seldon={} namespace={namespace}", model.name)),
        text("grpc-host", model.grpc_host.clone().unwrap_or_default()),
        text("addresses", joined(&lines.addresses)),
        text("cluster", joined(&lines.inside)),
        text("unknown", unknown(call, entrance)),
    ];
    for predictor in &planned.predictors {
        let ports = look.observed.ports(&model.name, &predictor.service);
        let name = format!("{}.{namespace}.svc.cluster.local", predictor.service);
        results.extend([
            text(
                &format!("services.{}", predictor.name),
                format!("http://{name}:{}/", ports.http),
            ),
            text(
                &format!("services-grpc.{}", predictor.name),
                format!("{name}:{}", ports.grpc),
            ),
        ]);
    }
    results.retain(|(_, text)| !text.is_empty());
    results
}

/// What could not be found out of a model's ways in, and what to type.
fn unknown(call: &Call, entrance: Option<&Entrance>) -> String {
    let Some(entrance) = entrance else {
        return "there is no gateway that leads to it".to_owned();
    };
    let mut unknown = entrance.unknown.clone();
    if entrance.services.is_none() || entrance.pods.is_none() || entrance.nodes.is_none() {
        let application = &call.invocation.application;
        unknown.push(juju_trust(application));
    }
    unknown.join("\n")
}

/// What stands for a name below a domain, where any will do.
const SOME_NAME: &str = "<name>";

/// URLs and addresses, those first that reach farthest.
#[derive(Default)]
struct Lines {
    http: BTreeSet<(Reach, String)>,
    https: BTreeSet<(Reach, String)>,
    grpc: BTreeSet<(Reach, String)>,
    grpcs: BTreeSet<(Reach, String)>,
    /// Where names must lead to.
    addresses: BTreeSet<(Reach, String)>,
    /// What works in the cluster only.
    inside: BTreeSet<(Reach, String)>,
}

impl Lines {
    fn add(&mut self, way: &Way, hosts: &[String], prefix: &str) {
        let address = bracketed(&way.address);
        let (scheme, usual) = if way.tls { ("https", 443) } else { ("http", 80) };
        for name in names(hosts, &way.hosts) {
            if way.reach == Reach::Cluster {
                // By its address, whatever it is called outside.
                let url = format!("{scheme}://{address}:{}{prefix}", way.port);
                self.inside.insert((way.reach, url));
                continue;
            }
            let with_port = |host: &str| (way.reach, format!("{host}:{}", way.port));
            if name.is_some() {
                self.addresses.insert(with_port(&address));
            }
            let host = name.map_or_else(|| address.clone(), |name| name.replacen('*', SOME_NAME, 1));
            let place = if way.port == usual {
                host.clone()
            } else {
                format!("{host}:{}", way.port)
            };
            let (urls, calls) = if way.tls {
                (&mut self.https, &mut self.grpcs)
            } else {
                (&mut self.http, &mut self.grpc)
            };
            urls.insert((way.reach, format!("{scheme}://{place}{prefix}")));
            calls.insert(with_port(&host));
        }
    }
}

fn joined(lines: &BTreeSet<(Reach, String)>) -> String {
    let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(reach: Reach, tls: bool, address: &str, port: u16, hosts: &[&str]) -> Way {
        Way {
            reach,
            tls,
            address: address.to_owned(),
            port,
            hosts: hosts.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_usual_port_is_left_out_and_a_name_goes_before_an_address() {
        let mut lines = Lines::default();
        for one in [
            way(Reach::LoadBalancer, false, "198.51.100.7", 80, &["*"]),
            way(Reach::NodePort, false, "192.0.2.1", 31380, &["*"]),
            way(Reach::Cluster, false, "10.0.0.1", 80, &["*"]),
        ] {
            lines.add(&one, &["*".to_owned()], "/model/iris/");
        }
        assert_eq!(
            joined(&lines.http),
            "http://198.51.100.7/model/iris/\nhttp://192.0.2.1:31380/model/iris/"
        );
        assert_eq!(joined(&lines.grpc), "198.51.100.7:80\n192.0.2.1:31380");
        assert_eq!(joined(&lines.inside), "http://10.0.0.1:80/model/iris/");
        assert_eq!(joined(&lines.addresses), "");

        let mut lines = Lines::default();
        let tls = way(Reach::NodePort, true, "2001:db8::1", 31390, &["*.plant.example"]);
        lines.add(&tls, &["iris.plant.example".to_owned()], "/iris/");
        assert_eq!(joined(&lines.https), "https://iris.plant.example:31390/iris/");
        assert_eq!(joined(&lines.addresses), "[2001:db8::1]:31390");
        assert_eq!(joined(&lines.http), "");
    }

    #[test]
    fn a_name_below_a_domain_is_a_placeholder() {
        let mut lines = Lines::default();
        let plain = way(Reach::LoadBalancer, false, "198.51.100.7", 80, &["*"]);
        lines.add(&plain, &["*.plant.example".to_owned()], "/iris/");
        assert_eq!(joined(&lines.http), "http://<name>.plant.example/iris/");
    }
}
