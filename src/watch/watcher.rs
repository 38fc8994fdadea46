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

use super::health::{ChildError, Health, Report, WAKE_LIMIT};
use super::pace::{Due, Looked, Pace};
use super::sight::{self, Sight};
use super::{Brief, Message, line, runner, session, start};
use crate::cluster::{WatchNotice, Watched, Watches};
use crate::identity::Identity;
use crate::juju::Invocation;
use crate::look::Outlook;
use crate::process;

/// What Juju is asked to run. It is a hook of no kind that Juju knows, so it reconciles as all of those do.
const COMMAND: &str = "JUJU_DISPATCH_PATH=hooks/cluster-changed \"$JUJU_CHARM_DIR/dispatch\"";
/// How soon hooks can connect again after they could not, for lack of a file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Is a watcher, until it is told to end. Its brief comes on standard input, and the end of standard output says that it listens.
pub async fn run(invocation: &Invocation) -> ExitCode {
    let mut text = Vec::new();
    let read = io::stdin().read_to_end(&mut text);
    let brief = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    drop(text);
    let (Some(brief), Ok(listener)) = (brief, line::listen(invocation)) else {
        return ExitCode::FAILURE;
    };
    if close_stdout().is_err() {
        return ExitCode::FAILURE;
    }
    // The end of the hook's session is not the watcher's. It fails only for a process that leads a group, and then there
    // is nothing to be left.
    let _ = nix::unistd::setsid();
    let next = Watcher::new(invocation, brief).run(listener).await;
    // A juju-exec that hangs would be left to nobody.
    session::kill_all_of_mine();
    match next {
        Some(brief) if start(&brief).is_err() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn close_stdout() -> io::Result<()> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(nix::unistd::dup2_stdout(null)?)
}

/// What happens to a watcher.
enum Event {
    /// A notice of a watch.
    Watch(Watched, WatchNotice),
    /// A hook took the line, and is to have a report.
    HookBegan(oneshot::Sender<Report>),
    /// And let it go, with what it said.
    HookEnded(Option<Message>),
    /// It was looked.
    Looked(Result<Sight, ChildError>),
    /// `juju-exec` is back, well or not.
    Woke(Result<(), ChildError>),
}

struct Watcher<'a> {
    invocation: &'a Invocation,
    brief: Brief,
    leads: bool,
    pace: Pace,
    health: Health,
    /// Whether the Gateway API is watched as well.
    watches_gateway_api: bool,
    /// What was seen last.
    seen: Option<Outlook>,
    /// What the charm was woken for last. What it leaves like that is not its to change.
    woken_for: Option<Outlook>,
}

impl<'a> Watcher<'a> {
    fn new(invocation: &'a Invocation, brief: Brief) -> Self {
        Self {
            invocation,
            leads: brief.leads.unwrap_or_default(),
            brief,
            pace: Pace::default(),
            health: Health::default(),
            watches_gateway_api: false,
            seen: None,
            woken_for: None,
        }
    }

    /// Watches, until it is told to end; gives the brief that another program has to go on with.
    async fn run(mut self, listener: UnixListener) -> Option<Brief> {
        let (events, mut happened) = unbounded_channel();
        let hooks = tokio::spawn(answer(listener, events.clone()));
        tokio::spawn(watch(Identity::read(self.invocation), &Watched::ALWAYS, events.clone()));
        let next = self.follow(&events, &mut happened).await;
        // With it goes the line, so that the next program can have it.
        hooks.abort();
        let _ = hooks.await;
        next
    }

    async fn follow(
        &mut self,
        events: &UnboundedSender<Event>,
        happened: &mut UnboundedReceiver<Event>,
    ) -> Option<Brief> {
        loop {
            self.watch_gateway_api(events);
            match self.pace.due(Instant::now()) {
                Due::Look => self.look(events),
                Due::Wake => self.wake(events),
                Due::Wait(until) => match next(happened, until).await {
                    None => {}
                    Some(Event::Watch(what, notice)) => self.noticed(what, notice),
                    Some(Event::Woke(woke)) => self.woke(woke),
                    Some(Event::Looked(sight)) => self.seen(sight),
                    Some(Event::HookBegan(reply)) => {
                        self.pace.hook_began();
                        // Where it is not taken, the hook is gone already.
                        let _ = reply.send(self.health.report(Instant::now()));
                    }
                    Some(Event::HookEnded(said)) => {
                        self.pace.hook_ended(said.is_some());
                        match said {
                            Some(Message::End) => return None,
                            Some(Message::Brief(brief)) if brief.program != self.brief.program => return Some(*brief),
                            Some(Message::Brief(brief)) => self.take_in(*brief),
                            None => {}
                        }
                    }
                },
            }
        }
    }

