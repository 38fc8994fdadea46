//! Runs other programs with limits on their time and output.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The most that a program may print on each of its outputs, in bytes. All options and secrets of an application are
/// far below.
const LONGEST_OUTPUT: usize = 16 * 1024 * 1024;
/// What a pipe accepts without blocking once `poll` reports it as writable: `PIPE_BUF` of `pipe(7)`.
const PIPE_BUF: usize = 4096;
/// The size of a read; most outputs of hook tools fit into one.
const CHUNK: usize = 8 * 1024;
/// How often to check whether a program has exited without closing its outputs, which a process that it started may
/// hold open.
const CHECK: Duration = Duration::from_millis(100);
/// The first pause between checks whether a program that closed its outputs has exited. Each pause is twice as long,
/// up to `CHECK`.
const FIRST_PAUSE: Duration = Duration::from_micros(100);

/// The output of a program.
#[derive(Debug)]
pub struct Output {
    /// How it exited.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Why a program gave no output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started or waited for.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It was killed at this time limit.
    #[error("did not end within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It was killed because it printed too much.
    #[error("printed more than {} MiB", LONGEST_OUTPUT / 1024 / 1024)]
    TooLong,
}

/// Runs a program with `input` on its standard input. At the time limit its process group is killed. Background
/// processes that it leaves behind are not waited for, even if they hold its outputs open.
///
/// # Errors
/// When it cannot be started, exceeds the time limit or prints too much.
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> Result<Output, Error> {
    let stdin = if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A process group of its own, so that its children can be killed too.
        .process_group(0)
        .spawn()?;
    let output = follow(&mut child, input, limit);
    if output.is_err() {
        kill(&mut child);
    }
    output
}

/// Runs a program without input and output. At the time limit its process group is killed.
///
/// # Errors
/// When it cannot be started or exceeds the time limit.
pub fn run_silent(command: &mut Command, limit: Duration) -> Result<ExitStatus, Error> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let status = reap(&mut child, Instant::now() + limit);
    if !matches!(status, Ok(Some(_))) {
        kill(&mut child);
    }
    status?.ok_or(Error::TimedOut(limit))
}

/// Writes `input` to a child and waits until it closes its standard output, which a background process does when it
/// has started.
///
/// # Errors
/// When it does not within `limit`; it is killed then.
pub fn start(child: &mut Child, input: &[u8], limit: Duration) -> Result<(), Error> {
    let started = hand_over(child, input, limit);
    if started.is_err() {
        kill(child);
    }
    started
}

fn hand_over(child: &mut Child, mut input: &[u8], limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    let mut stdin = Pipe::new(child.stdin.take().map(OwnedFd::from));
    let mut stdout = Pipe::new(child.stdout.take().map(OwnedFd::from));
    let mut output = Vec::new();
    while stdin.0.is_some() || stdout.0.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TimedOut(limit));
        }
        wait(&[(&stdin, PollFlags::POLLOUT), (&stdout, PollFlags::POLLIN)], left)?;
        stdin.write(&mut input)?;
        stdout.read(&mut output)?;
    }
    Ok(())
}

fn follow(child: &mut Child, mut input: &[u8], limit: Duration) -> Result<Output, Error> {
    let deadline = Instant::now() + limit;
    let mut stdin = Pipe::new(child.stdin.take().map(OwnedFd::from));
    let mut stdout = Pipe::new(child.stdout.take().map(OwnedFd::from));
    let mut stderr = Pipe::new(child.stderr.take().map(OwnedFd::from));
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    while stdin.0.is_some() || stdout.0.is_some() || stderr.0.is_some() {
        let pipes = [
            (&stdin, PollFlags::POLLOUT),
            (&stdout, PollFlags::POLLIN),
            (&stderr, PollFlags::POLLIN),
        ];
        let time = deadline.saturating_duration_since(Instant::now()).min(CHECK);
        if !wait(&pipes, time)?
            && let Some(status) = child.try_wait()?
        {
            // Everything that the program printed before exiting is in the pipe by now. The rest comes from other
            // processes.
            stdout.read(&mut output)?;
            stderr.read(&mut errors)?;
            return Ok(Output {
                status,
                stdout: output,
                stderr: errors,
            });
        }
        // A program that exits without reading its input reports itself what is wrong.
        if stdin.write(&mut input).is_err() {
            stdin.0 = None;
        }
        stdout.read(&mut output)?;
        stderr.read(&mut errors)?;
        if Instant::now() >= deadline {
            return Err(Error::TimedOut(limit));
        }
    }
    let status = reap(child, deadline)?.ok_or(Error::TimedOut(limit))?;
    Ok(Output {
        status,
        stdout: output,
        stderr: errors,
    })
}

/// Waits for the exit of a program that has closed its outputs. Most exit at once.
fn reap(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = FIRST_PAUSE;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(CHECK);
    }
}

