//! The main loop of the watcher.

use std::collections::{BTreeSet, VecDeque};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::health::{ChildError, Health, HealthReport, TRIGGER_LIMIT};
use super::probe::{self, Probe};
use super::scheduler::{Due, ProbeResult, Scheduler};
use super::{Baseline, HookMessage, runner, session, socket, start};
use crate::cluster::{WatchNotice, Watched, Watches};
use crate::identity::Identity;
use crate::reconcile::snapshot::Expected;
use juju_hooks::HookContext;
use juju_hooks::subprocess;

/// The command for Juju. No hook of Juju has this name, and unknown hooks reconcile.
const COMMAND: &str = "JUJU_DISPATCH_PATH=hooks/cluster-changed \"$JUJU_CHARM_DIR/dispatch\"";
/// Before accepting connections again after a failure, such as a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Most open connections. Juju runs one hook of a unit at a time, so older ones are of no hook that still runs.
const MOST_HOOKS: usize = 8;

/// Runs until told to end. Reads the baseline from standard input, and closes standard output once it listens.
pub async fn run(context: &HookContext) -> ExitCode {
    let mut text = Zeroizing::new(Vec::new());
    let read = io::stdin().read_to_end(&mut text);
    let baseline = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    drop(text);
    let (Some(baseline), Ok(listener)) = (baseline, socket::listen(context)) else {
        return ExitCode::FAILURE;
    };
    if close_stdout().is_err() {
        return ExitCode::FAILURE;
    }
    // The watcher must outlive the session of the hook. This fails only for the leader of a process group, which has
    // nothing to leave.
    let _ = nix::unistd::setsid();
    let next = Watcher::new(context, baseline).run(listener).await;
    // No process would be left to stop a hanging juju-exec.
    session::kill_children();
    match next {
        Some(baseline) if start(&baseline).is_err() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn close_stdout() -> io::Result<()> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(nix::unistd::dup2_stdout(null)?)
}

enum WatcherEvent {
    Watch(Watched, WatchNotice),
    /// A hook connected and waits for the report.
    HookBegan(oneshot::Sender<HealthReport>),
    /// A hook disconnected, with its message if it sent one.
    HookEnded(Option<HookMessage>),
    Probed(Result<Probe, ChildError>),
    /// `juju-exec` finished.
    Triggered(Result<(), ChildError>),
}

struct Watcher<'a> {
    context: &'a HookContext,
    baseline: Baseline,
    leads: bool,
    scheduler: Scheduler,
    health: Health,
    watches_gateway_api: bool,
    /// The namespaces in which access policies are watched.
    watches_policies_in: BTreeSet<String>,
    /// The outcome of the last probe.
    seen: Option<Expected>,
    /// The outcome that the charm was last triggered for. If it persists after the hook, triggering again would not
    /// help.
    triggered_for: Option<Expected>,
}

impl<'a> Watcher<'a> {
    fn new(context: &'a HookContext, baseline: Baseline) -> Self {
        Self {
            context,
            leads: baseline.leads.unwrap_or_default(),
            baseline,
            scheduler: Scheduler::default(),
            health: Health::default(),
            watches_gateway_api: false,
            watches_policies_in: BTreeSet::new(),
            seen: None,
            triggered_for: None,
        }
    }

    /// Runs until told to end. Returns the baseline that another version of the program has to continue with.
    async fn run(mut self, listener: UnixListener) -> Option<Baseline> {
        let (events, mut inbox) = unbounded_channel();
        self.probe_after(self.baseline.expected.retry_after);
        let hooks = tokio::spawn(answer(listener, events.clone()));
        tokio::spawn(watch(Identity::read(self.context), &Watched::ALWAYS, events.clone()));
        let next = self.follow(&events, &mut inbox).await;
        // This closes the socket, so that the next program can bind it.
        hooks.abort();
        let _ = hooks.await;
        next
    }

    async fn follow(
        &mut self,
        events: &UnboundedSender<WatcherEvent>,
        inbox: &mut UnboundedReceiver<WatcherEvent>,
    ) -> Option<Baseline> {
        loop {
            self.watch_gateway_api(events);
            self.watch_access_policies(events);
            match self.scheduler.due(Instant::now()) {
                Due::Probe => self.probe(events),
                Due::Trigger => self.trigger(events),
                Due::Wait(until) => match next(inbox, until).await {
                    None => {}
                    Some(WatcherEvent::Watch(what, notice)) => self.noticed(what, notice),
                    Some(WatcherEvent::Triggered(triggered)) => self.triggered(triggered),
                    Some(WatcherEvent::Probed(probe)) => self.probed(probe),
                    Some(WatcherEvent::HookBegan(reply)) => {
                        self.scheduler.hook_began();
                        // A closed channel means that the hook is gone.
                        let _ = reply.send(self.health.report(Instant::now()));
                    }
                    Some(WatcherEvent::HookEnded(message)) => {
                        self.scheduler.hook_ended(message.is_some());
                        match message {
                            Some(HookMessage::End) => return None,
                            Some(HookMessage::Baseline(baseline)) if baseline.program != self.baseline.program => {
                                return Some(*baseline);
                            }
                            Some(HookMessage::Baseline(baseline)) => self.accept_baseline(*baseline),
                            None => {}
                        }
                    }
                },
            }
        }
    }

