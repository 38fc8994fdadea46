//! A network that swallows what is sent, without a word to either end: no FIN, no RST, as when a firewall forgets a connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Between a client and a server of TCP.
pub struct Silence {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    swallowed: Arc<AtomicUsize>,
}

impl Silence {
    /// Goes before that server, and passes everything on.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silence = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            swallowed: Arc::default(),
        };
        let (connections, swallowed) = (Arc::clone(&silence.connections), Arc::clone(&silence.swallowed));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let ways = [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ];
                for (from, to) in ways {
                    let swallowed = Arc::clone(&swallowed);
                    thread::spawn(move || pass(from, to, number, &swallowed));
                }
            }
        });
        silence
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// From now on, nothing that is sent over the connections so far arrives, and neither end learns of the other's end.
    pub fn swallow(&self) {
        self.swallowed.store(self.connections(), Ordering::SeqCst);
    }

    /// The same for all connections that are still to come.
    pub fn swallow_all(&self) {
        self.swallowed.store(usize::MAX, Ordering::SeqCst);
    }
}

/// Passes on what comes, until the connection is swallowed: then it is read and thrown away.
fn pass(mut from: TcpStream, mut to: TcpStream, number: usize, swallowed: &AtomicUsize) {
    let is_swallowed = || number < swallowed.load(Ordering::SeqCst);
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = from.read(&mut chunk).unwrap_or_default();
        if is_swallowed() {
            if read == 0 {
                // Both ends stay open for as long as the test.
                std::mem::forget((from, to));
                return;
            }
        } else if read == 0 || to.write_all(&chunk[..read]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
