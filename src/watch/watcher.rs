//! The process itself.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout_at};

use super::pace::{Due, Looked, Pace};
use super::{Brief, Message, line, runner, start};
use crate::asked::Asked;
use crate::cluster::{Watched, Watches};
use crate::dispatch::identity;
use crate::juju::Invocation;
use crate::look::{self, Look, Outlook};

/// What Juju is asked to run. It is a hook of no kind that Juju knows, so it reconciles as all of those do.
const COMMAND: &str = "JUJU_DISPATCH_PATH=hooks/cluster-changed \"$JUJU_CHARM_DIR/dispatch\"";
/// Is a watcher, until it is told to end.
#[must_use]
pub fn run(invocation: &Invocation) -> ExitCode {
    let mut text = Vec::new();
    let brief = io::stdin()
        .read_to_end(&mut text)
        .ok()
        .and_then(|_| serde_json::from_slice(&text).ok());
    let (Some(brief), Ok(listener)) = (brief, line::listen(invocation)) else {
        return ExitCode::FAILURE;
    };
    drop(text);
    // The end of the hook's session is not the watcher's. It fails only for a process that leads a group, and then there
    // is nothing to be left.
    let _ = nix::unistd::setsid();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let next = runtime.block_on(async {
        let listener = UnixListener::from_std(listener).ok()?;
        Watcher::new(invocation, brief).run(listener).await
    });
    // With the runtime goes the line, so that the next program can have it.
    drop(runtime);
    match next {
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
    /// `juju-exec` is back, well or not.
    Woke(bool),
}

struct Watcher<'a> {
    invocation: &'a Invocation,
    brief: Brief,
    asked: Asked,
    leads: bool,
    pace: Pace,
    /// What was seen last.
    seen: Option<Outlook>,
    /// What the charm was woken for last. What it leaves like that is not its to change.
    woken_for: Option<Outlook>,
}

impl<'a> Watcher<'a> {
    fn new(invocation: &'a Invocation, brief: Brief) -> Self {
        Self {
            invocation,
            asked: Asked::new(invocation, brief.told.clone()),
            leads: brief.leads.unwrap_or_default(),
            brief,
            pace: Pace::default(),
            seen: None,
            woken_for: None,
        }
    }

    /// Watches, until it is told to end; gives the brief that another program has to go on with.
    async fn run(mut self, listener: UnixListener) -> Option<Brief> {
        let (events, mut happened) = unbounded_channel();
        tokio::spawn(answer(listener, events.clone()));
        for what in Watched::ALL {
            tokio::spawn(watch(self.invocation.clone(), what, events.clone()));
        }
        loop {
            match self.pace.due(Instant::now()) {
                Due::Look => self.look().await,
                Due::Wake => self.wake(&events),
                Due::Wait(until) => match next(&mut happened, until).await {
                    None => {}
                    Some(Event::Changed) => self.pace.changed(Instant::now()),
                    Some(Event::Woke(well)) => {
                        if !well {
                            self.woken_for = None;
                        }
                        self.pace.woke(Instant::now());
                    }
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

    fn take_in(&mut self, brief: Brief) {
        if brief.told != self.brief.told {
            self.asked = Asked::new(self.invocation, brief.told.clone());
        }
        self.leads = brief.leads.unwrap_or(self.leads);
        self.brief = brief;
    }

    async fn look(&mut self) {
        let (outlook, blind) = match Look::first(self.invocation, &self.asked).await {
            Ok(mut look) => {
                look.deeper().await;
                (look.outlook(&self.asked), false)
            }
            Err(refusal) => (
                Outlook::blind(&look::unseen(self.invocation, &self.asked, &refusal)),
                true,
            ),
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
        let (unit, events) = (self.invocation.unit.clone(), events.clone());
        let wake = move || {
            let woke = runner().is_some_and(|runner| run_charm(runner, &unit));
            // Nobody is left to be told where this fails.
            let _ = events.send(Event::Woke(woke));
        };
        if thread::Builder::new().stack_size(WAITING).spawn(wake).is_err() {
            self.pace.woke(Instant::now());
        }
    }
}

/// Stack of a thread that does nothing but wait for another process, in bytes.
const WAITING: usize = 64 * 1024;

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

/// Watches one kind of object for ever.
async fn watch(invocation: Invocation, what: Watched, events: UnboundedSender<Event>) {
    // What leads to the cluster may be a moment late, as the token in a pod that starts.
    let watches = loop {
        match Watches::connect(identity(&invocation)).await {
            Ok(watches) => break watches,
            Err(_) => sleep(UNUSABLE).await,
        }
    };
    let tell = || {
        // Nobody is left to be told where this fails.
        let _ = events.send(Event::Changed);
    };
    watches.watch(what, tell).await;
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