/// Kills a program with its process group, if it has one, and reaps it.
fn kill(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // Fails if there is no such group.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    // These fail if it is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits until a pipe is ready or closed by its peer, for at most `time`. Returns whether one is.
fn wait(pipes: &[(&Pipe, PollFlags)], time: Duration) -> io::Result<bool> {
    let mut waits: Vec<PollFd> = pipes
        .iter()
        .filter_map(|(pipe, flags)| Some(PollFd::new(pipe.0.as_ref()?.as_fd(), *flags)))
        .collect();
    // Rounded up to whole milliseconds; rounded down, the last wait would be a busy loop.
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    match poll(
        &mut waits,
        PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX),
    ) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Our end of a pipe; `None` once closed.
struct Pipe(Option<File>);

impl Pipe {
    fn new(end: Option<OwnedFd>) -> Self {
        Self(end.map(File::from))
    }

    fn is_ready(&self, flags: PollFlags) -> io::Result<bool> {
        Ok(self.0.is_some() && wait(&[(self, flags)], Duration::ZERO)?)
    }

    /// Writes as much as possible without blocking, and closes the pipe when nothing is left.
    fn write(&mut self, left: &mut &[u8]) -> io::Result<()> {
        while !left.is_empty() && self.is_ready(PollFlags::POLLOUT)? {
            let Some(file) = &mut self.0 else { break };
            let (now, _) = left.split_at(left.len().min(PIPE_BUF));
            let written = file.write(now)?;
            *left = left.get(written..).unwrap_or_default();
        }
        if left.is_empty() {
            self.0 = None;
        }
        Ok(())
    }

    /// Reads what is available without blocking, and closes the pipe at its end.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Error> {
        while self.is_ready(PollFlags::POLLIN)? {
            let Some(file) = &mut self.0 else { break };
            let mut chunk = [0; CHUNK];
            let read = file.read(&mut chunk)?;
            into.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if read == 0 {
                self.0 = None;
            }
            if into.len() > LONGEST_OUTPUT {
                return Err(Error::TooLong);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(300);
    const AMPLE: Duration = Duration::from_secs(60);

    fn shell(script: &str, input: &[u8], limit: Duration) -> Result<Output, Error> {
        run(Command::new("sh").args(["-c", script]), input, limit)
    }

    #[test]
    fn output_and_exit_code_are_returned() {
        let output = shell("echo out; echo err >&2; exit 3", b"", AMPLE).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b"out\n"[..], &b"err\n"[..])
        );
        assert!(shell("exec >&- 2>&-; sleep 0.2", b"", AMPLE).unwrap().status.success());
    }

    #[test]
    fn long_input_and_output_do_not_deadlock() {
        let input = vec![b'x'; 1024 * 1024];
        assert_eq!(shell("cat", &input, AMPLE).unwrap().stdout, input);
        // One that does not read it may end all the same.
        assert!(shell("exit 0", &input, AMPLE).unwrap().status.success());
    }

    #[test]
    fn hanging_program_is_killed_with_its_children() {
        for script in [
            "sleep 600",
            "sleep 600 & wait",
            "exec >&- 2>&-; sleep 600",
            "yes x >/dev/null",
            "trap '' TERM INT; while :; do sleep 1; done",
        ] {
            // The children inherit it: it ends when the last of them has.
            let (mut ended, frozen) = io::pipe().unwrap();
            let start = Instant::now();
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec 3<&0; {script}")]);
            let mut child = command
                .stdin(frozen)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0)
                .spawn()
                .unwrap();
            drop(command);
            assert!(
                matches!(follow(&mut child, b"", SOON), Err(Error::TimedOut(_))),
                "{script}"
            );
            kill(&mut child);
            ended.read_to_end(&mut Vec::new()).unwrap();
            assert!(start.elapsed() < AMPLE, "{script}: {:?}", start.elapsed());
        }
        assert!(matches!(shell("sleep 600", b"", SOON), Err(Error::TimedOut(_))));
        let silent = |script: &str| run_silent(Command::new("sh").args(["-c", script]), SOON);
        assert!(matches!(silent("sleep 600 & wait"), Err(Error::TimedOut(_))));
        assert_eq!(silent("exit 4").unwrap().code(), Some(4));
    }

    #[test]
    fn detached_process_is_not_waited_for() {
        let start = Instant::now();
        let output = shell("sleep 20 & echo out", b"", AMPLE).unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[test]
    fn endless_output_is_cut_off() {
        assert!(matches!(shell("cat /dev/zero", b"", AMPLE), Err(Error::TooLong)));
        assert!(matches!(shell("cat /dev/zero >&2", b"", AMPLE), Err(Error::TooLong)));
    }

    #[test]
    fn program_is_detached_once_it_closes_output() {
        let spawn = |script| {
            let mut command = Command::new("sh");
            let command = command.args(["-c", script]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        };
        let input = vec![b'x'; 1024 * 1024];
        for script in ["exec >&-; exec sleep 600", "cat >/dev/null; exec sleep 600"] {
            let mut hanging = spawn(script);
            assert!(
                matches!(start(&mut hanging, &input, SOON), Err(Error::TimedOut(_))),
                "{script}"
            );
            assert!(hanging.try_wait().unwrap().is_some(), "{script}");
        }
        let mut started = spawn("cat >/dev/null; exec >&-; sleep 1; exit 5");
        start(&mut started, &input, AMPLE).unwrap();
        assert!(started.try_wait().unwrap().is_none());
        assert_eq!(started.wait().unwrap().code(), Some(5));
    }
}
