//! The lines in which two texts differ, with what is around them.

/// How many unchanged lines are shown around a change.
const AROUND: usize = 3;

/// A difference in the manner of `diff -u`, without line numbers; empty where there is none.
pub fn diff(before: &str, after: &str) -> String {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let edits = edits(&old, &new);
    let changed: Vec<usize> = (0..edits.len())
        .filter(|&index| edits.get(index).is_some_and(|(mark, _)| *mark != ' '))
        .collect();
    let mut out = String::new();
    let mut last = None;
    for (index, (mark, line)) in edits.iter().enumerate() {
        if !changed.iter().any(|&change| change.abs_diff(index) <= AROUND) {
            continue;
        }
        if last.is_none_or(|last: usize| last + 1 != index) {
            out.push_str("@@\n");
        }
        last = Some(index);
        out.push(*mark);
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Every line of both, marked, by the longest common subsequence. The texts are a few hundred lines.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let width = new.len() + 1;
    let mut common = vec![0_usize; (old.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    for (row, left) in old.iter().enumerate().rev() {
        for (column, right) in new.iter().enumerate().rev() {
            let get = |index: usize| common.get(index).copied().unwrap_or_default();
            let best = if left == right {
                get(at(row + 1, column + 1)) + 1
            } else {
                get(at(row + 1, column)).max(get(at(row, column + 1)))
            };
            if let Some(cell) = common.get_mut(at(row, column)) {
                *cell = best;
            }
        }
    }
    let get = |row: usize, column: usize| common.get(at(row, column)).copied().unwrap_or_default();
    let (mut row, mut column) = (0, 0);
    let mut edits = Vec::new();
    loop {
        match (old.get(row), new.get(column)) {
            (Some(left), Some(right)) if left == right => {
                edits.push((' ', *left));
                (row, column) = (row + 1, column + 1);
            }
            (Some(left), right) if right.is_none() || get(row + 1, column) >= get(row, column + 1) => {
                edits.push(('-', *left));
                row += 1;
            }
            (_, Some(right)) => {
                edits.push(('+', *right));
                column += 1;
            }
            _ => return edits,
        }
    }
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
