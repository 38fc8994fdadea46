//! The listeners of a gateway.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::hosts::{hosts_overlap, is_host};
use super::route_condition;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Istio looks for the pods of a Gateway in all namespaces (`PILOT_SCOPE_GATEWAY_TO_NAMESPACE` is off by default).
    #[default]
    Cluster,
    /// Those of a Gateway of the Gateway API are in its own.
    Namespace,
}

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
    /// Where its pods may be.
    pub scope: Scope,
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
struct IstioGatewaySpec {
    servers: Vec<IstioServer>,
    selector: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct IstioServer {
    port: IstioPort,
    hosts: Vec<String>,
    tls: IstioTls,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct IstioPort {
    number: Value,
    protocol: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct IstioTls {
    https_redirect: bool,
}

impl Listeners {
    /// Reads the spec of an Istio Gateway in `gateway_namespace` for routes in `route_namespace`. A host can be
    /// limited to routes of one namespace as `namespace/host`, where `.` is the gateway's own (`istio/api`,
    /// `networking/v1alpha3/gateway.proto`).
    pub fn read(spec: &Value, gateway_namespace: &str, route_namespace: &str) -> Self {
        let spec = IstioGatewaySpec::deserialize(spec).unwrap_or_default();
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
            let accepts = tls || !server.tls.https_redirect;
            listeners.https |= tls;
            listeners.http |= accepts && !tls;
            let hosts = server.hosts.iter().filter_map(|host| match host.split_once('/') {
                None | Some(("*", _)) => Some(host.rsplit('/').next().unwrap_or(host)),
                Some((".", host)) => (gateway_namespace == route_namespace).then_some(host),
                Some((namespace, host)) => (namespace == route_namespace).then_some(host),
            });
            // The CRD accepts any text as a host. An invalid one matches no request and must not appear in messages.
            let hosts: Vec<String> = hosts
                .map(str::to_ascii_lowercase)
                .filter(|host| is_host(host))
                .collect();
            listeners.hosts.extend(hosts.iter().cloned());
            let port = server.port.number.as_u64().and_then(|port| port.try_into().ok());
            if let (Some(port), true, false) = (port, accepts, hosts.is_empty()) {
                listeners.servers.push(Listener { port, tls, hosts });
            }
        }
        listeners
    }

    /// Whether some request to one of these hosts is accepted.
    pub fn accepts(&self, hosts: &[String]) -> bool {
        let is_unknown = !self.http && !self.https;
        is_unknown || hosts_overlap(hosts, &self.hosts)
    }

    /// Of all listeners that take requests, as far as they are known.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.servers.iter().map(|server| server.port)
    }

    /// The selector of the gateway's pods, for a request to the API server and for kubectl. A gateway without labels
    /// selects nothing that could be told apart.
    pub fn label_selector(&self) -> Option<String> {
        let labels = self.selector.iter().map(|(key, value)| format!("{key}={value}"));
        let labels: Vec<String> = labels.collect();
        (!labels.is_empty()).then(|| labels.join(","))
    }

    pub fn https_only(&self) -> bool {
        self.https && !self.http
    }
}

/// Reads a Gateway of the Gateway API for routes of any namespace.
pub fn read_gateway_api(gateway: &Value) -> Listeners {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct GatewayApiListener {
        port: u16,
        protocol: String,
        hostname: Option<String>,
    }
    let listeners_value = gateway.pointer("/spec/listeners").cloned().unwrap_or_default();
    let mut listeners = Listeners::default();
    for server in Vec::<GatewayApiListener>::deserialize(listeners_value).unwrap_or_default() {
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
        let accepts = |host: &str| read(&json!([server("HTTP", &[host])])).accepts(&["iris.example".to_owned()]);
        for host in ["*", "*/*", "iris.example", "*.example", "edge/iris.example", "edge/*"] {
            assert!(accepts(host), "{host}");
        }
        for host in ["other.example", "other/iris.example", "./iris.example"] {
            assert!(!accepts(host), "{host}");
        }
        assert!(read(&json!([])).accepts(&["iris.example".to_owned()]));
    }

    #[test]
    fn gateway_reports_listeners_and_readiness() {
        let read = |listeners: Value, programmed: &str| {
            let condition = json!({"type": "Programmed", "status": programmed, "reason": "AddressNotAssigned"});
            read_gateway_api(&json!({"spec": {"listeners": listeners}, "status": {"conditions": [condition]}}))
        };
        let http = json!({"name": "http-80", "port": 80, "protocol": "HTTP"});
        let https = json!({"name": "https-443", "port": 443, "protocol": "HTTPS", "hostname": "a.example"});
        let http_and_https = read(json!([http, https]), "True");
        assert!(
            !http_and_https.down && !http_and_https.https_only() && http_and_https.accepts(&["b.example".to_owned()])
        );
        let https_only = read(json!([https]), "False");
        assert!(https_only.down && https_only.https_only() && !https_only.accepts(&["b.example".to_owned()]));
        assert!(!read_gateway_api(&json!({})).down, "nothing is reported yet");
        assert!(!read(json!([{"protocol": "TLS"}]), "True").https_only());
    }
}
