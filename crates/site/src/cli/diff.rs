//! The lines in which two texts differ, with what is around them.

use std::fmt::Write as _;

use similar::TextDiff;

/// How many unchanged lines are shown around a change.
const AROUND: usize = 3;

/// A difference in the manner of `diff -u`, without line numbers; empty where there is none.
pub fn diff(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut out = String::new();
    for hunk in diff.grouped_ops(AROUND) {
        out.push_str("@@\n");
        for change in hunk.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let line = change.value().trim_end_matches('\n');
            let _ = writeln!(out, "{}{line}", change.tag());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn only_what_changed_and_what_is_around_it_is_shown() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        assert_eq!(diff(before, before), "");
        assert_eq!(
            diff(before, &before.replace('e', "E")),
            "@@\n b\n c\n d\n-e\n+E\n f\n g\n h\n"
        );
        assert_eq!(diff("", "x\n"), "@@\n+x\n");
        assert_eq!(diff("x\n", ""), "@@\n-x\n");
    }
}