    /// Watched only when it is used: its CRDs may be missing, and the watches would fail again and again.
    fn watch_gateway_api(&mut self, events: &UnboundedSender<WatcherEvent>) {
        if self.watches_gateway_api || self.baseline.juju.gateway_metadata.is_empty() {
            return;
        }
        self.watches_gateway_api = true;
        tokio::spawn(watch(
            Identity::read(self.context),
            &Watched::GATEWAY_API,
            events.clone(),
        ));
    }

    fn watch_access_policies(&mut self, events: &UnboundedSender<WatcherEvent>) {
        for namespace in &self.baseline.expected.policy_namespaces {
            if self.watches_policies_in.insert(namespace.clone()) {
                let identity = Identity {
                    namespace: namespace.clone(),
                    ..Identity::read(self.context)
                };
                tokio::spawn(watch(identity, &Watched::ACCESS_POLICIES, events.clone()));
            }
        }
    }

    fn accept_baseline(&mut self, baseline: Baseline) {
        self.leads = baseline.leads.unwrap_or(self.leads);
        self.baseline = baseline;
        self.probe_after(self.baseline.expected.retry_after);
    }

    /// Probes again although no object changes: a gateway may serve by then what it does not serve now.
    fn probe_after(&mut self, pause: Option<Duration>) {
        if let Some(pause) = pause {
            self.scheduler.probe_at(Instant::now() + pause);
        }
    }

    fn probe(&mut self, events: &UnboundedSender<WatcherEvent>) {
        self.scheduler.probe_started();
        let program = self.baseline.program.clone();
        let baseline = Zeroizing::new(serde_json::to_vec(&self.baseline).unwrap_or_default());
        run_blocking(events, move || WatcherEvent::Probed(probe::probe(&baseline, &program)));
    }

    fn noticed(&mut self, what: Watched, notice: WatchNotice) {
        let now = Instant::now();
        self.health.notice(what, notice, now);
        match notice {
            WatchNotice::Started => {}
            WatchNotice::Changed | WatchNotice::Unusable => self.scheduler.changed(now),
        }
    }

    fn triggered(&mut self, triggered: Result<(), ChildError>) {
        if let Err(error) = triggered {
            self.triggered_for = None;
            self.health.trigger_failed(error);
        }
        self.scheduler.trigger_finished(Instant::now(), triggered.is_ok());
    }

    fn probed(&mut self, probe: Result<Probe, ChildError>) {
        let Probe { expected, unreachable } = match probe {
            Ok(probe) => probe,
            Err(error) => {
                self.health.probe_failed(error);
                return self.scheduler.probe_finished(Instant::now(), ProbeResult::Failed);
            }
        };
        let reported = &self.baseline.expected;
        // Writes are up to the leader.
        let is_unchanged = expected.status == reported.status && (!self.leads || expected.due == reported.due);
        let result = if is_unchanged {
            self.triggered_for = None;
            ProbeResult::Unchanged
        } else if self.triggered_for.as_ref() == Some(&expected) {
            // A hook ran for this outcome and could not change it.
            ProbeResult::Unchanged
        } else if unreachable || (!self.leads && expected.due != reported.due) {
            ProbeResult::Transient
        } else {
            ProbeResult::Changed
        };
        let pause = expected.retry_after;
        self.seen = Some(expected);
        self.scheduler.probe_finished(Instant::now(), result);
        self.probe_after(pause);
    }

    /// Has Juju run the charm, after whatever it currently runs.
    fn trigger(&mut self, events: &UnboundedSender<WatcherEvent>) {
        self.scheduler.trigger_started(Instant::now());
        self.triggered_for = self.seen.take();
        let unit = self.context.unit.clone();
        run_blocking(events, move || {
            let runner = runner().ok_or(ChildError::Failed);
            WatcherEvent::Triggered(runner.and_then(|runner| run_charm(runner, &unit, TRIGGER_LIMIT)))
        });
    }
}

/// Runs blocking work in a thread of its own.
fn run_blocking(events: &UnboundedSender<WatcherEvent>, work: impl FnOnce() -> WatcherEvent + Send + 'static) {
    let events = events.clone();
    tokio::task::spawn_blocking(move || {
        // Fails only when the main loop has ended.
        let _ = events.send(work());
    });
}

fn run_charm(runner: PathBuf, unit: &str, limit: Duration) -> Result<(), ChildError> {
    let mut command = Command::new(runner);
    command
        .args(["-u", unit, COMMAND])
        // With this variable, juju-exec takes itself for a part of the hook that started the watcher, and refuses to
        // run.
        .env_remove("JUJU_CONTEXT_ID");
    match subprocess::run_silent(&mut command, limit) {
        Ok(status) if status.success() => Ok(()),
        Err(subprocess::Error::TimedOut(_)) => Err(ChildError::TimedOut),
        _ => Err(ChildError::Failed),
    }
}

