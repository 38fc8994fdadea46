//! Asks gateways which revision they serve of each model's route, and whether they have its access policies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::Mutex;

use super::gateway_endpoints::{self, Endpoint, GatewayEndpoints};
use super::predict::cluster_endpoints;
use super::request::{Target, client, show_revision};
use crate::config::Model;
use crate::gateway::GatewayName;
use crate::gateway::revision::{Answer, RouteRevision, Served};
use crate::plan::PlannedModel;
use crate::plan::served::Due;
use crate::plan::types::PlannedAccess;
use crate::reconcile::snapshot::{GatewayAnswers, Snapshot};

/// A gateway in the same cluster answers within milliseconds, or never.
const CONNECT: Duration = Duration::from_secs(1);
/// For one answer, with its connection.
const LIMIT: Duration = Duration::from_secs(2);

/// What of a model a gateway is queried for.
#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    Route(&'a RouteRevision),
    Access(&'a PlannedAccess),
}

impl<'a> Subject<'a> {
    fn route(planned: &'a PlannedModel) -> Option<(&'a PlannedModel, Self)> {
        Some((planned, Self::Route(planned.revision.as_ref()?)))
    }

    fn access(planned: &'a PlannedModel) -> Option<(&'a PlannedModel, Self)> {
        Some((planned, Self::Access(planned.access.as_ref()?)))
    }

    fn path(&self, model: &Model) -> String {
        match self {
            Self::Route(_) => model.prefix.to_string(),
            Self::Access(access) => access.proof.clone(),
        }
    }

    fn served(&self, model: &Model, answer: &Answer) -> Served {
        match self {
            Self::Route(revision) => revision.served(&model.prefix, answer),
            Self::Access(_) => answer.shows_denial(),
        }
    }
}

/// What the gateways serve of these models.
pub async fn ask(
    snapshot: &Snapshot,
    routes: impl Iterator<Item = &PlannedModel>,
    policies: impl Iterator<Item = &PlannedModel>,
    endpoints: &BTreeMap<GatewayName, GatewayEndpoints>,
) -> GatewayAnswers {
    GatewayAnswers {
        served: ask_all(snapshot, routes.filter_map(Subject::route), endpoints).await,
        enforced: ask_all(snapshot, policies.filter_map(Subject::access), endpoints).await,
    }
}

async fn ask_all<'a>(
    snapshot: &Snapshot,
    queries: impl Iterator<Item = (&'a PlannedModel, Subject<'a>)>,
    endpoints: &BTreeMap<GatewayName, GatewayEndpoints>,
) -> BTreeMap<String, Served> {
    let mut by_gateway: BTreeMap<&GatewayName, Vec<_>> = BTreeMap::new();
    let mut served = BTreeMap::new();
    for (planned, subject) in queries {
        if let Some(gateway) = &planned.gateway {
            by_gateway.entry(gateway).or_default().push((planned, subject));
        }
    }
    for (gateway, queries) in by_gateway {
        let listeners = snapshot.observed.gateways.get(gateway);
        let (Some(listeners), Some(endpoints)) = (listeners, endpoints.get(gateway)) else {
            continue;
        };
        let endpoints = endpoints.endpoints(listeners);
        served.extend(ask_gateway(&cluster_endpoints(&endpoints), &queries).await);
    }
    served
}

/// The gateways that a hook asks. The address of each is looked up once.
#[derive(Default)]
pub struct Gateways(Mutex<BTreeMap<GatewayName, GatewayEndpoints>>);

impl Gateways {
    /// What the gateways serve of the models that are due.
    pub async fn ask(&self, snapshot: &Snapshot, due: Due) -> GatewayAnswers {
        let routes: Vec<&PlannedModel> = snapshot.due_to_be_served(due).collect();
        let policies: Vec<&PlannedModel> = snapshot.due_to_be_enforced(due).collect();
        let models = routes.iter().chain(&policies);
        let gateways: BTreeSet<&GatewayName> = models.filter_map(|planned| planned.gateway.as_ref()).collect();
        let mut endpoints = self.0.lock().await;
        for gateway in gateways {
            if !endpoints.contains_key(gateway)
                && let Some(listeners) = snapshot.observed.gateways.get(gateway)
            {
                let found = gateway_endpoints::find(&snapshot.cluster, gateway, listeners).await;
                endpoints.insert(gateway.clone(), found);
            }
        }
        ask(snapshot, routes.into_iter(), policies.into_iter(), &endpoints).await
    }
}

