//! A network that drops what is sent without a sign to either end: no FIN, no RST, as when a firewall forgets a connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A TCP proxy between a client and a server.
pub struct BlackHole {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl BlackHole {
    /// Forwards everything to that server.
    pub fn in_front_of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let network = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            dropped: Arc::default(),
        };
        let (connections, dropped) = (Arc::clone(&network.connections), Arc::clone(&network.dropped));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let ways = [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ];
                for (from, to) in ways {
                    let dropped = Arc::clone(&dropped);
                    thread::spawn(move || pass(from, to, number, &dropped));
                }
            }
        });
        network
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// From now on, nothing sent over the existing connections arrives, and neither end notices when the other closes.
    pub fn drop_open_connections(&self) {
        self.dropped.store(self.connections(), Ordering::SeqCst);
    }

    /// The same for all future connections too.
    pub fn drop_all_connections(&self) {
        self.dropped.store(usize::MAX, Ordering::SeqCst);
    }
}

/// Forwards data until the connection is dropped; then reads and discards it.
fn pass(mut from: TcpStream, mut to: TcpStream, number: usize, dropped: &AtomicUsize) {
    let is_dropped = || number < dropped.load(Ordering::SeqCst);
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = from.read(&mut chunk).unwrap_or_default();
        if is_dropped() {
            if read == 0 {
                // Both ends stay open for the rest of the test.
                std::mem::forget((from, to));
                return;
            }
        } else if read == 0 || to.write_all(&chunk[..read]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
