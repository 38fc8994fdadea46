//! The line between a unit's hooks and its watcher: a socket in the abstract namespace, which is the pod's own.
//!
//! It is the watcher's lock as well: a name is bound once, and free when its process is gone. A hook holds the line while it
//! runs, and says at its end what it found. The watcher's part is to report at once how it is ([`Report`]): a watcher that does not
//! is deaf, or of a version before that, and is replaced.

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

/// Longest name of such a socket, in bytes (`unix(7)`: 108 with the zero that marks it).
const LONGEST_NAME: usize = 107;
/// How long the other side may take. It is on this machine and has nothing else to do, but the machine may.
const PEER_LIMIT: Duration = Duration::from_secs(5);
/// How long a hook may hold the socket. No hook takes longer: 25 s for the API server, 130 s for hook tools, and seconds between.
const HOOK_LIMIT: Duration = Duration::from_secs(300);
/// Between two checks whether a killed watcher is gone.
const GONE_POLL: Duration = Duration::from_millis(5);
/// Longest report of a watcher, in bytes.
const LONGEST_REPORT: usize = 64 * 1024;
/// Longest message, in bytes: all options of a fleet with their secrets are far below.
const LONGEST_MESSAGE: u64 = 16 * 1024 * 1024;

/// The line of a unit, from the side of a hook: the watcher keeps still while it is held.
#[derive(Debug)]
pub struct Socket(UnixStream);

/// What a hook finds at the other end.
#[derive(Debug)]
pub enum Peer {
    /// No watcher, or one that is just ending.
    Absent,
    /// A watcher that answers.
    Watcher(Socket, HealthReport),
    /// Something that does not answer as a watcher of this version, with its process where that is known, and how it failed.
    Unresponsive(Option<Pid>, String),
}

impl Socket {
    /// Takes the line, and waits for the watcher's report.
    pub fn connect(context: &HookContext) -> Peer {
        let mut stream = match dial(context) {
            Ok(stream) => stream,
            // Its queue is full, as nothing is taken from it.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Peer::Unresponsive(None, "takes no connection".to_owned());
            }
            Err(_) => return Peer::Absent,
        };
        let Some(pid) = our_peer(&stream) else {
            return Peer::Unresponsive(None, "is of another user".to_owned());
        };
        match read_report(&mut stream) {
            Ok(Some(report)) => match report.error() {
                Some(error) => Peer::Unresponsive(Some(pid), error),
                None => Peer::Watcher(Self(stream), report),
            },
            Ok(None) => Peer::Absent,
            Err(why) => Peer::Unresponsive(Some(pid), why),
        }
    }

    /// Says what there is to say, and lets the line go.
    ///
    /// # Errors
    /// When the watcher is gone.
    pub fn send(mut self, message: &HookMessage) -> io::Result<()> {
        self.0.write_all(&serde_json::to_vec(message)?)?;
        self.0.shutdown(Shutdown::Write)
    }
}

/// The watcher's end.
///
/// # Errors
/// When the unit has a watcher already.
pub fn listen(context: &HookContext) -> io::Result<tokio::net::UnixListener> {
    let listener = UnixListener::bind_addr(&address(context)?)?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// Whether nobody listens any more, which is so soon after a watcher was killed.
pub fn is_free(context: &HookContext) -> bool {
    let deadline = Instant::now() + PEER_LIMIT;
    while !matches!(dial(context), Err(error) if error.kind() == ErrorKind::ConnectionRefused) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(GONE_POLL);
    }
    true
}

/// Gives a hook the report, and waits for what it says before it lets the line go, which may be nothing.
pub async fn answer(stream: tokio::net::UnixStream, report: &HealthReport) -> Option<HookMessage> {
    answer_within(HOOK_LIMIT, stream, report).await
}

async fn answer_within(limit: Duration, stream: tokio::net::UnixStream, report: &HealthReport) -> Option<HookMessage> {
    timeout(limit, exchange(stream, report)).await.ok().flatten()
}