/// Stops at the first model without an answer: the others would take as long to get none.
async fn ask_gateway(endpoints: &[&Endpoint], queries: &[(&PlannedModel, Subject<'_>)]) -> BTreeMap<String, Served> {
    let mut served = BTreeMap::new();
    // One connection for all models, unless TLS needs the name of each.
    let mut connected = None;
    for (planned, subject) in queries {
        let model = &planned.model;
        let Some(target) = Target::of_model(model, endpoints, &subject.path(model)) else {
            continue;
        };
        let connection = match connected.take() {
            Some((of, connection)) if target.shares_connection(&of) => connection,
            _ => match client(&target, CONNECT) {
                Ok(connection) => connection,
                Err(_) => break,
            },
        };
        let Ok(answer) = show_revision(&connection, &target, LIMIT).await else {
            break;
        };
        served.insert(model.name.clone(), subject.served(model, &answer));
        connected = Some((target, connection));
    }
    served
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use serde_json::json;

    use super::*;
    use crate::actions::gateway_endpoints::Exposure;
    use crate::config;
    use crate::observed::Observed;
    use crate::plan::{Environment, plan};

    fn models(entries: &str) -> Vec<PlannedModel> {
        let options = json!({"image": "iris:1", "models": entries});
        let config = config::parse("iris", options.as_object().unwrap());
        plan(&config, &Environment::example(), &Observed::default())
            .unwrap()
            .models
    }

    fn queried(port: u16, models: &[PlannedModel]) -> BTreeMap<String, Served> {
        let endpoint = Endpoint {
            exposure: Exposure::Cluster,
            tls: false,
            address: "127.0.0.1".to_owned(),
            port,
            hosts: vec!["*".to_owned()],
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let queries: Vec<_> = models.iter().filter_map(Subject::route).collect();
        runtime.block_on(ask_gateway(&[&endpoint], &queries))
    }

    /// A gateway that takes one connection. Each answer has a status, and a location or nothing. Returns the requests.
    fn gateway(answers: Vec<(u16, String)>) -> (u16, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let handle = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            let mut requests = Vec::new();
            for (status, location) in answers {
                let request: Vec<String> = lines
                    .by_ref()
                    .map(Result::unwrap)
                    .take_while(|line| !line.is_empty())
                    .collect();
                requests.push(request.join("\n"));
                let location = if location.is_empty() {
                    location
                } else {
                    format!("location: {location}\r\n")
                };
                write!(
                    socket,
                    "HTTP/1.1 {status} X\r\n{location}server: istio-envoy\r\ncontent-length: 0\r\n\r\n"
                )
                .unwrap();
            }
            requests
        });
        (port, handle)
    }

    #[test]
    fn each_model_is_queried_over_one_connection() {
        let models = models("{a: {}, b: {hosts: b.example}, c: {}}");
        let path = |model: &PlannedModel| model.revision.as_ref().unwrap().path(&model.model.prefix);
        let current = format!("http://127.0.0.1{}", path(&models[0]));
        let older = "http://b.example/model/b/0123456789abcdef".to_owned();
        let (port, gateway) = gateway(vec![(302, current), (302, older), (404, String::new())]);
        let served = queried(port, &models);
        let served = |name: &str| served.get(name).copied();
        assert_eq!(served("a"), Some(Served::Current));
        assert_eq!(served("b"), Some(Served::Stale));
        assert_eq!(served("c"), Some(Served::Stale));
        let requests = gateway.join().unwrap();
        assert!(requests[0].starts_with("GET /model/a/ HTTP/1.1\n"), "{requests:?}");
        assert!(requests[0].contains("x-seldon-model-revision: show"), "{requests:?}");
        assert!(requests[1].contains("host: b.example"), "{requests:?}");
    }

    #[test]
    fn nothing_is_known_of_an_unreachable_gateway() {
        let models = models("{a: {}, b: {}}");
        // Port 1 (tcpmux) is closed everywhere.
        assert_eq!(queried(1, &models), BTreeMap::new());
        // A connection that closes after the first answer is opened again, and there is nobody.
        let (port, gateway) = gateway(vec![(404, String::new())]);
        let served = queried(port, &models);
        assert_eq!(served.get("a"), Some(&Served::Stale));
        assert_eq!(served.get("b"), None);
        gateway.join().unwrap();
    }
}
