use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn target(port: u16) -> Target {
    Target {
        tls: false,
        address: "127.0.0.1".to_owned(),
        port,
        host: None,
        path: "/model/iris/api/v1.0/predictions".to_owned(),
    }
}

fn sent(target: &Target, limit: Duration) -> Result<Response, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(post(target, b"{}".to_vec(), limit))
}

/// Reads one request to its end, which is `{}`.
fn request(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    let mut part = [0; 4096];
    while !read.ends_with(b"{}") {
        let length = stream.read(&mut part).unwrap();
        assert!(length > 0, "the client went away");
        read.extend_from_slice(&part[..length]);
    }
    String::from_utf8(read).unwrap()
}

/// A server with one answer. Returns the request.
fn server(answer: Vec<u8>) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = request(&mut stream);
        // The client closes once it has read enough.
        let _ = stream.write_all(&answer);
        request
    });
    (port, handle)
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn request_names_path_and_host() {
    let (port, server) = server(response("503 Service Unavailable", "no\0body"));
    let mut target = target(port);
    target.host = Some("iris.plant.example".to_owned());
    let answer = sent(&target, LONG).unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (503, "no\u{fffd}body"));
    assert!(!answer.is_cut);
    let request = server.join().unwrap().to_lowercase();
    for part in [
        "post /model/iris/api/v1.0/predictions http/1.1\r\n",
        "host: iris.plant.example\r\n",
        "content-type: application/json\r\n",
    ] {
        assert!(request.contains(part), "{request}");
    }
    assert!(!request.contains("authorization"), "{request}");
}

#[test]
fn response_is_read_up_to_its_limit() {
    let (port, server) = server(response("200 OK", &"ü".repeat(LONGEST_RESULT)));
    let answer = sent(&target(port), LONG).unwrap();
    server.join().unwrap();
    assert!(answer.is_cut && answer.text.len() <= LONGEST_RESULT);
    let shown = answer.text.trim_end_matches('\u{fffd}');
    assert!(shown.chars().all(|c| c == 'ü'));
}

#[test]
fn missing_response_is_reported_with_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody takes the connection from its queue.
    let Err(why) = sent(&target(port), Duration::from_secs(1)) else {
        panic!("an answer")
    };
    assert_eq!(why, "no answer within 1 s");
    // Nobody else's port either, as one of a listener that was closed may be by now.
    let Err(why) = sent(&target(1), LONG) else {
        panic!("an answer")
    };
    assert!(why.contains("Connection refused"), "{why}");
}

#[test]
fn gateway_certificate_is_not_verified_and_sni_sent() {
    let key = rcgen::generate_simple_self_signed(["unknown.example".to_owned()]).unwrap();
    let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        request(&mut stream);
        stream.write_all(&response("200 OK", "{}")).unwrap();
        connection.server_name().map(ToOwned::to_owned)
    });
    let target = Target {
        tls: true,
        host: Some("iris.plant.example".to_owned()),
        ..target(port)
    };
    assert_eq!(
        target.url(),
        format!("https://127.0.0.1:{port}/model/iris/api/v1.0/predictions")
    );
    assert_eq!(sent(&target, LONG).unwrap().text, "{}");
    assert_eq!(server.join().unwrap().as_deref(), Some("iris.plant.example"));
}
