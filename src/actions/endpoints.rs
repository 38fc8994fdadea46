//! `endpoints`: where each model is reachable, with the current ports and addresses.

use std::collections::{BTreeMap, BTreeSet};

use super::gateway_endpoints::{self, Endpoint, Exposure, GatewayEndpoints, common_hosts};
use super::protocol::InferenceProtocol;
use super::request::bracketed;
use super::{ActionContext, Failure, GRANT_ALTERNATIVE, Results, no_models, select_model};
use crate::gateway::GatewayName;
use crate::inputs::Inputs;
use crate::plan::PlannedModel;
use crate::reconcile::snapshot::Snapshot;
use crate::status::ModelStatus;

pub async fn run(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    let desired = parameters.text("model")?;
    let only = desired.map(|desired| Ok::<_, Failure>(select_model(&inputs, Some(desired))?.name.clone()));
    let only = only.transpose()?;
    let only = only.as_ref();
    let mut snapshot = call.snapshot(&mut inputs).await?;
    snapshot.list_pods_if_unready().await;
    let models: Vec<&PlannedModel> = snapshot
        .plan
        .models
        .iter()
        .filter(|planned| only.is_none_or(|only| planned.model.name == *only))
        .collect();
    if models.is_empty() && snapshot.plan.frozen.is_empty() {
        let error = inputs.config.errors.first().map(ToString::to_string);
        return Err(error.unwrap_or_else(|| no_models(&call.commands())).into());
    }
    let mut endpoints_by_gateway: BTreeMap<&GatewayName, GatewayEndpoints> = BTreeMap::new();
    for gateway in models.iter().filter_map(|planned| planned.gateway.as_ref()) {
        let is_known = endpoints_by_gateway.contains_key(gateway);
        if let (Some(listeners), false) = (snapshot.observed.gateways.get(gateway), is_known) {
            endpoints_by_gateway.insert(
                gateway,
                gateway_endpoints::find(&snapshot.cluster, gateway, listeners).await,
            );
        }
    }
    let report = snapshot.report(&inputs, &BTreeMap::new(), false);
    let mut results = Results::new();
    for planned in models {
        let name = &planned.model.name;
        let gateway = planned.gateway.as_ref();
        let endpoints = gateway.and_then(|gateway| endpoints_by_gateway.get(gateway));
        let model_status = report.models.iter().find(|model_status| model_status.model == *name);
        let endpoints = model_endpoints(call, &snapshot, planned, endpoints, model_status);
        results.extend(endpoints.into_iter().map(|(key, text)| (format!("{name}.{key}"), text)));
    }
    // Nothing else is known of a model with invalid options.
    let is_frozen = |model_status: &&ModelStatus| only.is_none() && snapshot.plan.frozen.contains(&model_status.model);
    for model_status in report.models.iter().filter(is_frozen) {
        let result = |key: &str, text: &str| (format!("{}.{key}", model_status.model), text.to_owned());
        results.push(result("state", model_status.state.as_str()));
        results.push(result("message", &model_status.message));
    }
    Ok(results)
}

