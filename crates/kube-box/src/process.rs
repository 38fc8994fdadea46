//! Programs that end with the value that holds them, and programs that outlive the command that started them.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long a killed program may take to be gone; the kernel needs milliseconds.
const END: Duration = Duration::from_secs(10);
/// Between two looks at whether it is gone.
const POLL: Duration = Duration::from_millis(10);
/// How much of a log is shown when its program failed.
const LAST_LINES: usize = 12;
/// How much of a log is read for that, in bytes.
const LAST_BYTES: u64 = 16 * 1024;

/// Runs a program for as long as somebody holds the other end of standard input, whatever becomes of that somebody: a
/// process that was killed closes its pipes all the same. `read` is built in, so the watch is one process, and the
/// program is killed even if this shell is. Nothing here is worth a slow farewell: etcd's log is made to be cut off.
const GUARD: &str = r#"
log=$1; shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!
(read -r _ <&3; kill -9 "$program") >/dev/null 2>&1 &
watch=$!
echo "$program"
exec >/dev/null 2>&1
wait "$program"
status=$?
kill "$watch"
exit "$status"
"#;

/// Whether a program ends with the value that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// With the value, or with this process.
    Bound,
    /// When it is stopped; a file in the folder says which process it is.
    Detached,
}

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Id {
    pid: u32,
    /// In clock ticks since the machine started.
    start: u64,
}

impl Id {
    /// The living process of that number: not one that has ended and waits to be collected.
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, so what follows is counted from the last one. proc(5): the state
        // is field 3, the number of threads field 20, the start field 22.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let threads: u32 = fields.nth(16)?.parse().ok()?;
        // The first thread may have ended before the others, which then hold the process's ports still.
        if ended && threads <= 1 {
            return None;
        }
        let start = fields.nth(1)?.parse().ok()?;
        Some(Self { pid, start })
    }

    fn alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let mut words = text.split_ascii_whitespace();
        let id = Self {
            pid: words.next()?.parse().ok()?,
            start: words.next()?.parse().ok()?,
        };
        // After a restart of the machine, ticks count from zero again.
        (words.next()? == boot()).then_some(id)
    }

    fn write(&self, file: &Path) -> Result<()> {
        let text = format!("{} {} {}\n", self.pid, self.start, boot());
        fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// What the kernel calls this run of the machine.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

/// What to start.
pub(crate) struct Launch<'a> {
    pub(crate) name: &'static str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    /// The folder of its log and of its pid file.
    pub(crate) folder: &'a Path,
    /// The folder that it runs in.
    pub(crate) inside: &'a Path,
    /// The process whose namespaces it runs in, if not in ours: it ends with that process, whatever its lifetime.
    pub(crate) namespaces: Option<u32>,
    /// What it accepts connections on, as its standard input.
    pub(crate) listener: Option<TcpListener>,
}

impl Launch<'_> {
    fn log(&self) -> PathBuf {
        log_file(self.folder, self.name)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started at all. What ends right after its start is seen by [`Process::check`].
    pub(crate) fn start(mut self, lifetime: Lifetime) -> Result<Process> {
        let log = self.log();
        let log_from = fs::metadata(&log).map_or(0, |file| file.len());
        let lifetime = self.namespaces.map_or(lifetime, |_| Lifetime::Detached);
        let started = match lifetime {
            Lifetime::Bound => self.bound(),
            Lifetime::Detached => self.detached(),
        };
        let (pid, child) = started.with_context(|| format!("{} cannot be started", self.program.display()))?;
        // A program that ended at once has no start to read; no living process has start 0.
        let id = Id::of(pid).unwrap_or(Id { pid, start: 0 });
        let pid_file = (lifetime == Lifetime::Detached).then(|| pid_file(self.folder, self.name));
        let process = Process {
            name: self.name,
            id,
            child: Some(child),
            lifetime,
            pid_file,
            log,
            log_from,
        };
        if let Some(file) = &process.pid_file {
            process.id.write(file)?;
        }
        Ok(process)
    }

    fn bound(&self) -> Result<(u32, Child)> {
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(self.log())
            .arg(self.program)
            .args(&self.arguments)
            .current_dir(self.inside)
            // So that Ctrl-C at a terminal reaches us alone, and we end it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(said) = shell.stdout.take() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let pid = line.trim().parse().context("the shell named no process")?;
        Ok((pid, shell))
    }

    fn detached(&mut self) -> Result<(u32, Child)> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let listener = self.listener.take().map(OwnedFd::from);
        let mut command = match self.namespaces {
            Some(process) => {
                let mut command = enter(process);
                // Who enters another mount namespace finds itself in its root folder.
                command.args(["sh", "-c", r#"cd "$0" && exec "$@""#]);
                command.arg(self.inside).arg(self.program);
                command
            }
            None => Command::new(self.program),
        };
        let child = command
            .args(&self.arguments)
            .current_dir(self.inside)
            .process_group(0)
            .stdin(listener.map_or_else(Stdio::null, Stdio::from))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        if self.namespaces.is_none() {
            return Ok((child.id(), child));
        }
        // nsenter stays and waits: the program is its child.
        let start = Instant::now();
        loop {
            if let Some(program) = child_of(child.id()) {
                return Ok((program, child));
            }
            if start.elapsed() > END || Id::of(child.id()).is_none() {
                // Ended already, as a check will say.
                return Ok((child.id(), child));
            }
            thread::sleep(POLL);
        }
    }
}

/// The beginning of a command that runs in the namespaces of a process: nsenter(1). What is added to it is the program
/// and its arguments.
pub(crate) fn enter(process: u32) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--target={process}"))
        .args(["--mount", "--net", "--pid", "--"]);
    command
}

