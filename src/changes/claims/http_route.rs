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
use crate::api::istio::{StringMatch, authority};
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
    paths: Vec<HttpRoutePath>,
    /// Host conditions of matches without a path.
    authorities: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum HttpRoutePath {
    /// Without the trailing slash.
    Prefix(String),
    Exact(String),
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ClaimSpec {
    parent_refs: Vec<ClaimParent>,
    hostnames: Vec<String>,
    rules: Vec<ClaimRule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimParent {
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimRule {
    matches: Vec<ClaimMatch>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ClaimMatch {
    path: ClaimPath,
    headers: Vec<ClaimHeader>,
    query_params: Vec<Value>,
    method: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimPath {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimHeader {
    name: String,
    value: String,
}

impl HttpRouteClaim {
    /// Matches with conditions besides the path are ignored: they take only some requests, and on purpose. So are
    /// regular expressions, which come after all other paths.
    pub fn read(object: &DynamicObject) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let spec = object.data.get("spec").unwrap_or(&Value::Null);
        let spec = ClaimSpec::deserialize(spec).unwrap_or_default();
        let is_gateway = |parent: &ClaimParent| parent.kind.as_deref().unwrap_or("Gateway") == "Gateway";
        let gateways = spec.parent_refs.into_iter().filter(is_gateway);
        let matches: Vec<ClaimMatch> = spec.rules.into_iter().flat_map(|rule| rule.matches).collect();
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
            authorities: matches.iter().filter_map(host_condition).collect(),
            namespace,
        }
    }

    fn competes(&self, gateway: &GatewayName, hosts: &[String]) -> bool {
        self.gateways.contains(gateway) && hosts_overlap(hosts, &self.hosts)
    }

    /// Whether it has the same prefix at this gateway for these hosts.
    pub fn claims_prefix(&self, gateway: &GatewayName, hosts: &[String], prefix: &Prefix) -> bool {
        let same = HttpRoutePath::Prefix(prefix.bare().to_owned());
        self.competes(gateway, hosts) && self.paths.contains(&same)
    }

    /// Whether it has a longer path below the prefix, which wins whatever its age.
    pub fn claims_below(&self, gateway: &GatewayName, hosts: &[String], prefix: &Prefix) -> bool {
        self.competes(gateway, hosts)
            && self.paths.iter().any(|path| match path {
                HttpRoutePath::Prefix(claimed) => claimed != prefix.bare() && prefix.covers(claimed),
                HttpRoutePath::Exact(claimed) => prefix.covers(claimed),
            })
    }

    /// Whether it matches gRPC requests to `host` at this gateway.
    pub fn takes_calls(&self, gateway: &GatewayName, hosts: &[String], host: &str) -> bool {
        let StringMatch::Regex(host_pattern) = authority(host) else {
            return false;
        };
        self.competes(gateway, hosts)
            && self
                .authorities
                .iter()
                .any(|claimed| *claimed == host_pattern || claimed == host)
    }

    /// Whether it wins over `other` for the same path.
    pub fn takes_precedence_over(&self, other: &Self) -> bool {
        let key = |claim: &Self| (claim.created, claim.namespace.clone(), claim.name.clone());
        key(self) < key(other)
    }
}

fn path(one: &ClaimMatch) -> Option<HttpRoutePath> {
    if !one.headers.is_empty() || !one.query_params.is_empty() || one.method.is_some() {
        return None;
    }
    match one.path.kind.as_str() {
        "Exact" => Some(HttpRoutePath::Exact(one.path.value.clone())),
        "PathPrefix" | "" => Some(HttpRoutePath::Prefix(one.path.value.trim_end_matches('/').to_owned())),
        _ => None,
    }
}

fn host_condition(one: &ClaimMatch) -> Option<String> {
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
            "metadata": {"name": "other-route", "namespace": "other"},
            "spec": {"parentRefs": [parent], "hostnames": hosts, "rules": [{"matches": [matches]}]},
        });
        HttpRouteClaim::read(&serde_json::from_value(object).unwrap())
    }

    fn host_pattern() -> (GatewayName, Vec<String>, Prefix) {
        let gateway = gateway("ingress/gate").unwrap();
        (gateway, vec!["*".to_owned()], prefix("/model/iris/").unwrap())
    }

    fn gate() -> Value {
        json!({"name": "gate", "namespace": "ingress"})
    }

    #[test]
    fn longer_path_takes_precedence() {
        let (gateway, hosts, prefix) = host_pattern();
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
            let claimed = claim(gate(), json!([]), json!({"path": {"type": kind, "value": value}}));
            assert_eq!(claimed.claims_prefix(&gateway, &hosts, &prefix), same, "{kind} {value}");
            assert_eq!(claimed.claims_below(&gateway, &hosts, &prefix), below, "{kind} {value}");
        }
    }

    #[test]
    fn only_same_gateway_and_host_conflict_wholly() {
        let (gateway, _, prefix) = host_pattern();
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
        let (gateway, hosts, _) = host_pattern();
        let takes = |value: &str, path: &str| {
            let headers = json!([{"type": "RegularExpression", "name": "Host", "value": value}]);
            let matches = json!({"path": {"type": "PathPrefix", "value": path}, "headers": headers});
            claim(gate(), json!([]), matches).takes_calls(&gateway, &hosts, "iris.example")
        };
        assert!(takes("iris[.]example(:[0-9]+)?", "/") && takes("iris.example", "/"));
        assert!(!takes("wine[.]example(:[0-9]+)?", "/") && !takes("iris.example", "/other"));
    }

    #[test]
    fn malformed_route_claims_nothing() {
        let (gateway, hosts, prefix) = host_pattern();
        for spec in [json!(null), json!([]), json!({"rules": 1})] {
            let object = json!({"metadata": {"name": "other-route"}, "spec": spec});
            let claimed = HttpRouteClaim::read(&serde_json::from_value(object).unwrap());
            assert!(
                !claimed.claims_prefix(&gateway, &hosts, &prefix) && !claimed.claims_below(&gateway, &hosts, &prefix)
            );
        }
    }
}
