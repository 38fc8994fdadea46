//! A process between the unit agent and a charm that asks the operating system what the charm has used.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use juju_sim::agent::Scratch;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The argument that makes this program that process.
pub const WORD: &str = "stopwatch";

/// What a charm's process has used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spent {
    pub wall: Duration,
    /// CPU time, without the hook tools that it started: those are Juju's.
    pub cpu: Duration,
    /// Peak memory of it or any one of those, in KiB.
    pub memory: i64,
}

/// Wraps one charm.
pub struct Stopwatch {
    scratch: Scratch,
}

impl Stopwatch {
    pub fn before(dispatch: &Path) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new("stopwatch").unwrap();
        let stopwatch = Self { scratch };
        let script = format!(
            "#!/bin/sh\nexec '{}' {WORD} '{}' '{}'\n",
            std::env::current_exe().unwrap().display(),
            stopwatch.figures().display(),
            dispatch.display()
        );
        fs::write(stopwatch.dispatch(), script).unwrap();
        fs::set_permissions(stopwatch.dispatch(), fs::Permissions::from_mode(0o755)).unwrap();
        stopwatch
    }

    /// The program for the unit agent to start.
    pub fn dispatch(&self) -> PathBuf {
        self.scratch.path().join("dispatch")
    }

    fn figures(&self) -> PathBuf {
        self.scratch.path().join("figures.json")
    }

    pub fn read(&self) -> Spent {
        serde_json::from_reader(File::open(self.figures()).unwrap()).unwrap()
    }
}

/// Runs the program, writes its figures to the file, and exits as it did.
pub fn run(mut arguments: impl Iterator<Item = String>) -> ! {
    let (figures, program) = (arguments.next().unwrap(), arguments.next().unwrap());
    let began = Instant::now();
    let mut child = Command::new(program).spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // It has ended and is not reaped yet, so /proc still has its figures.
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let wall = began.elapsed();
    // The first figure is CPU time in nanoseconds, of the one thread that both charms have.
    let scheduled = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let cpu = scheduled.split(' ').next().unwrap().parse().unwrap();
    let status = child.wait().unwrap();
    let spent = Spent {
        wall,
        cpu: Duration::from_nanos(cpu),
        memory: getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss(),
    };
    serde_json::to_writer(File::create(figures).unwrap(), &spent).unwrap();
    std::process::exit(status.code().unwrap_or(1))
}