    /// Where the Gateway API is not used its kinds may not be there, and a watch of those is begun again and again.
    fn watch_gateway_api(&mut self, events: &UnboundedSender<Event>) {
        if self.watches_gateway_api || self.brief.told.gateway_metadata.is_empty() {
            return;
        }
        self.watches_gateway_api = true;
        tokio::spawn(watch(
            Identity::read(self.invocation),
            &Watched::GATEWAY_API,
            events.clone(),
        ));
    }

    fn take_in(&mut self, brief: Brief) {
        self.leads = brief.leads.unwrap_or(self.leads);
        self.brief = brief;
    }

    fn look(&mut self, events: &UnboundedSender<Event>) {
        self.pace.looks();
        let program = self.brief.program.clone();
        let brief = serde_json::to_vec(&self.brief).unwrap_or_default();
        beside(events, move || Event::Looked(sight::look(&brief, &program)));
    }

    fn noticed(&mut self, what: Watched, notice: WatchNotice) {
        let now = Instant::now();
        self.health.notice(what, notice, now);
        match notice {
            WatchNotice::Begins => {}
            WatchNotice::Changed | WatchNotice::Dead => self.pace.changed(now),
        }
    }

    fn woke(&mut self, woke: Result<(), ChildError>) {
        if let Err(error) = woke {
            self.woken_for = None;
            self.health.wake_failed(error);
        }
        self.pace.woke(Instant::now(), woke.is_ok());
    }

    fn seen(&mut self, sight: Result<Sight, ChildError>) {
        let Sight { outlook, blind } = match sight {
            Ok(sight) => sight,
            Err(error) => {
                self.health.look_failed(error);
                return self.pace.looked(Instant::now(), Looked::Nothing);
            }
        };
        let told = &self.brief.outlook;
        // What is to be done is the leader's to do.
        let same = outlook.status == told.status && (!self.leads || outlook.due == told.due);
        let came_to = if same {
            self.woken_for = None;
            Looked::AsTold
        } else if self.woken_for.as_ref() == Some(&outlook) {
            // It was woken for this, and left it so.
            Looked::AsTold
        } else if blind || (!self.leads && outlook.due != told.due) {
            Looked::Passing
        } else {
            Looked::Otherwise
        };
        self.seen = Some(outlook);
        self.pace.looked(Instant::now(), came_to);
    }

    /// Has Juju run the charm, after whatever else it runs.
    fn wake(&mut self, events: &UnboundedSender<Event>) {
        self.pace.wakes(Instant::now());
        self.woken_for = self.seen.take();
        let unit = self.invocation.unit.clone();
        beside(events, move || {
            let runner = runner().ok_or(ChildError::Failed);
            Event::Woke(runner.and_then(|runner| run_charm(runner, &unit, WAKE_LIMIT)))
        });
    }
}

/// Does what waits for another process in a thread of its own.
fn beside(events: &UnboundedSender<Event>, work: impl FnOnce() -> Event + Send + 'static) {
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
    match process::run_silent(&mut command, limit) {
        Ok(status) if status.success() => Ok(()),
        Err(process::Error::TimedOut(_)) => Err(ChildError::TimedOut),
        _ => Err(ChildError::Failed),
    }
}

/// Watches these for ever.
async fn watch(identity: Identity, kinds: &'static [Watched], events: UnboundedSender<Event>) {
    let notify = move |what, notice| {
        // The main loop is gone where this fails.
        let _ = events.send(Event::Watch(what, notice));
    };
    // What leads to the cluster may be a moment late, as the token in a pod that starts.
    let watches = loop {
        if let Ok(watches) = Watches::connect(identity.clone()).await {
            break watches;
        }
        for what in kinds {
            // It is tried, so that no watch is taken for one that is stuck.
            notify(*what, WatchNotice::Begins);
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
async fn answer(listener: UnixListener, events: UnboundedSender<Event>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(attend(stream, events.clone()));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Attends to one hook. The report is the main loop's own, so that a watcher that is stuck there gives none.
async fn attend(stream: UnixStream, events: UnboundedSender<Event>) {
    if line::our_peer(&stream).is_none() {
        return;
    }
    let (reply, report) = oneshot::channel();
    if events.send(Event::HookBegan(reply)).is_err() {
        return;
    }
    let message = match report.await {
        Ok(report) => line::answer(stream, &report).await,
        Err(_) => None,
    };
    // The main loop is gone where this fails.
    let _ = events.send(Event::HookEnded(message));
}

/// The next thing that happens; nothing, when the time is over.
async fn next(happened: &mut UnboundedReceiver<Event>, until: Option<Instant>) -> Option<Event> {
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
    fn hanging_juju_exec_is_killed_and_counted_as_such() {
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
