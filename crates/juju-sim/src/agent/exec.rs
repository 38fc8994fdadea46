//! What processes of a unit ask of its agent between hooks: `juju-exec`, which before 3.0 is `juju-run`, runs a command in the
//! place of a hook (juju/juju, cmd/containeragent and internal/worker/uniter/runlistener.go). And the end of those processes,
//! with their pod.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Agent, Hook, HookRun};
use crate::hooktool::wire::{Request, Response};
use crate::juju::{Version, World};

/// Between two looks at whether a call has come.
const POLL: Duration = Duration::from_millis(5);

/// The program's name in that Juju.
#[must_use]
pub fn name(version: &Version) -> &'static str {
    if version.at_least(3, 0, 0) {
        "juju-exec"
    } else {
        "juju-run"
    }
}

/// Where calls arrive. When it goes, so do the processes of all units.
#[derive(Debug)]
pub(super) struct Line {
    listener: UnixListener,
    directory: PathBuf,
}

impl Drop for Line {
    fn drop(&mut self) {
        for process in processes(&self.directory) {
            end(process);
        }
    }
}

impl Agent {
    /// From here on the unit's processes can ask for commands to be run, which [`Agent::answer`] does. Those that hooks leave
    /// behind end with this agent, as they would with their pods.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(&mut self) -> Result<()> {
        let path = self.directory.join(crate::hooktool::EXEC_SOCKET);
        let listener = UnixListener::bind(&path).with_context(|| format!("cannot make {}", path.display()))?;
        listener.set_nonblocking(true)?;
        self.line = Some(Line {
            listener,
            directory: self.directory.clone(),
        });
        Ok(())
    }

    /// Runs what is asked for, one call after the other, until `enough` says so of all that ran, or `limit` is over.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn answer(
        &self,
        world: &mut World,
        limit: Duration,
        mut enough: impl FnMut(&World, &[HookRun]) -> bool,
    ) -> Result<Vec<HookRun>> {
        let Some(line) = &self.line else {
            bail!("this agent does not listen");
        };
        let (mut runs, start) = (Vec::new(), Instant::now());
        while !enough(world, &runs) && start.elapsed() < limit {
            match line.listener.accept() {
                Ok((stream, _)) => runs.extend(self.take(world, stream)?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(POLL),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(runs)
    }

    /// Runs one call. One that cannot be read is somebody's who has gone.
    fn take(&self, world: &mut World, mut stream: UnixStream) -> Result<Option<HookRun>> {
        stream.set_nonblocking(false)?;
        let Ok(request) = Request::receive(&mut stream) else {
            return Ok(None);
        };
        let words: Vec<String> = request
            .argv
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "-u").collect();
        let (run, response) = match words.as_slice() {
            [_, unit, command] if world.unit(unit).is_ok() => {
                let command = (*command).to_owned();
                let run = self.run_hook(world, unit, Hook::Exec { command })?;
                let response = Response {
                    exit: run.exit,
                    stdout: run.stdout.clone().into_bytes(),
                    stderr: run.stderr.clone().into_bytes(),
                    ..Response::default()
                };
                (Some(run), response)
            }
            words => {
                let stderr = format!("ERROR no unit and command in {words:?}\n").into_bytes();
                (
                    None,
                    Response {
                        exit: 1,
                        stderr,
                        ..Response::default()
                    },
                )
            }
        };
        // A caller that did not wait needs no answer.
        let _ = response.send(&mut stream);
        Ok(run)
    }

    /// The processes that a unit's hooks have left behind.
    #[must_use]
    pub fn left_behind(&self, unit: &str) -> Vec<u32> {
        processes(&self.unit_directory(unit))
    }

    /// Ends them, as the end of its pod does.
    pub fn end_left_behind(&self, unit: &str) {
        for process in self.left_behind(unit) {
            end(process);
        }
    }
}

/// The processes whose charm is in that directory, by their environment. One that has ended and is not yet waited for has none.
fn processes(directory: &Path) -> Vec<u32> {
    let is_of = |process: &u32| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .filter_map(|variable| variable.strip_prefix(b"JUJU_CHARM_DIR="))
            .any(|charm| Path::new(&*String::from_utf8_lossy(charm)).starts_with(directory))
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_of)
        .collect()
}

fn end(process: u32) {
    // The shell's own kill: not every machine has one as a program. One that is gone already is what is wanted.
    let _ = Command::new("/bin/sh")
        .args(["-c", "kill -9 \"$1\"", "kill", &process.to_string()])
        .stderr(Stdio::null())
        .status();
}
