//! Sends a request to a model, with the HTTP client of the Kubernetes API.

use std::error::Error;
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HOST, LOCATION, SERVER};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Config};
use tokio::time::timeout;

use super::gateway_endpoints::{Endpoint, common_hosts};
use crate::config::Model;
use crate::gateway::revision::{self, Answer, DENIAL, Origin};
use juju_hooks::tool::LONGEST_RESULT;

/// Timeout of a connection inside a cluster, where it takes milliseconds or never succeeds.
const CONNECT: Duration = Duration::from_secs(3);

/// Envoy adds it to what a Service answered, with the milliseconds that it took.
const SERVICE_TIME: &str = "x-envoy-upstream-service-time";
/// Longest body that may be a denial, in bytes.
const LONGEST_DENIAL: usize = 64;
/// How Istio's gateways call themselves (`istio/istio`, `pilot/pkg/networking/core`, `GetProxyHeadersFromProxyConfig`).
const ENVOY: &str = "istio-envoy";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The certificate is not verified: it is issued for the names by which clients know the gateway, and the address comes from the
    /// API server.
    pub tls: bool,
    pub address: String,
    pub port: u16,
    /// The hostname of the model; the address by default.
    pub host: Option<String>,
    pub path: String,
}

impl Target {
    fn base(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let address = bracketed(&self.address);
        format!("{scheme}://{address}:{}", self.port)
    }

    /// A path of a model at the first endpoint of its gateway that accepts one of its hosts.
    pub fn of_model(model: &Model, endpoints: &[&Endpoint], path: &str) -> Option<Self> {
        endpoints.iter().find_map(|endpoint| {
            let host = common_hosts(&model.hosts, &endpoint.hosts).into_iter().next()?;
            Some(Self {
                tls: endpoint.tls,
                address: endpoint.address.clone(),
                port: endpoint.port,
                // Any name below the domain will do.
                host: host.map(|host| host.replacen('*', &model.name, 1)),
                path: path.to_owned(),
            })
        })
    }

    /// Whether a client of the other sends requests to this one. A TLS connection is for one host.
    pub fn shares_connection(&self, other: &Self) -> bool {
        self.base() == other.base() && (!self.tls || self.host == other.host)
    }

    pub fn url(&self) -> String {
        format!("{}{}", self.base(), self.path)
    }

    /// With the model's host.
    fn addressed(&self, request: http::request::Builder) -> http::request::Builder {
        match &self.host {
            Some(host) => request.header(HOST, host),
            None => request,
        }
    }
}

/// An address in the form of a URL, where IPv6 addresses have brackets.
pub fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

pub struct Response {
    pub status: u16,
    /// The beginning of the body, if it is too long for a result.
    pub text: String,
    pub is_cut: bool,
    pub latency: Duration,
}

/// Sends JSON. The error is the cause, for a message.
pub async fn post(target: &Target, body: Vec<u8>, limit: Duration) -> Result<Response, String> {
    let start = Instant::now();
    let late = |_| format!("no answer within {} s", limit.as_secs());
    let (status, bytes) = timeout(limit, exchange(target, body)).await.map_err(late)??;
    let latency = start.elapsed();
    // Results are arguments of a program, which cannot hold a zero byte.
    let mut text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let is_cut = text.len() > LONGEST_RESULT;
    let mut end = text.len().min(LONGEST_RESULT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Ok(Response {
        status,
        text,
        is_cut,
        latency,
    })
}

/// Reads the body only as far as it is shown, and a little more.
async fn exchange(target: &Target, body: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
    let client = client(target, CONNECT)?;
    let request = http::Request::post(&target.path).header(CONTENT_TYPE, "application/json");
    let request = target.addressed(request).body(Body::from(body));
    let request = request.map_err(|error| cause(&error))?;
    let answer = client.send(request).await.map_err(|error| cause(&error))?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while bytes.len() <= LONGEST_RESULT
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|error| format!("the answer was interrupted: {}", cause(&error)))?;
        bytes.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
    }
    Ok((status, bytes))
}

/// Asks a gateway for the revision of a model's route. The error is the cause, for a message.
pub async fn show_revision(client: &Client, target: &Target, limit: Duration) -> Result<Answer, String> {
    let request = http::Request::get(&target.path).header(revision::HEADER, revision::SHOW);
    let request = target.addressed(request).body(Body::empty());
    let request = request.map_err(|error| cause(&error))?;
    let late = |_| format!("no answer within {} s", limit.as_secs());
    let answer = timeout(limit, client.send(request)).await.map_err(late)?;
    let answer = answer.map_err(|error| cause(&error))?;
    let status = answer.status().as_u16();
    let header = |name: &str| answer.headers().get(name);
    let location = header(LOCATION.as_str()).and_then(|location| location.to_str().ok());
    let origin = match (header(SERVICE_TIME), header(SERVER.as_str())) {
        (Some(_), _) => Origin::Service,
        (None, Some(server)) if server == ENVOY => Origin::Gateway,
        (None, _) => Origin::Unknown,
    };
    let location = location.map(ToOwned::to_owned);
    // Any other body says nothing more, and is not read.
    let is_denial = status == 403 && {
        let body = answer.into_body();
        let beginning = timeout(limit, http_body_util::Limited::new(body, LONGEST_DENIAL).collect()).await;
        beginning.is_ok_and(|body| body.is_ok_and(|body| body.to_bytes() == DENIAL.as_bytes()))
    };
    Ok(Answer {
        status,
        location,
        origin,
        is_denial,
    })
}

pub fn client(target: &Target, connect: Duration) -> Result<Client, String> {
    let url = target.base().parse().map_err(|error| cause(&error))?;
    let mut config = Config::new(url);
    config.connect_timeout = Some(connect);
    config.default_retry = false;
    config.accept_invalid_certs = true;
    // Certificates are not verified, so none has to be trusted.
    config.root_cert = Some(Vec::new());
    config.tls_server_name.clone_from(&target.host);
    Client::try_from(config).map_err(|error| cause(&error))
}

/// The innermost error, which is the most specific.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
