//! The socket between a unit's hooks and its watcher, in the abstract namespace, which belongs to the pod.
//!
//! It also serves as the watcher's lock: an abstract name can be bound once, and is free when its process ends. A
//! hook stays connected while it runs and sends its outcome at the end. The watcher sends its health right after
//! accepting ([`HealthReport`]). One that does not is stuck, or of a version without reports, and is replaced.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt::PeerCredentials,
};
use nix::unistd::{Pid, geteuid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::HookMessage;
use super::health::HealthReport;
use juju_hooks::HookContext;

/// In bytes (`unix(7)`: 108 with the leading zero).
const LONGEST_NAME: usize = 107;
/// The peer is on this machine and idle, but the machine may be busy.
const PEER_LIMIT: Duration = Duration::from_secs(5);
/// How long a hook may stay connected. No hook takes longer: 25 s for the API server, 130 s for hook tools, and some
/// seconds between.
const HOOK_LIMIT: Duration = Duration::from_secs(300);
/// Between two checks whether a killed watcher is gone.
const GONE_POLL: Duration = Duration::from_millis(5);
/// In bytes.
const LONGEST_REPORT: usize = 64 * 1024;
/// In bytes. The options and secrets of a large fleet are far below.
const LONGEST_MESSAGE: u64 = 16 * 1024 * 1024;

/// The hook's end of the connection. The watcher does nothing while it is open.
#[derive(Debug)]
pub struct Socket(UnixStream);

/// The other end of a connection.
#[derive(Debug)]
pub enum Peer {
    /// No watcher, or one that is just exiting.
    Absent,
    Healthy(Socket, HealthReport),
    /// A process that does not respond like a watcher of this version, and how it failed.
    Unhealthy(Option<Pid>, String),
}

impl Socket {
    /// Connects and waits for the watcher's report.
    pub fn connect(context: &HookContext) -> Peer {
        let mut stream = match connect_nonblocking(context) {
            Ok(stream) => stream,
            // The backlog is full, because the process does not accept connections.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Peer::Unhealthy(None, "accepts no connections".to_owned());
            }
            Err(_) => return Peer::Absent,
        };
        let Some(pid) = trusted_peer(&stream) else {
            return Peer::Unhealthy(None, "belongs to another user".to_owned());
        };
        match read_report(&mut stream) {
            Ok(Some(report)) => match report.error() {
                Some(error) => Peer::Unhealthy(Some(pid), error),
                None => Peer::Healthy(Self(stream), report),
            },
            Ok(None) => Peer::Absent,
            Err(why) => Peer::Unhealthy(Some(pid), why),
        }
    }

    /// Sends a message and closes the connection.
    pub fn send(mut self, message: &HookMessage) -> io::Result<()> {
        self.0.write_all(&serde_json::to_vec(message)?)?;
        self.0.shutdown(Shutdown::Write)
    }
}

/// The watcher's end. Fails if the unit already has a watcher.
pub fn listen(context: &HookContext) -> io::Result<tokio::net::UnixListener> {
    let listener = UnixListener::bind_addr(&address(context)?)?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// Waits until the socket is free, as it soon is after the watcher was killed.
pub fn is_free(context: &HookContext) -> bool {
    let deadline = Instant::now() + PEER_LIMIT;
    while !matches!(connect_nonblocking(context), Err(error) if error.kind() == ErrorKind::ConnectionRefused) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(GONE_POLL);
    }
    true
}

/// Sends a hook the report, and waits for its message until it disconnects.
pub async fn answer(stream: tokio::net::UnixStream, report: &HealthReport) -> Option<HookMessage> {
    answer_within(HOOK_LIMIT, stream, report).await
}

async fn answer_within(limit: Duration, stream: tokio::net::UnixStream, report: &HealthReport) -> Option<HookMessage> {
    timeout(limit, exchange(stream, report)).await.ok().flatten()
}

async fn exchange(mut stream: tokio::net::UnixStream, report: &HealthReport) -> Option<HookMessage> {
    let mut line = serde_json::to_vec(report).ok()?;
    line.push(b'\n');
    // A hook of a version without reports may have sent its message and disconnected by now.
    let _ = stream.write_all(&line).await;
    let mut text = Vec::new();
    // Such a hook leaves the report unread, which makes the end of the stream an error (`unix(7)`). Its message was
    // read before that.
    let _ = stream.take(LONGEST_MESSAGE).read_to_end(&mut text).await;
    serde_json::from_slice(&text).ok()
}

/// The peer's process, if it has our user: messages may contain secrets.
pub fn trusted_peer(stream: &impl AsFd) -> Option<Pid> {
    let peer = getsockopt(stream, PeerCredentials).ok()?;
    (peer.uid() == geteuid().as_raw()).then(|| Pid::from_raw(peer.pid()))
}

