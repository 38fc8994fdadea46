//! The line between a unit's hooks and its watcher: a socket in the abstract namespace, which is the pod's own.
//!
//! It is the watcher's lock as well: a name is bound once, and free when its process is gone. A hook holds the line while it
//! runs, and says at its end what it found.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use tokio::io::AsyncReadExt as _;

use super::Message;
use crate::juju::Invocation;

/// Longest name of such a socket, in bytes (`unix(7)`: 108 with the zero that marks it).
const LONGEST_NAME: usize = 107;
/// The other side is on this machine and has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest message, in bytes: all options of a fleet with their secrets are far below.
const LONGEST_MESSAGE: u64 = 16 * 1024 * 1024;

/// The line of a unit, from the side of a hook: the watcher keeps still while it is held.
#[derive(Debug)]
pub struct Line(UnixStream);

impl Line {
    /// Takes the line, if the unit has a watcher.
    #[must_use]
    pub fn take(invocation: &Invocation) -> Option<Self> {
        let stream = UnixStream::connect_addr(&address(invocation).ok()?).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        is_ours(&stream).then_some(Self(stream))
    }

    /// Says what there is to say, and lets the line go.
    ///
    /// # Errors
    /// When the watcher is gone.
    pub fn say(mut self, message: &Message) -> io::Result<()> {
        self.0.write_all(&serde_json::to_vec(message)?)?;
        self.0.shutdown(Shutdown::Write)
    }
}

/// The watcher's end.
///
/// # Errors
/// When the unit has a watcher already.
pub fn listen(invocation: &Invocation) -> io::Result<tokio::net::UnixListener> {
    let listener = UnixListener::bind_addr(&address(invocation)?)?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// What a hook says before it lets the line go, which may be nothing.
pub async fn hear(stream: tokio::net::UnixStream) -> Option<Message> {
    if !is_ours(&stream) {
        return None;
    }
    let mut text = Vec::new();
    stream.take(LONGEST_MESSAGE).read_to_end(&mut text).await.ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whether the other side is of this user: what is said may hold secrets.
fn is_ours(stream: &impl AsFd) -> bool {
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

fn address(invocation: &Invocation) -> io::Result<SocketAddr> {
    let mut name = format!("seldon-model/{}/{}", invocation.unit, invocation.model_uuid).into_bytes();
    name.truncate(LONGEST_NAME);
    SocketAddr::from_abstract_name(name)
}
