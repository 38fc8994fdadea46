//! Statuses, log lines, and Juju's way of writing a moment.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A status as Juju keeps it for a unit or an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `active`, `blocked`, `waiting`, `maintenance`; Juju itself also uses `unknown`, `error`, `terminated`.
    pub status: String,
    /// The line beside it; may be empty.
    #[serde(default)]
    pub message: String,
    /// Key-value data; the charm cannot write it, the agent does on errors.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// When it was set, UTC, in the form of [`now`].
    #[serde(default)]
    pub since: String,
}

impl Status {
    /// A status with a message, stamped with the present moment.
    #[must_use]
    pub fn new(status: &str, message: &str) -> Self {
        Self {
            status: status.to_owned(),
            message: message.to_owned(),
            data: BTreeMap::new(),
            since: now(),
        }
    }
}

impl Default for Status {
    /// What a unit has before its first hook.
    fn default() -> Self {
        Self::new("waiting", "installing agent")
    }
}

/// One line of the model's log, as `juju debug-log` would show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `TRACE`, `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
    pub level: String,
    /// Where it came from, e.g. `unit.iris/0.juju-log`.
    pub module: String,
    /// The text, one line or several.
    pub message: String,
    /// When, UTC, in the form of [`now`].
    #[serde(default)]
    pub time: String,
}

impl LogLine {
    /// A line stamped with the present moment.
    #[must_use]
    pub fn new(level: &str, module: String, message: String) -> Self {
        Self {
            level: level.to_owned(),
            module,
            message,
            time: now(),
        }
    }
}

/// The present moment, UTC, as Juju writes it in `goal-state`: `2026-01-31 15:04:05Z`.
#[must_use]
pub fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    at(seconds)
}

/// Seconds since 1970 in the same form.
fn at(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, in the era arithmetic of Howard Hinnant's `civil_from_days`; here days are never negative.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn moments_are_written_as_juju_writes_them() {
        assert_eq!(at(0), "1970-01-01 00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29 12:34:56Z");
        assert_eq!(at(1_798_761_599), "2026-12-31 23:59:59Z");
    }
}
