//! The listeners of a gateway.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::hosts::{hosts_overlap, is_host};
use super::route_condition;

/// The listeners of a Gateway that a model's route can use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listeners {
    /// Of all listeners.
    pub hosts: Vec<String>,
    /// Whether one takes plain HTTP without redirecting to HTTPS.
    pub http: bool,
    pub https: bool,
    /// Whether its controller reports that it is not programmed. Istio reports nothing for an Istio Gateway.
    pub down: bool,
    /// The listeners one by one, without those that redirect to HTTPS.
    pub servers: Vec<Listener>,
    /// The labels of the gateway's pods.
    pub selector: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The port of the gateway's Service, or of its pods if the Service has no such port (`istio/istio`,
    /// `pilot/pkg/model/gateway.go`, `resolvePorts`).
    pub port: u16,
    pub tls: bool,
    pub hosts: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    servers: Vec<Server>,
    selector: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Server {
    port: Port,
    hosts: Vec<String>,
    tls: Tls,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Port {
    number: Value,
    protocol: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Tls {
    https_redirect: bool,
}

impl Listeners {
    /// Reads the spec of an Istio Gateway in `gateway_namespace` for routes in `route_namespace`. A host can be
    /// limited to routes of one namespace as `namespace/host`, where `.` is the gateway's own (`istio/api`,
    /// `networking/v1alpha3/gateway.proto`).
    pub fn read(spec: &Value, of: &str, for_routes_of: &str) -> Self {
        let spec = Spec::deserialize(spec).unwrap_or_default();
        let mut listeners = Self {
            selector: spec.selector,
            ..Self::default()
        };
        for server in spec.servers {
            let tls = match server.port.protocol.to_ascii_uppercase().as_str() {
                "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => false,
                "HTTPS" => true,
                _ => continue,
            };
            let takes = tls || !server.tls.https_redirect;
            listeners.https |= tls;
            listeners.http |= takes && !tls;
            let hosts = server.hosts.iter().filter_map(|host| match host.split_once('/') {
                None | Some(("*", _)) => Some(host.rsplit('/').next().unwrap_or(host)),
                Some((".", host)) => (of == for_routes_of).then_some(host),
                Some((namespace, host)) => (namespace == for_routes_of).then_some(host),
            });
            // The CRD accepts any text as a host. An invalid one matches no request and must not appear in messages.
            let hosts: Vec<String> = hosts
                .map(str::to_ascii_lowercase)
                .filter(|host| is_host(host))
                .collect();
            listeners.hosts.extend(hosts.iter().cloned());
            let port = server.port.number.as_u64().and_then(|port| port.try_into().ok());
            if let (Some(port), true, false) = (port, takes, hosts.is_empty()) {
                listeners.servers.push(Listener { port, tls, hosts });
            }
        }
        listeners
    }

    /// Whether some request to one of these hosts is accepted.
    pub fn take(&self, hosts: &[String]) -> bool {
        let says_nothing = !self.http && !self.https;
        says_nothing || hosts_overlap(hosts, &self.hosts)
    }

    pub fn https_only(&self) -> bool {
        self.https && !self.http
    }
}

/// Reads a Gateway of the Gateway API for routes of any namespace.
pub fn of_gateway_api(gateway: &Value) -> Listeners {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Server {
        port: u16,
        protocol: String,
        hostname: Option<String>,
    }
    let of_spec = gateway.pointer("/spec/listeners").cloned().unwrap_or_default();
    let mut listeners = Listeners::default();
    for server in Vec::<Server>::deserialize(of_spec).unwrap_or_default() {
        let tls = match server.protocol.as_str() {
            "HTTP" => false,
            "HTTPS" => true,
            _ => continue,
        };
        listeners.http |= !tls;
        listeners.https |= tls;
        let host = server.hostname.filter(|host| !host.is_empty());
        let host = host.map_or("*".to_owned(), |host| host.to_ascii_lowercase());
        // An invalid host matches no request and must not appear in messages.
        if !is_host(&host) {
            continue;
        }
        let hosts = vec![host];
        listeners.hosts.extend(hosts.iter().cloned());
        listeners.servers.push(Listener {
            port: server.port,
            tls,
            hosts,
        });
    }
    let conditions = gateway.pointer("/status/conditions").and_then(Value::as_array);
    listeners.down = route_condition::find(conditions, "Programmed").is_some_and(|condition| !condition.holds());
    listeners
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(servers: &Value) -> Listeners {
        Listeners::read(&json!({"servers": servers}), "istio-system", "edge")
    }

    fn server(protocol: &str, hosts: &[&str]) -> Value {
        json!({"port": {"number": 1, "protocol": protocol}, "hosts": hosts})
    }

    #[test]
    fn tls_is_required_without_an_http_server() {
        assert!(read(&json!([server("HTTPS", &["*"])])).https_only());
        assert!(!read(&json!([server("HTTP", &["*"])])).https_only());
        assert!(!read(&json!([server("HTTPS", &["*"]), server("http", &["*"])])).https_only());
        let mut redirect = server("HTTP", &["*"]);
        redirect["tls"] = json!({"httpsRedirect": true});
        assert!(read(&json!([server("HTTPS", &["*"]), redirect])).https_only());
        // TLS passthrough routes by host name alone, so models cannot use it.
        assert!(!read(&json!([server("TLS", &["*"])])).https_only());
    }

    #[test]
    fn hosts_may_be_limited_to_a_namespace() {
        let takes = |host: &str| read(&json!([server("HTTP", &[host])])).take(&["iris.example".to_owned()]);
        for host in ["*", "*/*", "iris.example", "*.example", "edge/iris.example", "edge/*"] {
            assert!(takes(host), "{host}");
        }
        for host in ["other.example", "other/iris.example", "./iris.example"] {
            assert!(!takes(host), "{host}");
        }
        assert!(read(&json!([])).take(&["iris.example".to_owned()]));
    }

    #[test]
    fn gateway_reports_listeners_and_readiness() {
        let read = |listeners: Value, programmed: &str| {
            let condition = json!({"type": "Programmed", "status": programmed, "reason": "AddressNotAssigned"});
            of_gateway_api(&json!({"spec": {"listeners": listeners}, "status": {"conditions": [condition]}}))
        };
        let http = json!({"name": "http-80", "port": 80, "protocol": "HTTP"});
        let https = json!({"name": "https-443", "port": 443, "protocol": "HTTPS", "hostname": "a.example"});
        let both = read(json!([http, https]), "True");
        assert!(!both.down && !both.https_only() && both.take(&["b.example".to_owned()]));
        let one = read(json!([https]), "False");
        assert!(one.down && one.https_only() && !one.take(&["b.example".to_owned()]));
        assert!(!of_gateway_api(&json!({})).down, "nobody has said so yet");
        assert!(!read(json!([{"protocol": "TLS"}]), "True").https_only());
    }
}