/// Never returns.
async fn watch(identity: Identity, kinds: &'static [Watched], events: UnboundedSender<WatcherEvent>) {
    let notify = move |what, notice| {
        // Fails only when the main loop has ended.
        let _ = events.send(WatcherEvent::Watch(what, notice));
    };
    // The credentials may appear late, such as the token in a pod that is starting.
    let watches = loop {
        if let Ok(watches) = Watches::connect(identity.clone()).await {
            break watches;
        }
        for what in kinds {
            // The attempt counts as a start, so that no watch is reported as stuck.
            notify(*what, WatchNotice::Started);
        }
        sleep(CONNECT_PAUSE).await;
    };
    for what in kinds.iter().copied() {
        let notify = notify.clone();
        tokio::spawn(watches.clone().watch(what, move |notice| notify(what, notice)));
    }
}

/// The pause between attempts to read the credentials.
const CONNECT_PAUSE: Duration = Duration::from_secs(5);

/// Accepts connections of hooks.
async fn answer(listener: UnixListener, events: UnboundedSender<WatcherEvent>) {
    let mut open = VecDeque::new();
    loop {
        match listener.accept().await {
            // Accepted and closed at once, so that it takes no place in the queue.
            Ok((stream, _)) if socket::trusted_peer(&stream).is_err() => {}
            Ok((stream, _)) => {
                if open.len() >= MOST_HOOKS {
                    // This closes the oldest.
                    open.pop_front();
                }
                let (keep, closed) = oneshot::channel();
                open.push_back(keep);
                tokio::spawn(serve_hook(stream, closed, events.clone()));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one hook, until it disconnects or the other end of `closed` is dropped. The main loop creates the report, so
/// a hook notices when the loop is stuck.
async fn serve_hook(stream: UnixStream, closed: oneshot::Receiver<()>, events: UnboundedSender<WatcherEvent>) {
    let (reply, report) = oneshot::channel();
    if events.send(WatcherEvent::HookBegan(reply)).is_err() {
        return;
    }
    let message = match report.await {
        Ok(report) => match select(pin!(socket::answer(stream, &report)), closed).await {
            Either::Left((message, _)) => message,
            Either::Right(_) => None,
        },
        Err(_) => None,
    };
    // Fails only when the main loop has ended.
    let _ = events.send(WatcherEvent::HookEnded(message));
}

/// The next event; `None` at the deadline.
async fn next(inbox: &mut UnboundedReceiver<WatcherEvent>, until: Option<Instant>) -> Option<WatcherEvent> {
    match until {
        Some(until) => timeout_at(until, inbox.recv()).await.unwrap_or_default(),
        None => inbox.recv().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn hanging_juju_exec_is_killed_and_counted() {
        let folder = std::env::temp_dir().join(format!("seldon-model-runner-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let run = |name: &str, script: &str, limit| {
            let runner = folder.join(name);
            fs::write(&runner, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&runner, fs::Permissions::from_mode(0o755)).unwrap();
            loop {
                // Another test's child may briefly hold it open for writing (ETXTBSY).
                match run_charm(runner.clone(), "iris/0", limit) {
                    Err(ChildError::Failed) if name != "fails" => {}
                    outcome => return outcome,
                }
            }
        };
        let (short, ample) = (Duration::from_millis(300), Duration::from_secs(60));
        assert_eq!(run("hangs", "sleep 600 & wait", short), Err(ChildError::TimedOut));
        assert_eq!(run("fails", "exit 1", ample), Err(ChildError::Failed));
        assert_eq!(
            run("works", "test \"$2\" = iris/0 && test -z \"$JUJU_CONTEXT_ID\"", ample),
            Ok(())
        );
        fs::remove_dir_all(folder).unwrap();
    }

    /// More silent peers than the watcher keeps.
    #[test]
    fn silent_peers_do_not_keep_a_hook_from_its_watcher() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let name = format!("seldon-model-silent-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        runtime.unwrap().block_on(async {
            let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
            listener.set_nonblocking(true).unwrap();
            let (events, mut inbox) = unbounded_channel();
            tokio::spawn(answer(UnixListener::from_std(listener).unwrap(), events));
            let hooks = tokio::task::spawn_blocking(move || {
                let connect = || std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
                let silent: Vec<_> = (0..3 * MOST_HOOKS).map(|_| connect()).collect();
                let mut hook = connect();
                let mut report = String::new();
                BufReader::new(&hook).read_line(&mut report).unwrap();
                hook.write_all(&serde_json::to_vec(&HookMessage::End).unwrap()).unwrap();
                drop(hook);
                silent
            });
            let (mut began, mut ended) = (0, 0);
            loop {
                match inbox.recv().await.unwrap() {
                    WatcherEvent::HookBegan(reply) => {
                        began += 1;
                        let _ = reply.send(HealthReport::default());
                    }
                    WatcherEvent::HookEnded(Some(HookMessage::End)) => break,
                    WatcherEvent::HookEnded(None) => ended += 1,
                    _ => {}
                }
            }
            assert_eq!(began, 3 * MOST_HOOKS + 1);
            assert!(began - ended - 1 <= MOST_HOOKS, "{ended} of {began} were closed");
            drop(hooks.await);
        });
    }
}
