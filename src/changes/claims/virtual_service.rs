//! Finds VirtualServices that match requests of a model.
//!
//! Istio merges the routes of all VirtualServices of one gateway and host into one list, the oldest first, and the
//! first match wins (`istio/istio` 1.28, `pilot/pkg/networking/core/gateway.go`). It does not report overlaps, so an
//! older VirtualService silently takes the requests of a younger one.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::api::istio::{StringMatch, authority};
use crate::gateway::GatewayName;
use crate::gateway::hosts::{host_specificity, hosts_overlap};
use crate::gateway::prefix::Prefix;

#[derive(Debug, Clone, PartialEq)]
pub struct RouteClaim {
    pub namespace: String,
    pub name: String,
    pub created: Option<Timestamp>,
    hosts: Vec<String>,
    gateways: Vec<String>,
    paths: Vec<ClaimedPath>,
    /// Hosts for which it matches every path. A model's gRPC requests are matched like this.
    authorities: Vec<StringMatch>,
}

#[derive(Debug, Clone, PartialEq)]
enum ClaimedPath {
    /// A prefix, and whether case is ignored.
    Prefix(String, bool),
    Exact(String, bool),
    Everything,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VirtualServiceRules {
    hosts: Vec<String>,
    gateways: Vec<String>,
    http: Vec<VirtualServiceRule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VirtualServiceRule {
    #[serde(rename = "match")]
    matches: Vec<RuleMatch>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RuleMatch {
    uri: Option<UriMatch>,
    ignore_uri_case: bool,
    /// These three are no restriction for one gateway with one port. They are listed here so that they do not count
    /// as conditions.
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(rename = "port")]
    _port: IgnoredAny,
    #[serde(rename = "gateways")]
    _gateways: IgnoredAny,
    #[serde(flatten)]
    conditions: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UriMatch {
    prefix: Option<String>,
    exact: Option<String>,
    regex: Option<String>,
}

impl RouteClaim {
    /// Matches with conditions besides the path, such as a header, are ignored: they take only some requests, and on
    /// purpose. So are regular expressions, except plain text before `.*`.
    pub fn read(namespace: &str, name: &str, created: Option<Timestamp>, spec: &Value) -> Self {
        let spec = VirtualServiceRules::deserialize(spec).unwrap_or_default();
        let mut paths = Vec::new();
        let mut authorities = Vec::new();
        for http in spec.http {
            if http.matches.is_empty() {
                paths.push(ClaimedPath::Everything);
            }
            for rule_match in http.matches {
                authorities.extend(authority_condition(&rule_match));
                paths.extend(path(rule_match));
            }
        }
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            created,
            hosts: spec.hosts,
            gateways: spec.gateways,
            paths,
            authorities,
        }
    }

    pub fn from_object(object: &DynamicObject) -> Self {
        Self::read(
            &object.namespace().unwrap_or_default(),
            &object.name_any(),
            object.creation_timestamp().map(|time| time.0),
            object.data.get("spec").unwrap_or(&Value::Null),
        )
    }

    fn is_bound_to(&self, gateway: &GatewayName) -> bool {
        self.gateways.iter().any(|bound| {
            let (namespace, name) = match bound.split_once('/') {
                Some((".", name)) => (self.namespace.as_str(), name),
                Some(parts) => parts,
                // A bare name is a gateway of the same namespace; the old form appends the namespace behind a dot.
                None => match bound.split_once('.') {
                    Some((name, rest)) => (rest.split('.').next().unwrap_or_default(), name),
                    None => (self.namespace.as_str(), bound.as_str()),
                },
            };
            namespace == gateway.namespace && name == gateway.name
        })
    }

    fn competes(&self, gateway: &GatewayName, hosts: &[String]) -> bool {
        self.is_bound_to(gateway) && hosts_overlap(hosts, &self.hosts)
    }

    /// Whether it matches some of the requests of `prefix` at this gateway for these hosts. A route for every path
    /// does not count; see [`RouteClaim::is_catch_all`].
    pub fn overlaps(&self, gateway: &GatewayName, hosts: &[String], prefix: &Prefix) -> bool {
        self.competes(gateway, hosts)
            && self.paths.iter().any(|path| match path {
                ClaimedPath::Prefix(claimed, false) => prefix.overlaps_path(claimed),
                ClaimedPath::Exact(claimed, false) => prefix.covers(claimed),
                ClaimedPath::Prefix(claimed, true) => prefix.in_lower_case().overlaps_path(&claimed.to_lowercase()),
                ClaimedPath::Exact(claimed, true) => prefix.in_lower_case().covers(&claimed.to_lowercase()),
                ClaimedPath::Everything => false,
            })
    }

    /// Whether it matches gRPC requests to `host` at this gateway.
    pub fn takes_calls(&self, gateway: &GatewayName, hosts: &[String], host: &str) -> bool {
        self.competes(gateway, hosts)
            && [authority(host), StringMatch::Exact(host.to_owned())]
                .iter()
                .any(|text| self.authorities.contains(text))
    }

    /// Whether requests to `host` at this gateway never reach a model with `hosts`, because this route has a more
    /// specific host. What it does with them does not matter.
    pub fn has_closer_host(&self, gateway: &GatewayName, hosts: &[String], host: &str) -> bool {
        self.is_bound_to(gateway) && host_specificity(&self.hosts, host) > host_specificity(hosts, host)
    }

    /// Whether it matches every path at this gateway for these hosts. Since 1.15 Istio sorts such a route behind all
    /// others; before that, it keeps its place.
    pub fn is_catch_all(&self, gateway: &GatewayName, hosts: &[String]) -> bool {
        self.competes(gateway, hosts) && self.paths.contains(&ClaimedPath::Everything)
    }

    /// Whether Istio sorts its routes before those of `other`.
    pub fn takes_precedence_over(&self, other: &Self) -> bool {
        let key = |claim: &Self| (claim.created, claim.name.clone(), claim.namespace.clone());
        key(self) < key(other)
    }
}

fn path(rule_match: RuleMatch) -> Option<ClaimedPath> {
    if !rule_match.conditions.is_empty() {
        return None;
    }
    let Some(uri) = rule_match.uri else {
        return Some(ClaimedPath::Everything);
    };
    let literal = uri.regex.as_deref().and_then(|regex| regex.strip_suffix(".*"));
    match (uri.prefix, uri.exact, literal) {
        (Some(prefix), _, _) => Some(claimed_prefix(prefix, rule_match.ignore_uri_case)),
        (None, Some(exact), _) => Some(ClaimedPath::Exact(exact, rule_match.ignore_uri_case)),
        (None, None, Some(literal)) if !literal.contains(|c: char| "\\.+*?()|[]{}^$".contains(c)) => {
            Some(claimed_prefix(literal.to_owned(), rule_match.ignore_uri_case))
        }
        (None, None, _) => None,
    }
}

/// The host condition of a match without a path.
fn authority_condition(rule_match: &RuleMatch) -> Option<StringMatch> {
    let authority = rule_match
        .conditions
        .get("authority")
        .filter(|_| rule_match.uri.is_none())?;
    StringMatch::deserialize(authority).ok()
}

fn claimed_prefix(prefix: String, ignore_case: bool) -> ClaimedPath {
    if prefix.is_empty() || prefix == "/" {
        ClaimedPath::Everything
    } else {
        ClaimedPath::Prefix(prefix, ignore_case)
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "data is taken as it is written")]
mod tests {
    use super::*;
    use crate::config::value::{gateway, prefix};
    use serde_json::json;

    fn claim(http: Value) -> RouteClaim {
        let spec = json!({"hosts": ["*"], "gateways": ["istio/gate"], "http": http});
        RouteClaim::read("other", "other-route", None, &spec)
    }

    fn overlaps(claimed: &RouteClaim) -> bool {
        let hosts = ["*".to_owned()];
        claimed.overlaps(
            &gateway("istio/gate").unwrap(),
            &hosts,
            &prefix("/model/iris/").unwrap(),
        )
    }

    #[test]
    fn equal_and_nested_prefixes_overlap() {
        for (uri, expected) in [
            (json!({"prefix": "/model/iris/"}), true),
            (json!({"prefix": "/model/iris"}), true),
            (json!({"prefix": "/model/"}), true),
            (json!({"prefix": "/mod"}), true),
            (json!({"prefix": "/model/iris/api/"}), true),
            (json!({"exact": "/model/iris"}), true),
            (json!({"exact": "/model/iris/api"}), true),
            (json!({"prefix": "/model/irisx/"}), false),
            (json!({"prefix": "/model/fraud/"}), false),
            (json!({"exact": "/model"}), false),
            (json!({"regex": "/model/[a-z]+"}), false),
            (json!({"regex": "/model/.*"}), true),
            (json!({"regex": "/other/.*"}), false),
        ] {
            let claimed = claim(json!([{"match": [{"uri": uri}]}]));
            assert_eq!(overlaps(&claimed), expected, "{uri}");
        }
    }

    #[test]
    fn match_with_conditions_claims_only_some_requests() {
        let uri = json!({"prefix": "/model/iris/"});
        let claimed = claim(json!([{"match": [{"uri": uri, "headers": {"x": {"exact": "y"}}}]}]));
        assert!(!overlaps(&claimed));
        for rule_match in [
            json!({"uri": uri, "name": "mine"}),
            json!({"uri": uri, "port": 80}),
            json!({"uri": uri, "gateways": ["istio/gate"]}),
            json!({"uri": {"prefix": "/MODEL/"}, "ignoreUriCase": true}),
        ] {
            assert!(overlaps(&claim(json!([{"match": [rule_match]}]))), "{rule_match}");
        }
    }

    #[test]
    fn grpc_routes_claim_host_and_no_path() {
        let calls = json!({"headers": {
            "content-type": {"prefix": "application/grpc"}, "seldon": {"exact": "iris"}, "namespace": {"exact": "edge"},
        }});
        let seldons_own = json!({
            "uri": {"regex": ".*tensorflow.*|.*seldon.protos.*|.*inference.*"},
            "headers": {"seldon": {"exact": "iris"}, "namespace": {"exact": "edge"}},
        });
        let page =
            json!({"uri": {"prefix": "/v2/"}, "headers": {"referer": {"regex": "https?://[^/]+/model/v/v2/docs/.*"}}});
        let to_host = json!({
            "authority": {"regex": "iris[.]example(:[0-9]+)?"}, "headers": {"content-type": {"prefix": "application/grpc"}},
        });
        let gate = gateway("istio/gate").unwrap();
        let every = ["*".to_owned()];
        for rule_match in [calls, seldons_own, page, to_host.clone()] {
            let claimed = claim(json!([{"match": [rule_match]}]));
            assert!(
                !overlaps(&claimed) && !claimed.is_catch_all(&gate, &every),
                "{rule_match}"
            );
            assert_eq!(
                claimed.takes_calls(&gate, &every, "iris.example"),
                rule_match == to_host,
                "{rule_match}"
            );
        }
        let claimed = claim(json!([{"match": [to_host]}]));
        assert!(!claimed.takes_calls(&gate, &every, "iris2example"));
        assert!(!claimed.takes_calls(&gateway("istio/door").unwrap(), &every, "iris.example"));
        let manual = claim(json!([{"match": [{"authority": {"exact": "iris.example"}}]}]));
        assert!(manual.takes_calls(&gate, &every, "iris.example"));
        let partial = json!([{"match": [{"authority": {"exact": "iris.example"}, "uri": {"prefix": "/other/"}}]}]);
        assert!(!claim(partial).takes_calls(&gate, &every, "iris.example"));
    }

    #[test]
    fn more_specific_host_takes_precedence() {
        let gate = gateway("istio/gate").unwrap();
        let nearer = |claimed: &str, ours: &str| {
            let spec = json!({"hosts": [claimed], "gateways": ["istio/gate"], "http": [{}]});
            let ours = [ours.to_owned()];
            RouteClaim::read("other", "other-route", None, &spec).has_closer_host(&gate, &ours, "iris.plant.example")
        };
        for (claimed, ours, expected) in [
            ("iris.plant.example", "*", true),
            ("*.plant.example", "*.example", true),
            ("*.plant.example", "iris.plant.example", false),
            ("iris.plant.example", "iris.plant.example", false),
            ("*", "*", false),
            ("wine.plant.example", "*", false),
        ] {
            assert_eq!(nearer(claimed, ours), expected, "{claimed} {ours}");
        }
    }

    #[test]
    fn only_same_gateway_and_host_conflict() {
        let http = json!([{"match": [{"uri": {"prefix": "/model/iris/"}}]}]);
        for (namespace, gateways, hosts, expected) in [
            ("other", json!(["istio/gate"]), json!(["*"]), true),
            ("istio", json!(["gate"]), json!(["*"]), true),
            ("other", json!(["gate"]), json!(["*"]), false),
            ("istio", json!(["./gate"]), json!(["*"]), true),
            ("other", json!(["./gate"]), json!(["*"]), false),
            ("other", json!(["gate.istio.svc.cluster.local"]), json!(["*"]), true),
            ("other", json!(["istio/door"]), json!(["*"]), false),
            ("other", json!(["mesh", "istio/gate"]), json!(["a.example"]), true),
            ("other", json!([]), json!(["*"]), false),
        ] {
            let spec = json!({"hosts": hosts, "gateways": gateways, "http": http});
            let claimed = RouteClaim::read(namespace, "other-route", None, &spec);
            assert_eq!(overlaps(&claimed), expected, "{namespace} {gateways} {hosts}");
        }
        let spec = json!({"hosts": ["a.example"], "gateways": ["istio/gate"], "http": http});
        let claimed = RouteClaim::read("other", "other-route", None, &spec);
        let ours = ["b.example".to_owned()];
        assert!(!claimed.overlaps(&gateway("istio/gate").unwrap(), &ours, &prefix("/model/iris/").unwrap()));
    }

    #[test]
    fn catch_all_route_is_distinguished() {
        for http in [
            json!([{"route": []}]),
            json!([{"match": [{"uri": {"prefix": "/"}}]}]),
            json!([{"match": [{}]}]),
            json!([{"match": [{"uri": {"regex": ".*"}}]}]),
            json!([{"match": [{"uri": {"regex": "/.*"}}]}]),
        ] {
            let claimed = claim(http.clone());
            assert!(!overlaps(&claimed), "{http}");
            assert!(
                claimed.is_catch_all(&gateway("istio/gate").unwrap(), &["*".to_owned()]),
                "{http}"
            );
        }
    }

    #[test]
    fn malformed_spec_claims_nothing() {
        for spec in [json!(null), json!([]), json!({"http": 1}), json!({"hosts": {}})] {
            assert!(
                !overlaps(&RouteClaim::read("other", "other-route", None, &spec)),
                "{spec}"
            );
        }
    }
}