/// `None` if the watcher exits instead.
fn read_report(stream: &mut UnixStream) -> Result<Option<HealthReport>, String> {
    let deadline = Instant::now() + PEER_LIMIT;
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    while !line.contains(&b'\n') {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_over = left.is_zero() || line.len() > LONGEST_REPORT;
        match (!is_over).then(|| {
            stream
                .set_read_timeout(Some(left))
                .and_then(|()| stream.read(&mut chunk))
        }) {
            None => return Err(format!("did not answer within {} s", PEER_LIMIT.as_secs())),
            Some(Ok(0)) => return Ok(None),
            Some(Ok(read)) => line.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Some(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            // The time is over, or a signal interrupted the read.
            Some(Err(_)) => {}
        }
    }
    let report = serde_json::from_slice(&line).map_err(|error| format!("sent a report that cannot be parsed: {error}"));
    report.map(Some)
}

/// Connects without blocking: a process that does not accept connections must not hang a hook.
fn connect_nonblocking(context: &HookContext) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let connected = connect(socket.as_raw_fd(), &UnixAddr::new_abstract(&name(context))?);
    connected.map_err(|errno: Errno| io::Error::from(errno))?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PEER_LIMIT))?;
    Ok(stream)
}

fn name(context: &HookContext) -> Vec<u8> {
    let mut name = format!("seldon-model/{}/{}", context.unit, context.model_uuid).into_bytes();
    name.truncate(LONGEST_NAME);
    name
}

fn address(context: &HookContext) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(future)
    }

    /// What a watcher receives from a hook that does this with its end of the socket.
    fn answered(
        limit: Duration,
        hook: impl FnOnce(UnixStream) -> Option<UnixStream> + Send + 'static,
    ) -> Option<HookMessage> {
        wait(async {
            let (watcher_end, hook_end) = UnixStream::pair().unwrap();
            watcher_end.set_nonblocking(true).unwrap();
            let watcher_end = tokio::net::UnixStream::from_std(watcher_end).unwrap();
            let hook = thread::spawn(move || hook(hook_end));
            let message = answer_within(limit, watcher_end, &HealthReport::default()).await;
            drop(hook.join().unwrap());
            message
        })
    }

    const SHORT: Duration = Duration::from_millis(300);
    const AMPLE: Duration = Duration::from_secs(60);

    #[test]
    fn hook_that_never_disconnects_is_dropped() {
        assert!(answered(SHORT, Some).is_none(), "it stays connected without a message");
        let half = |mut stream: UnixStream| {
            stream.write_all(b"\"En").unwrap();
            Some(stream)
        };
        assert!(answered(SHORT, half).is_none());
        assert!(answered(AMPLE, |_| None).is_none(), "it was killed");
    }

    #[test]
    fn hook_gets_report_and_is_received() {
        let hook = |mut stream: UnixStream| {
            assert_eq!(read_report(&mut stream).unwrap(), Some(HealthReport::default()));
            Socket(stream).send(&HookMessage::End).unwrap();
            None
        };
        assert!(matches!(answered(AMPLE, hook), Some(HookMessage::End)));
    }

    #[test]
    fn hook_that_reads_no_report_is_received() {
        let hook = |stream| {
            Socket(stream).send(&HookMessage::End).unwrap();
            None
        };
        assert!(matches!(answered(AMPLE, hook), Some(HookMessage::End)));
    }

    #[test]
    fn hook_that_ended_before_its_report_is_received() {
        let message = wait(async {
            let (watcher_end, hook_end) = UnixStream::pair().unwrap();
            watcher_end.set_nonblocking(true).unwrap();
            Socket(hook_end).send(&HookMessage::End).unwrap();
            let watcher_end = tokio::net::UnixStream::from_std(watcher_end).unwrap();
            answer_within(AMPLE, watcher_end, &HealthReport::default()).await
        });
        assert!(matches!(message, Some(HookMessage::End)));
    }

    #[test]
    fn watcher_with_malformed_answer_is_not_ended() {
        let read = |watcher: fn(UnixStream) -> Option<UnixStream>| {
            let (mut watcher_end, hook_end) = UnixStream::pair().unwrap();
            let watcher = watcher(hook_end);
            let report = read_report(&mut watcher_end);
            drop(watcher);
            report
        };
        assert_eq!(read(|_| None).unwrap(), None);
        let nonsense = read(|mut stream| {
            stream.write_all(b"hello\n").unwrap();
            Some(stream)
        });
        assert!(nonsense.is_err_and(|why| why.starts_with("sent a report that cannot be parsed")));
        let start = Instant::now();
        assert!(read(Some).is_err_and(|why| why == "did not answer within 5 s"));
        assert!(start.elapsed() < PEER_LIMIT * 2, "{:?}", start.elapsed());
    }
}
