//! Finds HTTPRoutes that match requests of a model.
//!
//! Of two routes that match a request the one with the longer path wins, and of two with the same path the older one
//! (`kubernetes-sigs/gateway-api` v1.2.0, `apis/v1/httproute_types.go`, `HTTPRouteRule.matches`; `istio/istio`,
//! `pilot/pkg/config/kube/gateway/conversion.go`, `sortHTTPRoutes`). So a route with a path below ours takes requests
//! of ours whatever its age, and one with a path above ours never does.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

use crate::api::gateway_api::HOST_HEADER;
use crate::api::istio::{Text, authority};
use crate::gateway::GatewayName;
use crate::gateway::hosts::hosts_overlap;
use crate::gateway::prefix::Prefix;

#[derive(Debug, Clone, PartialEq)]
pub struct HttpRouteClaim {
    pub namespace: String,
    pub name: String,
    pub created: Option<Timestamp>,
    hosts: Vec<String>,
    gateways: Vec<GatewayName>,
    paths: Vec<Path>,
    /// Host conditions of matches without a path.
    authorities: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Path {
    /// Without the trailing slash.
    Prefix(String),
    Exact(String),
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    parent_refs: Vec<Parent>,
    hostnames: Vec<String>,
    rules: Vec<ClaimRule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parent {
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimRule {
    matches: Vec<Match>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Match {
    path: PathMatch,
    headers: Vec<HeaderMatch>,
    query_params: Vec<Value>,
    method: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PathMatch {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HeaderMatch {
    name: String,
    value: String,
}

impl HttpRouteClaim {
    /// Matches with conditions besides the path are ignored: they take only some requests, and on purpose. So are
    /// regular expressions, which come after all other paths.
    pub fn read(object: &DynamicObject) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let spec = object.data.get("spec").unwrap_or(&Value::Null);
        let spec = Spec::deserialize(spec).unwrap_or_default();
        let is_gateway = |parent: &Parent| parent.kind.as_deref().unwrap_or("Gateway") == "Gateway";
        let gateways = spec.parent_refs.into_iter().filter(is_gateway);
        let matches: Vec<Match> = spec.rules.into_iter().flat_map(|rule| rule.matches).collect();
        Self {
            name: object.name_any(),
            created: object.creation_timestamp().map(|time| time.0),
            hosts: if spec.hostnames.is_empty() {
                vec!["*".to_owned()]
            } else {
                spec.hostnames
            },
            gateways: gateways
                .map(|parent| GatewayName {
                    namespace: parent.namespace.unwrap_or_else(|| namespace.clone()),
                    name: parent.name,
                })
                .collect(),
            paths: matches.iter().filter_map(path).collect(),
            authorities: matches.iter().filter_map(of_host).collect(),
            namespace,
        }
    }

    fn competes(&self, gateway: &GatewayName, hosts: &[String]) -> bool {
        self.gateways.contains(gateway) && hosts_overlap(hosts, &self.hosts)
    }

    /// Whether it has the same prefix at this gateway for these hosts.
    pub fn claims_prefix(&self, gateway: &GatewayName, hosts: &[String], prefix: &Prefix) -> bool {
        let same = Path::Prefix(prefix.bare().to_owned());
        self.competes(gateway, hosts) && self.paths.contains(&same)
    }

    /// Whether it has a longer path below the prefix, which wins whatever its age.
    pub fn claims_below(&self, gateway: &GatewayName, hosts: &[String], prefix: &Prefix) -> bool {
        self.competes(gateway, hosts)
            && self.paths.iter().any(|path| match path {
                Path::Prefix(theirs) => theirs != prefix.bare() && prefix.covers(theirs),
                Path::Exact(theirs) => prefix.covers(theirs),
            })
    }

    /// Whether it matches gRPC requests to `host` at this gateway.
    pub fn takes_calls(&self, gateway: &GatewayName, hosts: &[String], host: &str) -> bool {
        let Text::Regex(ours) = authority(host) else {
            return false;
        };
        self.competes(gateway, hosts) && self.authorities.iter().any(|theirs| *theirs == ours || theirs == host)
    }

    /// Whether it wins over `other` for the same path.
    pub fn takes_precedence_over(&self, other: &Self) -> bool {
        let key = |claim: &Self| (claim.created, claim.namespace.clone(), claim.name.clone());
        key(self) < key(other)
    }
}

fn path(one: &Match) -> Option<Path> {
    if !one.headers.is_empty() || !one.query_params.is_empty() || one.method.is_some() {
        return None;
    }
    match one.path.kind.as_str() {
        "Exact" => Some(Path::Exact(one.path.value.clone())),
        "PathPrefix" | "" => Some(Path::Prefix(one.path.value.trim_end_matches('/').to_owned())),
        _ => None,
    }
}

fn of_host(one: &Match) -> Option<String> {
    let everything = one.path.kind != "Exact" && ["", "/"].contains(&one.path.value.as_str());
    let mut headers = one.headers.iter().filter(|_| everything);
    let found = headers.find(|header| header.name.eq_ignore_ascii_case(HOST_HEADER))?;
    Some(found.value.clone())
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "data is taken as it is written")]
mod tests {
    use super::*;
    use crate::config::value::{gateway, prefix};
    use serde_json::json;

    fn claim(parent: Value, hosts: Value, matches: Value) -> HttpRouteClaim {
        let object = json!({
            "metadata": {"name": "theirs", "namespace": "other"},
            "spec": {"parentRefs": [parent], "hostnames": hosts, "rules": [{"matches": [matches]}]},
        });
        HttpRouteClaim::read(&serde_json::from_value(object).unwrap())
    }

    fn ours() -> (GatewayName, Vec<String>, Prefix) {
        let gateway = gateway("ingress/gate").unwrap();
        (gateway, vec!["*".to_owned()], prefix("/model/iris/").unwrap())
    }

    fn gate() -> Value {
        json!({"name": "gate", "namespace": "ingress"})
    }

    #[test]
    fn longer_path_takes_precedence() {
        let (gateway, hosts, prefix) = ours();
        for (kind, value, same, below) in [
            ("PathPrefix", "/model/iris", true, false),
            ("PathPrefix", "/model/iris/", true, false),
            ("PathPrefix", "/model/iris/api", false, true),
            ("Exact", "/model/iris", false, true),
            ("Exact", "/model/iris/api", false, true),
            ("PathPrefix", "/model", false, false),
            ("PathPrefix", "/", false, false),
            ("PathPrefix", "/model/irisx", false, false),
            ("RegularExpression", "/model/iris/.*", false, false),
        ] {
            let theirs = claim(gate(), json!([]), json!({"path": {"type": kind, "value": value}}));
            assert_eq!(theirs.claims_prefix(&gateway, &hosts, &prefix), same, "{kind} {value}");
            assert_eq!(theirs.claims_below(&gateway, &hosts, &prefix), below, "{kind} {value}");
        }
    }

    #[test]
    fn only_same_gateway_and_host_conflict_wholly() {
        let (gateway, _, prefix) = ours();
        let path = json!({"type": "PathPrefix", "value": "/model/iris"});
        let here = json!({"path": path});
        let has = |claim: HttpRouteClaim, host: &str| claim.claims_prefix(&gateway, &[host.to_owned()], &prefix);
        assert!(has(claim(gate(), json!(["a.example"]), here.clone()), "*"));
        assert!(!has(claim(gate(), json!(["a.example"]), here.clone()), "b.example"));
        assert!(!has(claim(json!({"name": "gate"}), json!([]), here.clone()), "*"));
        let service = json!({"name": "gate", "namespace": "ingress", "kind": "Service"});
        assert!(!has(claim(service, json!([]), here), "*"));
        for more in [
            json!({"path": path, "headers": [{"name": "x", "value": "y"}]}),
            json!({"path": path, "method": "GET"}),
            json!({"path": path, "queryParams": [{"name": "x", "value": "y"}]}),
        ] {
            assert!(!has(claim(gate(), json!([]), more.clone()), "*"), "{more}");
        }
    }

    #[test]
    fn grpc_host_is_claimed_without_a_path() {
        let (gateway, hosts, _) = ours();
        let takes = |value: &str, path: &str| {
            let headers = json!([{"type": "RegularExpression", "name": "Host", "value": value}]);
            let matches = json!({"path": {"type": "PathPrefix", "value": path}, "headers": headers});
            claim(gate(), json!([]), matches).takes_calls(&gateway, &hosts, "iris.example")
        };
        assert!(takes("iris[.]example(:[0-9]+)?", "/") && takes("iris.example", "/"));
        assert!(!takes("wine[.]example(:[0-9]+)?", "/") && !takes("iris.example", "/theirs"));
    }

    #[test]
    fn malformed_route_claims_nothing() {
        let (gateway, hosts, prefix) = ours();
        for spec in [json!(null), json!([]), json!({"rules": 1})] {
            let object = json!({"metadata": {"name": "theirs"}, "spec": spec});
            let theirs = HttpRouteClaim::read(&serde_json::from_value(object).unwrap());
            assert!(
                !theirs.claims_prefix(&gateway, &hosts, &prefix) && !theirs.claims_below(&gateway, &hosts, &prefix)
            );
        }
    }
}
