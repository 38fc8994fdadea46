//! The commands in the documentation, and the output that it shows.
//!
//! A block of code marked `console` is a session: each line that begins with `$ ` is a command for a shell, and the lines below it
//! are its output. There `…` matches anything, on a line of its own any number of lines. Blanks count as one, and any address matches
//! any other. Without output, nothing is compared.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The root of this repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Debug)]
pub struct Block {
    /// Its mark; empty for an indented block.
    pub kind: String,
    /// The number of the line before its first.
    pub line: usize,
    pub lines: Vec<String>,
}

/// A command and its expected output.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub typed: String,
    pub shown: Vec<String>,
}

/// A page by its path below the root.
pub fn page(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all pages below the root.
pub fn pages() -> Vec<String> {
    let mut pages = vec!["CONTRIBUTING.md".to_owned()];
    for folder in ["docs", "docs/how-to", "docs/reference", "docs/explanation"] {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|ending| ending == "md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages.sort();
    pages
}

pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut fenced, mut blank, mut indented) = (false, true, false);
    for (at, line) in markdown.lines().enumerate() {
        let block = |kind: &str| Block {
            kind: kind.to_owned(),
            line: at + 1,
            lines: Vec::new(),
        };
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            fenced = !fenced;
            if fenced {
                blocks.push(block(kind.trim()));
            }
        } else if fenced {
            blocks.last_mut().unwrap().lines.push(line.to_owned());
        } else {
            let code = line.strip_prefix("    ").filter(|_| blank || indented);
            if let Some(code) = code {
                if !indented {
                    blocks.push(block(""));
                }
                blocks.last_mut().unwrap().lines.push(code.to_owned());
            }
            indented = code.is_some();
        }
        blank = line.trim().is_empty();
    }
    blocks
}

impl Block {
    /// Its commands. A line that ends with `\` continues on the next.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            if let Some(typed) = line.strip_prefix("$ ") {
                steps.push(Step {
                    line: self.line + at + 1,
                    typed: typed.to_owned(),
                    shown: Vec::new(),
                });
                continue;
            }
            let step = steps.last_mut();
            let step =
                step.unwrap_or_else(|| panic!("line {}: a session begins with what is typed", self.line + at + 1));
            if step.shown.is_empty() && step.typed.ends_with('\\') {
                step.typed.push('\n');
                step.typed.push_str(line);
            } else {
                step.shown.push(line.clone());
            }
        }
        for step in &mut steps {
            while step.shown.last().is_some_and(|line| line.trim().is_empty()) {
                step.shown.pop();
            }
        }
        steps
    }
}

/// A reader who follows the documentation on a site of their own.
pub struct Reader {
    home: PathBuf,
    /// Names that differ between the documentation and this machine: there, and here.
    pub substitutions: Vec<(String, String)>,
}

impl Reader {
    /// Starts in an empty folder with the files of a clone. `substitutions` apply to the files too.
    pub fn new(home: PathBuf, substitutions: &[(&str, &str)]) -> Self {
        let substitutions: Vec<(String, String)> = substitutions
            .iter()
            .map(|(there, here)| ((*there).to_owned(), (*here).to_owned()))
            .collect();
        let reader = Self { home, substitutions };
        fs::create_dir_all(reader.home.join("bin")).unwrap();
        for name in ["examples", "rbac.yaml"] {
            symlink(Path::new(ROOT).join(name), reader.home.join(name)).unwrap();
        }
        fs::write(reader.home.join("bundle.yaml"), reader.localize(&page("bundle.yaml"))).unwrap();
        let juju = format!(
            "#!/bin/sh\nexec '{}' --quiet --dir '{}' --dispatch '{}' \"$@\"\n",
            site::programs::site_binary().unwrap().display(),
            reader.home.join("site").display(),
            env!("CARGO_BIN_EXE_dispatch"),
        );
        let program = reader.home.join("bin/juju");
        fs::write(&program, juju).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        reader
    }

    pub fn file(&self, name: &str, text: &str) {
        fs::write(self.home.join(name), self.localize(text)).unwrap();
    }

    /// Replaces the names of the documentation by those of this machine.
    fn localize(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (there, here) in &self.substitutions {
            text = text.replace(there, here);
        }
        text
    }

    /// Replaces the names of this machine by those of the documentation.
    fn documented(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (there, here) in &self.substitutions {
            text = text.replace(here, there);
        }
        text
    }