fn model_endpoints(
    call: &ActionContext,
    snapshot: &Snapshot,
    planned: &PlannedModel,
    endpoints: Option<&GatewayEndpoints>,
    model_status: Option<&ModelStatus>,
) -> Results {
    let model = &planned.model;
    let gateway = planned.gateway.as_ref();
    let listeners = gateway.and_then(|gateway| snapshot.observed.gateways.get(gateway));
    let mut lines = Lines::default();
    if let (Some(endpoints), Some(listeners)) = (endpoints, listeners) {
        for endpoint in endpoints.endpoints(listeners) {
            lines.add(&endpoint, &model.hosts, &model.prefix.to_string());
        }
    }
    let live = snapshot.observed.seldon_deployment(&model.name).map(|live| &live.data);
    let protocol = InferenceProtocol::read(live.unwrap_or(&planned.deployment), None);
    let first = [&lines.http, &lines.https, &lines.cluster].into_iter().flatten().next();
    let predictions = first.map(|(_, url)| format!("{url}{}", protocol.predictions()));
    let namespace = &snapshot.identity.namespace;
    let text = |key: &str, text: String| (key.to_owned(), text);
    let mut results = vec![
        text(
            "state",
            model_status
                .map(|status| status.state.as_str().to_owned())
                .unwrap_or_default(),
        ),
        text(
            "message",
            model_status.map(|status| status.message.clone()).unwrap_or_default(),
        ),
        text("prefix", model.prefix.to_string()),
        text(
            "access",
            model.access.as_ref().map(ToString::to_string).unwrap_or_default(),
        ),
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
        text("cluster", joined(&lines.cluster)),
        text("unknown", unknown(call, endpoints)),
    ];
    for predictor in &planned.predictors {
        let ports = snapshot.observed.ports(&model.name, &predictor.service);
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

/// What could not be determined about a model's endpoints, with the command to run.
fn unknown(call: &ActionContext, endpoints: Option<&GatewayEndpoints>) -> String {
    let Some(endpoints) = endpoints else {
        return "the model has no gateway".to_owned();
    };
    let mut unknown = endpoints.unknown.clone();
    if endpoints.services.is_none() || endpoints.pods.is_none() || endpoints.nodes.is_none() {
        unknown.push(format!("Run: {} ({GRANT_ALTERNATIVE})", call.commands().trust()));
    }
    unknown.join("\n")
}

/// Stands for any name below a domain.
const NAME_PLACEHOLDER: &str = "<name>";

/// URLs and addresses, those with the widest reach first.
#[derive(Default)]
struct Lines {
    http: BTreeSet<(Exposure, String)>,
    https: BTreeSet<(Exposure, String)>,
    grpc: BTreeSet<(Exposure, String)>,
    grpcs: BTreeSet<(Exposure, String)>,
    /// What names must resolve to.
    addresses: BTreeSet<(Exposure, String)>,
    /// Reachable inside the cluster only.
    cluster: BTreeSet<(Exposure, String)>,
}

impl Lines {
    fn add(&mut self, endpoint: &Endpoint, hosts: &[String], prefix: &str) {
        let address = bracketed(&endpoint.address);
        let (scheme, default_port) = if endpoint.tls { ("https", 443) } else { ("http", 80) };
        for name in common_hosts(hosts, &endpoint.hosts) {
            if endpoint.exposure == Exposure::Cluster {
                // By address, whatever its names are outside.
                let url = format!("{scheme}://{address}:{}{prefix}", endpoint.port);
                self.cluster.insert((endpoint.exposure, url));
                continue;
            }
            let with_port = |host: &str| (endpoint.exposure, format!("{host}:{}", endpoint.port));
            if name.is_some() {
                self.addresses.insert(with_port(&address));
            }
            let host = name.map_or_else(|| address.clone(), |name| name.replacen('*', NAME_PLACEHOLDER, 1));
            let location = if endpoint.port == default_port {
                host.clone()
            } else {
                format!("{host}:{}", endpoint.port)
            };
            let (urls, calls) = if endpoint.tls {
                (&mut self.https, &mut self.grpcs)
            } else {
                (&mut self.http, &mut self.grpc)
            };
            urls.insert((endpoint.exposure, format!("{scheme}://{location}{prefix}")));
            calls.insert(with_port(&host));
        }
    }
}

fn joined(lines: &BTreeSet<(Exposure, String)>) -> String {
    let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(exposure: Exposure, tls: bool, address: &str, port: u16, hosts: &[&str]) -> Endpoint {
        Endpoint {
            exposure,
            tls,
            address: address.to_owned(),
            port,
            hosts: hosts.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn default_port_is_omitted_and_name_preferred() {
        let mut lines = Lines::default();
        for endpoint in [
            endpoint(Exposure::LoadBalancer, false, "198.51.100.7", 80, &["*"]),
            endpoint(Exposure::NodePort, false, "192.0.2.1", 31380, &["*"]),
            endpoint(Exposure::Cluster, false, "10.0.0.1", 80, &["*"]),
        ] {
            lines.add(&endpoint, &["*".to_owned()], "/model/iris/");
        }
        assert_eq!(
            joined(&lines.http),
            "http://198.51.100.7/model/iris/\nhttp://192.0.2.1:31380/model/iris/"
        );
        assert_eq!(joined(&lines.grpc), "198.51.100.7:80\n192.0.2.1:31380");
        assert_eq!(joined(&lines.cluster), "http://10.0.0.1:80/model/iris/");
        assert_eq!(joined(&lines.addresses), "");

        let mut lines = Lines::default();
        let tls = endpoint(Exposure::NodePort, true, "2001:db8::1", 31390, &["*.plant.example"]);
        lines.add(&tls, &["iris.plant.example".to_owned()], "/iris/");
        assert_eq!(joined(&lines.https), "https://iris.plant.example:31390/iris/");
        assert_eq!(joined(&lines.addresses), "[2001:db8::1]:31390");
        assert_eq!(joined(&lines.http), "");
    }

    #[test]
    fn wildcard_host_becomes_a_placeholder() {
        let mut lines = Lines::default();
        let plain = endpoint(Exposure::LoadBalancer, false, "198.51.100.7", 80, &["*"]);
        lines.add(&plain, &["*.plant.example".to_owned()], "/iris/");
        assert_eq!(joined(&lines.http), "http://<name>.plant.example/iris/");
    }
}
