//! A port of loopback that leads to another address.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Command, Stdio};

use kube_box::node::LEAD;

/// A port that leads to an address until it is dropped.
struct Lead {
    process: Child,
    from: SocketAddr,
    says: BufReader<ChildStderr>,
}

impl Lead {
    fn to(to: SocketAddr) -> Self {
        let listener = listener();
        let from = listener.local_addr().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_site"))
            .args([LEAD, &to.to_string()])
            .stdin(OwnedFd::from(listener))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stderr.take().unwrap());
        Self { process, from, says }
    }

    fn client(&self) -> TcpStream {
        TcpStream::connect(self.from).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

#[test]
fn each_side_ends_when_the_other_has_ended() {
    let server = listener();
    let lead = Lead::to(server.local_addr().unwrap());
    let mut client = lead.client();
    client.write_all(b"asked").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut inside, _) = server.accept().unwrap();
    let mut text = String::new();
    inside.read_to_string(&mut text).unwrap();
    assert_eq!(text, "asked");
    inside.write_all(b"answered").unwrap();
    drop(inside);
    text.clear();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answered");
}

#[test]
fn a_connection_that_leads_nowhere_is_named() {
    let to = listener().local_addr().unwrap();
    let mut lead = Lead::to(to);
    let client = lead.client();
    let said = lead.line();
    let from = client.local_addr().unwrap();
    assert!(
        said.contains(&format!(" {from}: {to} cannot be reached: ")) && said.contains("refused"),
        "{said}"
    );
}

#[test]
fn who_breaks_a_connection_off_is_named() {
    let server = listener();
    let to = server.local_addr().unwrap();
    let mut lead = Lead::to(to);
    let mut client = lead.client();
    let (inside, _) = server.accept().unwrap();
    // Who closes with something unread breaks off.
    client.write_all(b"asked").unwrap();
    assert_eq!(inside.peek(&mut [0; 5]).unwrap(), 5);
    drop(inside);
    let said = lead.line();
    assert!(said.contains(&format!(": broken off by {to}: ")), "{said}");

    let mut client = lead.client();
    let (inside, _) = server.accept().unwrap();
    client.write_all(b"asked").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(inside.peek(&mut [0; 5]).unwrap(), 5);
    drop(inside);
    let said = lead.line();
    assert!(
        said.contains(&format!(": broken off by {to} after the client had ended it: ")),
        "{said}"
    );

    let client = lead.client();
    let (mut inside, _) = server.accept().unwrap();
    inside.write_all(b"unasked").unwrap();
    assert_eq!(client.peek(&mut [0; 7]).unwrap(), 7);
    drop(client);
    let said = lead.line();
    assert!(said.contains(": broken off by the client: "), "{said}");
}