async fn exchange(mut stream: tokio::net::UnixStream, report: &HealthReport) -> Option<HookMessage> {
    let mut line = serde_json::to_vec(report).ok()?;
    line.push(b'\n');
    // A hook of a version that reads no report may have sent its message and ended by now.
    let _ = stream.write_all(&line).await;
    let mut text = Vec::new();
    // Otherwise it leaves the report in its socket, and its end is then an error (`unix(7)`). Its message was read before.
    let _ = stream.take(LONGEST_MESSAGE).read_to_end(&mut text).await;
    serde_json::from_slice(&text).ok()
}

/// The process on the other side, if it is of this user: what is said may hold secrets.
pub fn our_peer(stream: &impl AsFd) -> Option<Pid> {
    let peer = getsockopt(stream, PeerCredentials).ok()?;
    (peer.uid() == geteuid().as_raw()).then(|| Pid::from_raw(peer.pid()))
}

/// Reads a watcher's report: none where it ends instead.
fn read_report(stream: &mut UnixStream) -> Result<Option<HealthReport>, String> {
    let deadline = Instant::now() + PEER_LIMIT;
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    while !line.contains(&b'\n') {
        let left = deadline.saturating_duration_since(Instant::now());
        let late = left.is_zero() || line.len() > LONGEST_REPORT;
        match (!late).then(|| {
            stream
                .set_read_timeout(Some(left))
                .and_then(|()| stream.read(&mut chunk))
        }) {
            None => return Err(format!("did not answer within {} s", PEER_LIMIT.as_secs())),
            Some(Ok(0)) => return Ok(None),
            Some(Ok(read)) => line.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Some(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            // The time is over, or a signal came.
            Some(Err(_)) => {}
        }
    }
    let report = serde_json::from_slice(&line).map_err(|error| format!("gave an answer that cannot be read: {error}"));
    report.map(Some)
}

/// Connects without waiting: a process that takes no connections must not hang a hook.
fn dial(context: &HookContext) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let reached = connect(socket.as_raw_fd(), &UnixAddr::new_abstract(&name(context))?);
    reached.map_err(|errno: Errno| io::Error::from(errno))?;
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

    /// What a watcher makes of a hook that does this with its end of the socket.
    fn answered(
        limit: Duration,
        hook: impl FnOnce(UnixStream) -> Option<UnixStream> + Send + 'static,
    ) -> Option<HookMessage> {
        wait(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let ours = tokio::net::UnixStream::from_std(ours).unwrap();
            let hook = thread::spawn(move || hook(theirs));
            let message = answer_within(limit, ours, &HealthReport::default()).await;
            drop(hook.join().unwrap());
            message
        })
    }

    const SHORT: Duration = Duration::from_millis(300);
    const AMPLE: Duration = Duration::from_secs(60);

    #[test]
    fn hook_that_never_disconnects_is_dropped() {
        assert!(answered(SHORT, Some).is_none(), "it holds the socket and says nothing");
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
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            Socket(theirs).send(&HookMessage::End).unwrap();
            let ours = tokio::net::UnixStream::from_std(ours).unwrap();
            answer_within(AMPLE, ours, &HealthReport::default()).await
        });
        assert!(matches!(message, Some(HookMessage::End)));
    }

    #[test]
    fn watcher_with_malformed_answer_is_not_ended() {
        let read = |watcher: fn(UnixStream) -> Option<UnixStream>| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let watcher = watcher(theirs);
            let report = read_report(&mut ours);
            drop(watcher);
            report
        };
        assert_eq!(read(|_| None).unwrap(), None);
        let nonsense = read(|mut stream| {
            stream.write_all(b"hello\n").unwrap();
            Some(stream)
        });
        assert!(nonsense.is_err_and(|why| why.starts_with("gave an answer that cannot be read")));
        let start = Instant::now();
        assert!(read(Some).is_err_and(|why| why == "did not answer within 5 s"));
        assert!(start.elapsed() < PEER_LIMIT * 2, "{:?}", start.elapsed());
    }
}