    /// Runs a line. Returns whether it succeeded, and its output.
    pub fn run(&self, line: &str) -> (bool, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-o", "pipefail", "-c", &format!("exec 2>&1; {}", self.localize(line))])
            .current_dir(&self.home)
            .env("PATH", format!("{}:{path}", self.home.join("bin").display()))
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), self.documented(&printed))
    }

    /// Runs a command of a page and compares the output.
    pub fn check(&mut self, page: &str, step: &Step) {
        let at = format!("{page}:{}: {}", step.line, step.typed);
        let start = Instant::now();
        let (succeeded, printed) = self.run(&step.typed);
        eprintln!("{at}: {:.1} s", start.elapsed().as_secs_f64());
        let fails = step.shown.iter().any(|line| line.starts_with("ERROR "));
        assert!(succeeded != fails, "{at}\n{printed}");
        if step.shown.is_empty() {
            return;
        }
        let seen: Vec<&str> = printed.trim_end().lines().collect();
        // Each secret has a URI of its own.
        if let ([shown], [seen]) = (step.shown.as_slice(), seen.as_slice())
            && shown.starts_with("secret:")
            && seen.starts_with("secret:")
        {
            self.substitutions.push((shown.clone(), (*seen).to_owned()));
            return;
        }
        let shown: Vec<String> = step.shown.iter().map(|line| plain(line)).collect();
        let plain: Vec<String> = seen.iter().map(|line| plain(line)).collect();
        assert!(
            same_lines(&shown, &plain),
            "{at}\nshould print\n{}\nand prints\n{printed}",
            step.shown.join("\n")
        );
    }

    /// The address of a full site's gateway.
    pub fn gateway(&self) -> String {
        let port = fs::read_to_string(self.home.join("site/kubernetes/gateway.port")).unwrap();
        format!("127.0.0.1:{}", port.trim())
    }

    /// Ends the site.
    pub fn shut_down(&self) {
        let (ended, said) = self.run("juju down");
        assert!(ended, "{said}");
        fs::remove_dir_all(&self.home).unwrap();
    }
}

/// A line without what differs between sites.
fn plain(line: &str) -> String {
    let words: Vec<String> = line
        .split_whitespace()
        .map(|word| {
            let numbers: Vec<&str> = word.split('.').collect();
            let is_address = numbers.len() == 4 && numbers.iter().all(|number| number.parse::<u8>().is_ok());
            if is_address {
                "address".to_owned()
            } else {
                word.to_owned()
            }
        })
        .collect();
    words.join(" ")
}

fn same_lines(shown: &[String], seen: &[String]) -> bool {
    match shown.split_first() {
        None => seen.is_empty(),
        Some((line, rest)) if line == "…" => (0..=seen.len()).any(|skipped| same_lines(rest, &seen[skipped..])),
        Some((line, rest)) => seen
            .split_first()
            .is_some_and(|(first, after)| same_line(line, first) && same_lines(rest, after)),
    }
}

fn same_line(shown: &str, seen: &str) -> bool {
    match shown.split_once('…') {
        None => shown == seen,
        Some((head, tail)) => seen.strip_prefix(head).is_some_and(|rest| {
            let places = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            places.into_iter().any(|at| same_line(tail, &rest[at..]))
        }),
    }
}

#[test]
fn console_session_is_parsed_into_steps() {
    let page = "# A page\n\n```console\n$ juju status \\\n    iris\nApp  …\n\n$ juju config iris a=b\n```\n\nText.\n\n    indented\n";
    let blocks = blocks(page);
    assert_eq!(
        blocks.iter().map(|block| block.kind.as_str()).collect::<Vec<_>>(),
        ["console", ""]
    );
    let steps = blocks[0].steps();
    assert_eq!(steps[0].typed, "juju status \\\n    iris");
    assert_eq!(steps[0].shown, ["App  …"]);
    assert_eq!((steps[1].line, steps[1].shown.len()), (8, 0));
}

#[test]
fn ellipsis_matches_any_output() {
    let same = |shown: &str, seen: &str| {
        let lines = |text: &str| text.lines().map(plain).collect::<Vec<_>>();
        same_lines(&lines(shown), &lines(seen))
    };
    assert!(same(
        "App  Address\niris 10.0.0.1  …",
        "App Address\niris  10.152.183.4  iris serves"
    ));
    assert!(same("…\nlast", "first\nsecond\nlast") && same("…\nlast", "last"));
    assert!(!same("…\nlast", "last\none") && !same("iris …s", "iris serving") && !same("iris", "irises"));
}
