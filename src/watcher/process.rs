//! The process itself.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::health::{ChildError, Health, HealthReport, TRIGGER_LIMIT};
use super::probe::{self, Probe};
use super::scheduler::{Due, ProbeResult, Scheduler};
use super::{Baseline, HookMessage, runner, session, socket, start};
use crate::cluster::{WatchNotice, Watched, Watches};
use crate::identity::Identity;
use crate::reconcile::snapshot::Expected;
use juju_hooks::HookContext;
use juju_hooks::subprocess;

/// What Juju is asked to run. It is a hook of no kind that Juju knows, so it reconciles as all of those do.
const COMMAND: &str = "JUJU_DISPATCH_PATH=hooks/cluster-changed \"$JUJU_CHARM_DIR/dispatch\"";
/// How soon hooks can connect again after they could not, for lack of a file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Is a watcher, until it is told to end. Its brief comes on standard input, and the end of standard output says that it listens.
pub async fn run(context: &HookContext) -> ExitCode {
    let mut text = Vec::new();
    let read = io::stdin().read_to_end(&mut text);
    let baseline = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    drop(text);
    let (Some(baseline), Ok(listener)) = (baseline, socket::listen(context)) else {
        return ExitCode::FAILURE;
    };
    if close_stdout().is_err() {
        return ExitCode::FAILURE;
    }
    // The end of the hook's session is not the watcher's. It fails only for a process that leads a group, and then there
    // is nothing to be left.
    let _ = nix::unistd::setsid();
    let next = Watcher::new(context, baseline).run(listener).await;
    // A juju-exec that hangs would be left to nobody.
    session::kill_all_of_mine();
    match next {
        Some(baseline) if start(&baseline).is_err() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn close_stdout() -> io::Result<()> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(nix::unistd::dup2_stdout(null)?)
}

/// What happens to a watcher.
enum WatcherEvent {
    /// A notice of a watch.
    Watch(Watched, WatchNotice),
    /// A hook took the line, and is to have a report.
    HookBegan(oneshot::Sender<HealthReport>),
    /// And let it go, with what it said.
    HookEnded(Option<HookMessage>),
    /// It was looked.
    Probed(Result<Probe, ChildError>),
    /// `juju-exec` is back, well or not.
    Triggered(Result<(), ChildError>),
}

struct Watcher<'a> {
    context: &'a HookContext,
    baseline: Baseline,
    leads: bool,
    scheduler: Scheduler,
    health: Health,
    /// Whether the Gateway API is watched as well.
    watches_gateway_api: bool,
    /// What was seen last.
    seen: Option<Expected>,
    /// What the charm was woken for last. What it leaves like that is not its to change.
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
            seen: None,
            triggered_for: None,
        }
    }

    /// Watches, until it is told to end; gives the brief that another program has to go on with.
    async fn run(mut self, listener: UnixListener) -> Option<Baseline> {
        let (events, mut happened) = unbounded_channel();
        let hooks = tokio::spawn(answer(listener, events.clone()));
        tokio::spawn(watch(Identity::read(self.context), &Watched::ALWAYS, events.clone()));
        let next = self.follow(&events, &mut happened).await;
        // With it goes the line, so that the next program can have it.
        hooks.abort();
        let _ = hooks.await;
        next
    }

    async fn follow(
        &mut self,
        events: &UnboundedSender<WatcherEvent>,
        happened: &mut UnboundedReceiver<WatcherEvent>,
    ) -> Option<Baseline> {
        loop {
            self.watch_gateway_api(events);
            match self.scheduler.due(Instant::now()) {
                Due::Probe => self.probe(events),
                Due::Trigger => self.trigger(events),
                Due::Wait(until) => match next(happened, until).await {
                    None => {}
                    Some(WatcherEvent::Watch(what, notice)) => self.noticed(what, notice),
                    Some(WatcherEvent::Triggered(triggered)) => self.triggered(triggered),
                    Some(WatcherEvent::Probed(probe)) => self.probed(probe),
                    Some(WatcherEvent::HookBegan(reply)) => {
                        self.scheduler.hook_began();
                        // Where it is not taken, the hook is gone already.
                        let _ = reply.send(self.health.report(Instant::now()));
                    }
                    Some(WatcherEvent::HookEnded(said)) => {
                        self.scheduler.hook_ended(said.is_some());
                        match said {
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

    /// Where the Gateway API is not used its kinds may not be there, and a watch of those is begun again and again.
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

    fn accept_baseline(&mut self, baseline: Baseline) {
        self.leads = baseline.leads.unwrap_or(self.leads);
        self.baseline = baseline;
    }

    fn probe(&mut self, events: &UnboundedSender<WatcherEvent>) {
        self.scheduler.probe_started();
        let program = self.baseline.program.clone();
        let baseline = serde_json::to_vec(&self.baseline).unwrap_or_default();
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
        let Probe { expected, blind } = match probe {
            Ok(probe) => probe,
            Err(error) => {
                self.health.probe_failed(error);
                return self.scheduler.probe_finished(Instant::now(), ProbeResult::Nothing);
            }
        };
        let told = &self.baseline.expected;
        // What is to be done is the leader's to do.
        let same = expected.status == told.status && (!self.leads || expected.due == told.due);
        let came_to = if same {
            self.triggered_for = None;
            ProbeResult::Unchanged
        } else if self.triggered_for.as_ref() == Some(&expected) {
            // It was woken for this, and left it so.
            ProbeResult::Unchanged
        } else if blind || (!self.leads && expected.due != told.due) {
            ProbeResult::Passing
        } else {
            ProbeResult::Otherwise
        };
        self.seen = Some(expected);
        self.scheduler.probe_finished(Instant::now(), came_to);
    }

    /// Has Juju run the charm, after whatever else it runs.
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

/// Does what waits for another process in a thread of its own.
fn run_blocking(events: &UnboundedSender<WatcherEvent>, work: impl FnOnce() -> WatcherEvent + Send + 'static) {
    let events = events.clone();
    tokio::task::spawn_blocking(move || {
        // Nobody is left to be told where this fails.
        let _ = events.send(work());
    });
}

fn run_charm(runner: PathBuf, unit: &str, limit: Duration) -> Result<(), ChildError> {
    let mut command = Command::new(runner);
    command
        .args(["-u", unit, COMMAND])
        // With it, it takes itself for a part of the hook that this process was started by, and refuses.
        .env_remove("JUJU_CONTEXT_ID");
    match subprocess::run_silent(&mut command, limit) {
        Ok(status) if status.success() => Ok(()),
        Err(subprocess::Error::TimedOut(_)) => Err(ChildError::TimedOut),
        _ => Err(ChildError::Failed),
    }
}

/// Watches these for ever.
async fn watch(identity: Identity, kinds: &'static [Watched], events: UnboundedSender<WatcherEvent>) {
    let notify = move |what, notice| {
        // The main loop is gone where this fails.
        let _ = events.send(WatcherEvent::Watch(what, notice));
    };
    // What leads to the cluster may be a moment late, as the token in a pod that starts.
    let watches = loop {
        if let Ok(watches) = Watches::connect(identity.clone()).await {
            break watches;
        }
        for what in kinds {
            // It is tried, so that no watch is taken for one that is stuck.
            notify(*what, WatchNotice::Started);
        }
        sleep(UNUSABLE).await;
    };
    for what in kinds.iter().copied() {
        let notify = notify.clone();
        tokio::spawn(watches.clone().watch(what, move |notice| notify(what, notice)));
    }
}

/// How long it takes until what leads to the cluster is read again.
const UNUSABLE: Duration = Duration::from_secs(5);

/// Takes the line from hooks.
async fn answer(listener: UnixListener, events: UnboundedSender<WatcherEvent>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_hook(stream, events.clone()));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Attends to one hook. The report is the main loop's own, so that a watcher that is stuck there gives none.
async fn serve_hook(stream: UnixStream, events: UnboundedSender<WatcherEvent>) {
    if socket::our_peer(&stream).is_none() {
        return;
    }
    let (reply, report) = oneshot::channel();
    if events.send(WatcherEvent::HookBegan(reply)).is_err() {
        return;
    }
    let message = match report.await {
        Ok(report) => socket::answer(stream, &report).await,
        Err(_) => None,
    };
    // The main loop is gone where this fails.
    let _ = events.send(WatcherEvent::HookEnded(message));
}

/// The next thing that happens; nothing, when the time is over.
async fn next(happened: &mut UnboundedReceiver<WatcherEvent>, until: Option<Instant>) -> Option<WatcherEvent> {
    match until {
        Some(until) => timeout_at(until, happened.recv()).await.unwrap_or_default(),
        None => happened.recv().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
                // Another test's child may have it open for writing for a moment (ETXTBSY).
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
}
