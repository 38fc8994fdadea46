//! A request to a model, as one of its clients would send it. It goes by the HTTP client that is there for the Kubernetes API.

use std::error::Error;
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HOST};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Config};
use tokio::time::timeout;

use juju_hooks::tool::LONGEST_RESULT;

/// Time for a connection inside a cluster: it comes about in milliseconds or not at all.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether with TLS. The certificate is not looked at: it is of a name by which clients outside know the gateway, and the address
    /// comes from the API server.
    pub tls: bool,
    /// The address.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The name that the gateway knows the model by; the address where it is left out.
    pub host: Option<String>,
    /// The path.
    pub path: String,
}

impl Target {
    /// Scheme, address and port.
    fn base(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let address = bracketed(&self.address);
        format!("{scheme}://{address}:{}", self.port)
    }

    /// The whole of it.
    pub fn url(&self) -> String {
        format!("{}{}", self.base(), self.path)
    }
}

/// An address as a URL has it: one of IP version 6 stands in brackets.
pub fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

/// What came back.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The answer, or its beginning.
    pub text: String,
    /// Whether there was more of it.
    pub is_cut: bool,
    /// How long it took.
    pub latency: Duration,
}

/// Sends JSON, and waits for the answer as long as that.
///
/// # Errors
/// Why there is none.
pub async fn post(target: &Target, body: Vec<u8>, limit: Duration) -> Result<Response, String> {
    let start = Instant::now();
    let late = |_| format!("no answer within {} s", limit.as_secs());
    let (status, bytes) = timeout(limit, exchange(target, body)).await.map_err(late)??;
    let latency = start.elapsed();
    // No argument of a program can hold a zero byte, and results are given as such.
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

/// The status code and as much of the answer as is shown, and a little more.
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
        let frame = frame.map_err(|error| format!("the answer broke off: {}", cause(&error)))?;
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
    // As none is looked at, none has to be trusted.
    config.root_cert = Some(Vec::new());
    config.tls_server_name.clone_from(&target.host);
    Client::try_from(config).map_err(|error| cause(&error))
}

/// The innermost cause, which says most.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
