//! A proxy in front of the API server that misbehaves on demand.

use std::fs;
use std::io;
use std::net;
use std::ops::Range;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::fixture::{Live, runtime};

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum ApiFault {
    /// The proxy answers instead of the API server: code, header, body.
    Answer(u16, Option<(&'static str, &'static str)>, String),
    /// It is forwarded after that time.
    Slow(Duration),
    /// The response breaks off in the middle.
    Cut,
    /// The connection ends without a response.
    Reset,
    /// The charm is killed before it is forwarded.
    Kill,
}

impl ApiFault {
    /// An error as the API server words it.
    pub fn error(code: u16, reason: &str, message: &str) -> Self {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": reason, "message": message,
        });
        Self::Answer(code, None, status.to_string())
    }
}

/// Which requests get the fault.
#[derive(Clone, Copy, Debug)]
pub struct RequestFilter {
    /// By method and path.
    pub matches: fn(&str, &str) -> bool,
    /// How many of them pass first.
    pub after: usize,
    /// How many of them get it; later ones pass.
    pub times: usize,
}

pub const ALL: RequestFilter = RequestFilter {
    matches: |_, _| true,
    after: 0,
    times: usize::MAX,
};
/// Requests that write. Access reviews are sent by POST too, and write nothing.
pub const WRITES: RequestFilter = RequestFilter {
    matches: |method, path| method != "GET" && !path.contains("selfsubject"),
    ..ALL
};

#[derive(Default)]
struct State {
    filter: Option<(RequestFilter, ApiFault)>,
    met: usize,
    seen: Vec<String>,
}

/// Between a charm and its API server.
pub struct Proxy {
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Starts one between them, with a certificate that is valid in these years.
    pub fn in_front_of(live: &mut Live, years: Range<i32>) -> Self {
        let path = live.agent.kubeconfig.clone().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let direct = Kubeconfig::from_yaml(&text).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();

        let mut kubeconfig: Value = serde_yaml::from_str(&text).unwrap();
        let cluster = kubeconfig["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("certificate-authority-data");
        let authority = path.with_extension("crt");
        fs::write(&authority, certificate.pem()).unwrap();
        cluster.insert("certificate-authority".to_owned(), json!(authority));
        let url = format!("https://{}", listener.local_addr().unwrap());
        cluster.insert("server".to_owned(), json!(url));
        fs::write(&path, serde_yaml::to_string(&kubeconfig).unwrap()).unwrap();

        let state = Arc::new(Mutex::new(State::default()));
        let (shared, model) = (Arc::clone(&state), live.model());
        thread::spawn(move || runtime().block_on(serve(listener, tls, direct, shared, model)));
        Self { state }
    }

    /// From now on, these requests get this fault.
    pub fn inject(&self, filter: RequestFilter, fault: ApiFault) {
        *self.state.lock().unwrap() = State {
            filter: Some((filter, fault)),
            ..State::default()
        };
    }

    pub fn clear(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    /// The requests since the last change of the fault, as `method path`.
    pub fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl State {
    fn fault_for(&mut self, method: &str, path: &str) -> Option<ApiFault> {
        self.seen.push(format!("{method} {path}"));
        let (filter, fault) = self.filter.as_ref()?;
        if !(filter.matches)(method, path) {
            return None;
        }
        self.met += 1;
        let is_met = self.met > filter.after && self.met - filter.after <= filter.times;
        is_met.then(|| fault.clone())
    }
}

async fn serve(
    listener: net::TcpListener,
    tls: ServerConfig,
    direct: Kubeconfig,
    state: Arc<Mutex<State>>,
    model: String,
) {
    let mut config = Config::from_custom_kubeconfig(direct, &KubeConfigOptions::default())
        .await
        .unwrap();
    // Each request has its own credentials.
    config.auth_info = AuthInfo::default();
    let client = Client::try_from(config).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, client, state, model) = (acceptor.clone(), client.clone(), Arc::clone(&state), model.clone());
        tokio::spawn(async move {
            // A client that does not trust the certificate hangs up, which is what some tests want.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request| {
                let fault = state
                    .lock()
                    .unwrap()
                    .fault_for(request.method().as_str(), request.uri().path());
                answer(request, fault, client.clone(), &model)
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    fault: Option<ApiFault>,
    client: Client,
    model: &str,
) -> io::Result<Response<Sent>> {
    match &fault {
        Some(ApiFault::Answer(code, header, body)) => {
            let mut response = Response::builder().status(*code);
            if let Some((name, value)) = header {
                response = response.header(*name, *value);
            }
            let body = Sent::whole(Bytes::from(body.clone()));
            return Ok(response.header(CONTENT_TYPE, "application/json").body(body).unwrap());
        }
        Some(ApiFault::Slow(time)) => tokio::time::sleep(*time).await,
        Some(ApiFault::Kill) => kill(model),
        Some(ApiFault::Reset | ApiFault::Cut) | None => {}
    }
    if matches!(fault, Some(ApiFault::Reset | ApiFault::Kill)) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    // The client sets its own.
    parts.headers.remove(HOST);
    let request = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let (mut parts, body) = client.send(request).await.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    let body = match fault {
        Some(ApiFault::Cut) => Sent::half(&body),
        _ => Sent::whole(body),
    };
    Ok(Response::from_parts(parts, body))
}

/// The body of a response, or its first half and then an error.
struct Sent {
    data: Option<Bytes>,
    breaks: bool,
}

impl Sent {
    fn whole(data: Bytes) -> Self {
        Self {
            data: Some(data),
            breaks: false,
        }
    }

    fn half(data: &Bytes) -> Self {
        Self {
            data: Some(data.slice(..data.len() / 2)),
            breaks: true,
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None if self.breaks => Some(Err(io::ErrorKind::ConnectionReset.into())),
            None => None,
        })
    }
}

/// Kills the running charm of a Juju model.
fn kill(model: &str) {
    let of = format!("JUJU_MODEL_NAME={model}");
    let charm = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        read("comm") == b"dispatch\n"
            && read("environ")
                .split(|byte| *byte == 0)
                .any(|word| word == of.as_bytes())
    });
    let pid = charm.expect("a charm asks").file_name();
    let killed = Command::new("kill").arg("-KILL").arg(pid).status().unwrap();
    assert!(killed.success());
}
