//! The process itself.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout_at};

use super::pace::{Due, Looked, Pace};
use super::sight::{self, Sight};
use super::{Brief, Message, line, runner, start};
use crate::cluster::{Watched, Watches};
use crate::dispatch::identity;
use crate::juju::Invocation;
use crate::look::Outlook;

/// What Juju is asked to run. It is a hook of no kind that Juju knows, so it reconciles as all of those do.
const COMMAND: &str = "JUJU_DISPATCH_PATH=hooks/cluster-changed \"$JUJU_CHARM_DIR/dispatch\"";
/// Is a watcher, until it is told to end. Its brief comes on standard input.
pub async fn run(invocation: &Invocation) -> ExitCode {
    let mut text = Vec::new();
    let read = io::stdin().read_to_end(&mut text);
    let brief = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    drop(text);
    let (Some(brief), Ok(listener)) = (brief, line::listen(invocation)) else {
        return ExitCode::FAILURE;
    };
    // The end of the hook's session is not the watcher's. It fails only for a process that leads a group, and then there
    // is nothing to be left.
    let _ = nix::unistd::setsid();
    match Watcher::new(invocation, brief).run(listener).await {
        Some(brief) if start(&brief).is_err() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// What happens to a watcher.
enum Event {
    /// Something in the cluster changed.
    Changed,
    /// A hook took the line.
    HookBegan,
    /// And let it go, with what it said.
    HookEnded(Option<Message>),
    /// It was looked; nothing was seen where that went wrong.
    Looked(Option<Sight>),
    /// `juju-exec` is back, well or not.
    Woke(bool),
}

struct Watcher<'a> {
    invocation: &'a Invocation,
    brief: Brief,
    leads: bool,
    pace: Pace,
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
            watches_gateway_api: false,
            seen: None,
            woken_for: None,
        }
    }

    /// Watches, until it is told to end; gives the brief that another program has to go on with.
    async fn run(mut self, listener: UnixListener) -> Option<Brief> {
        let (events, mut happened) = unbounded_channel();
        let hooks = tokio::spawn(answer(listener, events.clone()));
        tokio::spawn(watch(self.invocation.clone(), &Watched::ALWAYS, events.clone()));
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
                    Some(Event::Changed) => self.pace.changed(Instant::now()),
                    Some(Event::Woke(well)) => {
                        if !well {
                            self.woken_for = None;
                        }
                        self.pace.woke(Instant::now(), well);
                    }
                    Some(Event::Looked(sight)) => self.seen(sight),
                    Some(Event::HookBegan) => self.pace.hook_began(),
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
        tokio::spawn(watch(self.invocation.clone(), &Watched::GATEWAY_API, events.clone()));
    }

    fn take_in(&mut self, brief: Brief) {
        self.leads = brief.leads.unwrap_or(self.leads);
        self.brief = brief;
    }

    fn look(&mut self, events: &UnboundedSender<Event>) {
        self.pace.looks();
        let program = self.brief.program.clone();
        let brief = serde_json::to_vec(&self.brief).unwrap_or_default();
        beside(events, move || Event::Looked(sight::look(&brief, &program).ok()));
    }

    fn seen(&mut self, sight: Option<Sight>) {
        let Some(Sight { outlook, blind }) = sight else {
            return self.pace.looked(Instant::now(), Looked::Nothing);
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
            Event::Woke(runner().is_some_and(|runner| run_charm(runner, &unit)))
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

fn run_charm(runner: PathBuf, unit: &str) -> bool {
    let ended = Command::new(runner)
        .args(["-u", unit, COMMAND])
        // With it, it takes itself for a part of the hook that this process was started by, and refuses.
        .env_remove("JUJU_CONTEXT_ID")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ended.is_ok_and(|status| status.success())
}

/// Watches these for ever.
async fn watch(invocation: Invocation, kinds: &'static [Watched], events: UnboundedSender<Event>) {
    // What leads to the cluster may be a moment late, as the token in a pod that starts.
    let watches = loop {
        match Watches::connect(identity(&invocation)).await {
            Ok(watches) => break watches,
            Err(_) => sleep(UNUSABLE).await,
        }
    };
    for what in kinds.iter().copied() {
        let events = events.clone();
        let tell = move || {
            // Nobody is left to be told where this fails.
            let _ = events.send(Event::Changed);
        };
        tokio::spawn(watches.clone().watch(what, tell));
    }
}

/// How long it takes until what leads to the cluster is read again.
const UNUSABLE: Duration = Duration::from_secs(5);

/// Takes the line from hooks.
async fn answer(listener: UnixListener, events: UnboundedSender<Event>) {
    while let Ok((stream, _)) = listener.accept().await {
        let events = events.clone();
        tokio::spawn(async move {
            // Nobody is left to be told where these fail.
            let _ = events.send(Event::HookBegan);
            let _ = events.send(Event::HookEnded(line::hear(stream).await));
        });
    }
}

/// The next thing that happens; nothing, when the time is over.
async fn next(happened: &mut UnboundedReceiver<Event>, until: Option<Instant>) -> Option<Event> {
    match until {
        Some(until) => timeout_at(until, happened.recv()).await.unwrap_or_default(),
        None => happened.recv().await,
    }
}
