//! Tidiness as a test, after TigerBeetle's: who may know whom, and what every file of the workspace is like.
//! A fault is told with its file, its line and the rule.

use std::fs;
use std::path::{Path, PathBuf};

/// Whom each module of the engine may name beside itself. Data flows one way: from the world at the edge (ports and
/// their adapters) over what is derived from it (recent, cache) to reads and work, and up to the facade.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("retry", &["limits"]),
    ("model", &["limits"]),
    ("ports", &["limits", "model"]),
    ("timeline", &["limits", "model"]),
    ("recent", &["limits", "model", "timeline"]),
    ("cache", &["limits", "model", "ports", "timeline", "recent"]),
    ("command", &["limits", "retry", "model", "ports", "timeline", "cache"]),
    ("work", &["limits", "retry", "model", "ports", "timeline", "recent", "cache"]),
    ("read", &["limits", "model", "ports", "timeline", "recent", "cache", "work"]),
    ("engine", &["limits", "retry", "model", "ports", "timeline", "recent", "cache", "command", "read", "work"]),
    ("embedded", &["limits", "model", "ports"]),
    ("postgres", &["limits", "retry", "model", "ports"]),
    ("kafka", &["limits", "retry", "model", "ports"]),
    ("redis", &["limits", "retry", "model", "ports"]),
    ("testkit", &["limits", "model", "ports"]),
];
/// Modules without input or output, async or a clock.
const PURE: &[&str] = &["limits", "model", "timeline"];
/// What pure modules do not name.
const IMPURE: &[&str] = &["async", "await", "tokio", "SystemTime", "Instant", "fs", "net", "io", "thread"];
/// Adapters, and the one file outside the engine that names them.
const ADAPTERS: &[&str] = &["embedded", "postgres", "kafka", "redis"];
const ASSEMBLY: &str = "server/src/assemble.rs";
/// Lines of a source file at the most.
const LINES_MAX: usize = 400;
/// Files of these kinds are read.
const TEXTS: &[&str] = &["rs", "toml", "yml", "md", "js", "css", "html", "sql"];

/// What is wrong in which line of a file, and the rule that it breaks.
type Faults = Vec<(usize, String)>;

/// The words of a line of code: names, without what separates them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The lines of code, without comments and without the tests at a file's end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    let lines = lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test"));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_test(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    path.contains("/tests/") || path.contains("/benches/") || file.ends_with("tests.rs")
}

/// The engine's module that a file belongs to.
fn module(path: &str) -> Option<&str> {
    let name = path.strip_prefix("engine/src/")?.split('/').next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "lib").then_some(name)
}

/// What a line names directly below `root::`.
fn named<'a>(line: &'a str, root: &str) -> Vec<&'a str> {
    let found = line.match_indices(root).filter(|&(at, _)| {
        let inside = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        !inside && line[at + root.len()..].starts_with("::")
    });
    found.filter_map(|(at, _)| words(&line[at + root.len()..]).next()).collect()
}

/// Who may know whom.
fn acquaintances(path: &str, text: &str) -> Faults {
    let mut faults = Faults::new();
    if is_test(path) || !path.contains("/src/") {
        return faults;
    }
    if let Some(module) = module(path) {
        let Some((_, known)) = MAY_KNOW.iter().find(|(name, _)| *name == module) else {
            return vec![(1, format!("the table does not say whom `{module}` may know"))];
        };
        let top = path.strip_suffix("/mod.rs").unwrap_or(path).matches('/').count() == 2;
        for (n, line) in code(text) {
            if line.contains("crate::{") || line.contains("super::super::") || (top && line.contains("super::")) {
                faults.push((n, "other modules are named one by one, as `crate::name`".to_owned()));
            }
            for name in named(line, "crate").into_iter().filter(|name| *name != module && !known.contains(name)) {
                faults.push((n, format!("`{module}` may not know `{name}`, only {known:?}")));
            }
            if let Some(word) = words(line).find(|word| PURE.contains(&module) && IMPURE.contains(word)) {
                faults.push((n, format!("`{module}` is pure, and `{word}` is not")));
            }
        }
    } else if !path.starts_with("engine/") && path != ASSEMBLY {
        for (n, line) in code(text) {
            for name in named(line, "tributary_engine").into_iter().filter(|name| ADAPTERS.contains(name)) {
                faults.push((n, format!("only {ASSEMBLY} names an adapter such as `{name}`")));
            }
        }
    }
    faults
}

