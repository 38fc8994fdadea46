//! Sends a request to a model, with the HTTP client of the Kubernetes API.

use std::error::Error;
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HOST};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Config};
use tokio::time::timeout;

use juju_hooks::tool::LONGEST_RESULT;

/// Timeout of a connection inside a cluster, where it takes milliseconds or never succeeds.
const CONNECT: Duration = Duration::from_secs(3);

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

    pub fn url(&self) -> String {
        format!("{}{}", self.base(), self.path)
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
    let client = client(target)?;
    let mut request = http::Request::post(&target.path).header(CONTENT_TYPE, "application/json");
    if let Some(host) = &target.host {
        request = request.header(HOST, host);
    }
    let request = request.body(Body::from(body)).map_err(|error| cause(&error))?;
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

fn client(target: &Target) -> Result<Client, String> {
    let url = target.base().parse().map_err(|error| cause(&error))?;
    let mut config = Config::new(url);
    config.connect_timeout = Some(CONNECT);
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
