//! The layers of the charm: a module imports only from those before it, so that each can be read without those after it. Neither the
//! charm nor the site has import cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules below `src`, each after all that it may import from.
const ORDER: [&str; 19] = [
    "labels",
    "shell",
    "text",
    "identity",
    "api",
    "gateway",
    "config",
    "permissions",
    "api_error",
    "inputs",
    "observed",
    "plan",
    "changes",
    "status",
    "cluster",
    "reconcile",
    "integrations",
    "actions",
    "watcher",
];
/// The module on top, which chooses between these.
const TOP: &str = "hook";

/// The modules without clock, environment, input, output and asynchronous code.
const PURE: [&str; 9] = [
    "labels", "text", "api", "gateway", "config", "observed", "plan", "changes", "status",
];
const IMPURE: [&str; 8] = [
    "tokio::",
    "tracing::",
    "std::env",
    "std::fs",
    "std::process",
    "std::net::Tcp",
    "Timestamp::now",
    "SystemTime",
];

#[test]
fn modules_import_only_from_earlier_ones() {
    let order: Vec<&str> = ORDER.iter().copied().chain([TOP]).collect();
    let rank = |module: &str| order.iter().position(|name| *name == module);
    let mut upwards = Vec::new();
    for (file, code) in sources("src") {
        let module = module(&file);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let own = rank(&module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        for taken in taken(&code) {
            let of = rank(&taken).unwrap_or_else(|| panic!("{}: {taken} has no place in the order", file.display()));
            if of > own {
                upwards.push(format!("{} takes from {taken}", file.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

/// `lib.rs` is the table of contents: it lists its modules in the order of their imports.
#[test]
fn library_lists_its_modules_in_order() {
    let library = include_str!("../../../src/lib.rs");
    let modules = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    assert_eq!(
        modules.collect::<Vec<_>>(),
        ORDER.iter().copied().chain([TOP]).collect::<Vec<_>>()
    );
}

#[test]
fn cluster_does_not_know_juju() {
    let knows = |(file, code): &(PathBuf, String)| module(file) == "cluster" && code.contains("juju_hooks");
    assert!(!sources("src").iter().any(knows));
}

/// The crates that the tests run the charm in. The first two do not know each other: neither is among the dependencies of the other.
const TEST_CRATES: [&str; 3] = ["crates/juju-sim/src", "crates/kube-box/src", "crates/site/src"];

#[test]
fn site_modules_have_no_import_cycles() {
    for root in TEST_CRATES {
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, code) in sources(root) {
            let module = module(&file);
            // The command line is a program of its own.
            if !["lib", "main", "cli"].contains(&module.as_str()) {
                let taken = taken(&code).into_iter().filter(|taken| *taken != module);
                needs.entry(module.clone()).or_default().extend(taken);
            }
        }
        let circle = circle(needs);
        assert!(circle.is_empty(), "{root}: {circle:#?}");
    }
}

#[test]
fn files_of_a_module_have_no_import_cycles() {
    for root in ["src"].into_iter().chain(TEST_CRATES) {
        let files: BTreeMap<PathBuf, String> = sources(root).into_iter().collect();
        let mut needs: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (file, code) in &files {
            let siblings = names_behind(code, "super::");
            let folder = file.parent().unwrap();
            let found = siblings.iter().map(|name| folder.join(format!("{name}.rs")));
            let found = found.filter_map(|path| files.get_key_value(&path));
            let found = found.map(|(path, _)| path.as_path()).filter(|path| path != file);
            needs.insert(file, found.collect());
        }
        let circle = circle(needs);
        assert!(circle.is_empty(), "{root}: {circle:#?}");
    }
}

/// Removes everything that needs nothing that is left. The rest is in a cycle, or needs one.
fn circle<T: Ord + Clone>(mut needs: BTreeMap<T, BTreeSet<T>>) -> BTreeMap<T, BTreeSet<T>> {
    loop {
        let free: Vec<T> = needs
            .iter()
            .filter(|(_, of)| of.is_empty())
            .map(|(one, _)| one.clone())
            .collect();
        if free.is_empty() {
            return needs;
        }
        for one in free {
            needs.remove(&one);
            for of in needs.values_mut() {
                of.remove(&one);
            }
        }
    }
}

#[test]
fn pure_modules_use_no_clock_or_io() {
    let mut found = Vec::new();
    for (file, code) in sources("src") {
        if PURE.contains(&module(&file).as_str()) {
            let impure = IMPURE.iter().filter(|name| code.contains(**name));
            found.extend(impure.map(|name| format!("{} has {name}", file.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The files below a folder, without their tests and comments.
fn sources(root: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") && name != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = lines.collect::<Vec<_>>().join("\n");
                files.push((path.strip_prefix(&root).unwrap().to_owned(), code));
            }
        }
    }
    assert!(files.len() > 5, "the sources are elsewhere");
    files
}

/// The top-level module of a file.
fn module(file: &Path) -> String {
    let first = file.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The top-level modules that some code imports from, except its own.
fn taken(code: &str) -> BTreeSet<String> {
    names_behind(code, "crate::")
}

/// The names right after a path prefix, including those of a list in braces.
fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |text: &str| text.chars().take_while(|c| is_of_name(*c)).collect::<String>();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        // `pub(super)` is no path, and `xcrate::` is another.
        if code[..at].ends_with(is_of_name) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let (mut depth, mut part) = (0, String::new());
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => names.extend([name(part.drain(..).as_str().trim_start())]),
                        _ => {}
                    }
                    if c != ',' || depth > 0 {
                        part.push(c);
                    }
                }
                names.extend([name(part.trim_start())]);
            }
            None => names.extend([name(rest)]),
        }
    }
    // Types and functions of the parent are its own.
    names.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "self");
    names
}