/// A process that was started by that one.
pub(crate) fn child_of(parent: u32) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, fields) = text.rsplit_once(')')?;
        // proc(5): the field after the state.
        let of: u32 = fields.split_ascii_whitespace().nth(1)?.parse().ok()?;
        (of == parent).then_some(pid)
    })
}

/// A program that was started, here or by an earlier command.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    id: Id,
    /// The guarding shell, or the program itself; neither when an earlier command started it.
    child: Option<Child>,
    lifetime: Lifetime,
    pid_file: Option<PathBuf>,
    log: PathBuf,
    /// Where this start begins in the log.
    log_from: u64,
}

impl Process {
    /// The detached program of that name in a folder, if it runs. A file that speaks of a process that is gone is
    /// deleted.
    pub(crate) fn attach(folder: &Path, name: &'static str) -> Option<Self> {
        let file = pid_file(folder, name);
        let Some(id) = Id::read(&file).filter(Id::alive) else {
            // If it cannot be deleted, the next look finds it as stale as this one.
            let _ = fs::remove_file(&file);
            return None;
        };
        Some(Self {
            name,
            id,
            child: None,
            lifetime: Lifetime::Detached,
            pid_file: Some(file),
            log: log_file(folder, name),
            log_from: 0,
        })
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    pub(crate) fn pid(&self) -> u32 {
        self.id.pid
    }

    /// # Errors
    /// When the program has ended; the text holds what it said last.
    pub(crate) fn check(&self) -> Result<()> {
        if self.id.alive() {
            return Ok(());
        }
        bail!(
            "{} has ended. The end of {}:\n{}",
            self.name,
            self.log.display(),
            self.last_lines()
        )
    }

    /// The last lines that the program wrote since it was started.
    pub(crate) fn last_lines(&self) -> String {
        let text = read_end(&self.log, self.log_from).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LAST_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    /// Ends exactly this process and waits until it is gone.
    ///
    /// # Errors
    /// When it is still there after ten seconds.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        match (self.lifetime, self.child.take()) {
            (Lifetime::Bound, Some(mut shell)) => {
                // The guard reads the end of its input and kills.
                drop(shell.stdin.take());
                collect(&mut shell)?;
            }
            (Lifetime::Detached, child) => {
                if self.id.alive() {
                    // The shell's own kill: not every machine has one as a program.
                    Command::new("sh")
                        .args(["-c", "kill -9 \"$1\"", "kill", &self.id.pid.to_string()])
                        .stderr(Stdio::null())
                        .status()?;
                }
                if let Some(mut child) = child {
                    collect(&mut child)?;
                }
            }
            (Lifetime::Bound, None) => {}
        }
        let start = Instant::now();
        while self.id.alive() {
            if start.elapsed() > END {
                bail!("{} does not end; end it with: kill -9 {}", self.name, self.id.pid);
            }
            thread::sleep(POLL);
        }
        if let Some(file) = &self.pid_file
            && let Err(error) = fs::remove_file(file)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("{} cannot be deleted", file.display()));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Bound {
            // There is nobody to tell, and the guard kills it when this process ends at the latest.
            let _ = self.end();
        }
    }
}

/// Waits for a child that is about to end, so that it does not stay behind as a zombie.
fn collect(child: &mut Child) -> Result<()> {
    let start = Instant::now();
    while child.try_wait()?.is_none() && start.elapsed() < END {
        thread::sleep(POLL);
    }
    Ok(())
}

fn pid_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.pid"))
}

fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn read_end(log: &Path, from: u64) -> Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(LAST_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
