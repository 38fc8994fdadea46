//! The session of a watcher: the watcher itself and its child processes.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use super::WATCH;

/// Whether a process is a watcher, of this or another version of the charm.
pub fn is_watcher(pid: Pid) -> bool {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = command_line.split(|byte| *byte == 0);
    let program = arguments.next().map(String::from_utf8_lossy).unwrap_or_default();
    let name = Path::new(&*program).file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("dispatch") && arguments.next() == Some(WATCH.as_bytes())
}

/// Kills a watcher and its children. `juju-exec` may be killed at any time: the agent still runs the command it was
/// given (juju/juju, internal/worker/uniter/runlistener.go).
pub fn kill_watcher(leader: Pid) {
    // The leader first, or it would start more children.
    let _ = kill(leader, Signal::SIGKILL);
    kill_others(leader);
}

/// Kills the children of this process, if it leads a session.
pub fn kill_children() {
    kill_others(getpid());
}

fn kill_others(leader: Pid) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in pids.map(Pid::from_raw) {
        if pid != leader && session(pid) == Some(leader) {
            // Fails if the process is already gone.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// The session id (`proc_pid_stat(5)`). The name before it can contain anything and ends at the last parenthesis.
fn session(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit(')').next()?;
    let session = after_name.split_whitespace().nth(3)?.parse().ok()?;
    Some(Pid::from_raw(session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_watcher_is_recognized_as_one() {
        assert!(!is_watcher(getpid()), "a test");
        assert!(!is_watcher(Pid::from_raw(1)));
        assert!(!is_watcher(Pid::from_raw(i32::MAX)));
    }

    #[test]
    fn session_is_parsed_after_any_name() {
        assert_eq!(session(getpid()), nix::unistd::getsid(None).ok());
    }
}
