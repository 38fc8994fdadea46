//! The socket between a unit's hooks and its watcher, in the abstract namespace, which belongs to the pod.
//!
//! It also serves as the watcher's lock: an abstract name can be bound once, and is free when its process ends. A
//! hook stays connected while it runs and sends its outcome at the end. The watcher sends its health right after
//! accepting ([`HealthReport`]). One that does not is stuck, or of a version without reports, and is replaced.
//!
//! Every process in the pod's network namespace can bind that name first, or connect to it. So neither side talks to a
//! process of another user or container. Such a process delays a hook by at most a second, one of our own user by
//! five for its report and five for the message.

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
use zeroize::Zeroizing;

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
/// How long a hook waits for room in the queue of connections. A watcher empties it at once.
const QUEUE_LIMIT: Duration = Duration::from_secs(1);
/// Between two checks of the queue, or whether a killed watcher is gone.
const POLL: Duration = Duration::from_millis(5);
/// What a buffer of the kernel takes, in bytes (`unix_stream_sendmsg` splits at 32 KiB).
const WRITE: usize = 32 * 1024;
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
        let mut stream = match connect_when_queue_has_room(context) {
            Ok(stream) => stream,
            // The process does not accept connections, or more arrive than it can accept.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Peer::Unhealthy(None, "accepts no connections".to_owned());
            }
            Err(_) => return Peer::Absent,
        };
        let pid = match trusted_peer(&stream) {
            Ok(pid) => pid,
            Err(why) => return Peer::Unhealthy(None, why),
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
    pub fn send(self, message: &HookMessage) -> io::Result<()> {
        self.send_bytes(&Zeroizing::new(serde_json::to_vec(message)?))
    }

    fn send_bytes(mut self, text: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + PEER_LIMIT;
        // The kernel applies the timeout to each buffer of a long write, so a slow reader could stretch it.
        for chunk in text.chunks(WRITE) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.0.set_write_timeout(Some(left))?;
            self.0.write_all(chunk)?;
        }
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
        thread::sleep(POLL);
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
    let mut text = Zeroizing::new(Vec::new());
    // Such a hook leaves the report unread, which makes the end of the stream an error (`unix(7)`). Its message was
    // read before that.
    let _ = stream.take(LONGEST_MESSAGE).read_to_end(&mut text).await;
    serde_json::from_slice(&text).ok()
}

/// The peer's process, if it has our user: messages may contain secrets.
pub fn trusted_peer(stream: &impl AsFd) -> Result<Pid, String> {
    let peer = getsockopt(stream, PeerCredentials).map_err(|_| "cannot be identified".to_owned())?;
    trusted(peer.uid(), peer.pid(), geteuid().as_raw())
}

/// The containers of a pod share the names of sockets, and often the user root. A process of another container has no
/// id in this one (`pid_namespaces(7)`).
fn trusted(uid: u32, pid: i32, own: u32) -> Result<Pid, String> {
    if uid != own {
        Err(format!("belongs to user {uid}, not {own}"))
    } else if pid <= 0 {
        Err("belongs to another container".to_owned())
    } else {
        Ok(Pid::from_raw(pid))
    }
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

/// Connects as soon as the queue has room: connections that others open may fill it for a moment.
fn connect_when_queue_has_room(context: &HookContext) -> io::Result<UnixStream> {
    let deadline = Instant::now() + QUEUE_LIMIT;
    loop {
        match connect_nonblocking(context) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                thread::sleep(POLL);
            }
            connected => return connected,
        }
    }
}

/// Connects without blocking: a process that does not accept connections must not hang a hook.
fn connect_nonblocking(context: &HookContext) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let connected = connect(socket.as_raw_fd(), &UnixAddr::new_abstract(&name(context))?);
    connected.map_err(|errno: Errno| io::Error::from(errno))?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
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

    #[test]
    fn only_own_user_in_own_container_is_trusted() {
        assert_eq!(trusted(170, 9, 170), Ok(Pid::from_raw(9)));
        assert_eq!(trusted(1000, 9, 170), Err("belongs to user 1000, not 170".to_owned()));
        assert!(trusted(0, 9, 170).is_err(), "the watcher of a hook that ran as root");
        assert_eq!(trusted(0, 0, 0), Err("belongs to another container".to_owned()));
        let (stream, _other) = UnixStream::pair().unwrap();
        assert_eq!(trusted_peer(&stream), Ok(nix::unistd::getpid()));
    }

    #[test]
    fn hook_gives_up_on_a_watcher_that_reads_too_slowly() {
        let (hook_end, mut watcher_end) = UnixStream::pair().unwrap();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A quarter of a second for each chunk is far too slow for all of them.
            while is_done.recv_timeout(Duration::from_millis(250)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = watcher_end.read(&mut chunk);
            }
        });
        let start = Instant::now();
        assert!(Socket(hook_end).send_bytes(&vec![b' '; 4 * 1024 * 1024]).is_err());
        assert!(start.elapsed() < PEER_LIMIT * 2, "{:?}", start.elapsed());
        drop(done);
        reader.join().unwrap();
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