/// What every file is like.
fn untidiness(path: &str, text: &str) -> Faults {
    let mut faults = Faults::new();
    let rust = path.ends_with(".rs");
    if rust && !text.starts_with("//! ") {
        faults.push((1, "a file begins with a //! that says what it is for".to_owned()));
    }
    if rust && text.lines().count() > LINES_MAX {
        faults.push((LINES_MAX + 1, format!("a file has {LINES_MAX} lines at the most")));
    }
    if !text.ends_with('\n') || text.ends_with("\n\n") {
        faults.push((text.lines().count(), "a file ends with one line end".to_owned()));
    }
    // Composed, so that this file does not name them.
    let reminders = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        if line.contains('\t') || line.contains('\r') {
            faults.push((n, "no tabs and no carriage returns".to_owned()));
        }
        if line.ends_with(' ') {
            faults.push((n, "no white space at the end of a line".to_owned()));
        }
        if let Some(word) = words(line).find(|word| reminders.contains(word)) {
            faults.push((n, format!("no {word}: do it now, or leave it")));
        }
    }
    if rust {
        let banned = concat!("un", "safe");
        for (n, _) in code(text).filter(|(_, line)| words(line).any(|word| word == banned)) {
            faults.push((n, format!("no {banned} code")));
        }
    }
    faults
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the engine lies in the workspace").to_owned()
}

/// Every text of the workspace with its path, folders of tools, builds and other projects left out.
fn texts(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "data", "node_modules", "vendor"].contains(&name) {
                texts(&path, found);
            }
        } else if name.rsplit_once('.').is_some_and(|(_, kind)| TEXTS.contains(&kind)) {
            let text = fs::read_to_string(&path).expect("a text");
            let path = path.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").replace('\\', "/");
            found.push((path, text));
        }
    }
}

#[track_caller]
fn assert_none(rule: fn(&str, &str) -> Faults, kinds: &[&str]) {
    let mut found = Vec::new();
    texts(&root(), &mut found);
    assert!(found.len() > 100, "the workspace was not found: {} files", found.len());
    let mut faults = Vec::new();
    for (path, text) in found.iter().filter(|(path, _)| kinds.iter().any(|kind| path.ends_with(kind))) {
        faults.extend(rule(path, text).into_iter().map(|(line, rule)| format!("{path}:{line}: {rule}")));
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn modules_know_only_whom_they_may() {
    assert_none(acquaintances, &[".rs"]);
}

#[test]
fn every_file_is_tidy() {
    assert_none(untidiness, TEXTS);
}

#[test]
fn no_two_modules_know_each_other() {
    for (n, (module, known)) in MAY_KNOW.iter().enumerate() {
        for name in *known {
            let place = MAY_KNOW.iter().position(|(other, _)| other == name);
            assert!(place.is_some_and(|place| place < n), "{module} knows {name}, which does not stand before it");
        }
    }
}

#[test]
fn a_broken_rule_is_told_with_its_line() {
    let told = |faults: Faults| faults.into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    let acquaintance = |path: &str, text: &str| told(acquaintances(path, text));
    assert_eq!(acquaintance("engine/src/model/id.rs", "use crate::limits;\nuse crate::model::Millis;\n"), []);
    assert_eq!(acquaintance("engine/src/model/id.rs", "\nuse crate::ports::Store;\n"), [2]);
    assert_eq!(acquaintance("engine/src/model/id.rs", "fn at() -> std::time::Instant {}\n"), [1]);
    assert_eq!(acquaintance("engine/src/cache/tier.rs", "fn f(s: crate::read::Source) {}\n"), [1]);
    assert_eq!(acquaintance("engine/src/cache/tier.rs", "use super::super::read;\n"), [1]);
    assert_eq!(acquaintance("engine/src/cache/mod.rs", "use super::read;\n"), [1]);
    assert_eq!(acquaintance("engine/src/cache/tier.rs", "// crate::read\n#[cfg(test)]\nuse crate::read;\n"), []);
    assert_eq!(acquaintance("engine/src/cache/tests.rs", "use crate::read::Reads;\n"), []);
    assert_eq!(acquaintance("engine/src/unheard_of.rs", ""), [1]);
    assert_eq!(acquaintance("server/src/http/app.rs", "use tributary_engine::embedded::EmbeddedStore;\n"), [1]);
    assert_eq!(acquaintance(ASSEMBLY, "use tributary_engine::embedded::EmbeddedStore;\n"), []);

    let untidy = |path: &str, text: &str| told(untidiness(path, text));
    assert_eq!(untidy("a.rs", "//! What for.\n\nfn f() {}\n"), []);
    assert_eq!(untidy("a.rs", "fn f() {}\n"), [1]);
    assert_eq!(untidy("a.rs", &format!("//! A.\n{}", "a\n".repeat(LINES_MAX))), [LINES_MAX + 1]);
    assert_eq!(untidy("a.md", "a \n\tb\nc\n"), [1, 2]);
    assert_eq!(untidy("a.md", "a\n\n"), [2]);
    assert_eq!(untidy("a.md", concat!("a\nTO", "DO: b\n")), [2]);
    assert_eq!(untidy("a.rs", concat!("//! A.\nun", "safe {}\n// un", "safe\n")), [2]);
}
