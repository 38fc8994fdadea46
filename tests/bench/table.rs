//! The figures as a Markdown table, ours before the peer's in each cell.

use std::fmt;

use crate::Subject;
use crate::stopwatch::Spent;

/// What one hook cost.
pub struct Figures {
    pub spent: Spent,
    /// Calls of hook tools.
    pub calls: usize,
    /// Requests to the API server.
    pub requests: usize,
    /// Requests that write.
    pub writes: usize,
}

pub struct Table {
    lines: Vec<String>,
}

impl Table {
    pub fn new([ours, peer]: &[Subject; 2]) -> Self {
        let sizes = |of: fn(&Subject) -> u64| pair([ours, peer].map(|subject| of(subject) as f64 / 1e6), 1, " MB");
        Self {
            lines: vec![
                format!(
                    "Packed, the two are {}; unpacked, {}.\n",
                    sizes(|subject| subject.packed),
                    sizes(|subject| subject.unpacked)
                ),
                "| hook | models | CPU | peak memory | wall | hook-tool calls | API requests | writes |".to_owned(),
                "|---|---|---|---|---|---|---|---|".to_owned(),
            ],
        }
    }

    /// Adds a row with the medians of hooks of one kind.
    pub fn add(&mut self, models: usize, hook: &str, figures: &[Vec<Figures>; 2]) {
        let field =
            |digits, unit, of: fn(&Figures) -> f64| pair(figures.each_ref().map(|all| median(all, of)), digits, unit);
        let fields = [
            field(1, " ms", |of| of.spent.cpu.as_secs_f64() * 1e3),
            field(1, " MB", |of| of.spent.memory as f64 * 1024.0 / 1e6),
            field(0, " ms", |of| of.spent.wall.as_secs_f64() * 1e3),
            field(0, "", |of| of.calls as f64),
            field(0, "", |of| of.requests as f64),
            field(0, "", |of| of.writes as f64),
        ];
        self.lines
            .push(format!("| {hook} | {models} | {} |", fields.join(" | ")));
    }
}

/// Ours, the peer's, and the ratio.
fn pair([ours, peer]: [f64; 2], digits: usize, unit: &str) -> String {
    let times = peer / ours;
    let more = if times.is_finite() && times >= 1.5 {
        format!(", {times:.0}×")
    } else {
        String::new()
    };
    format!("{ours:.digits$}{unit} and {peer:.digits$}{unit}{more}")
}

fn median(figures: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}
