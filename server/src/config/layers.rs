//! Gathers what was said: the file, over it the environment, over that the flags. Each value is read by its kind,
//! and remembers where it was said; what is unknown or malformed is an error, and the rest goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::keys::{self, KEYS, LISTS, List};

const ENV_PREFIX: &str = "TRIBUTARY__";

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// The environment; variables that do not begin with `TRIBUTARY__` are ignored.
    pub env: Vec<(String, String)>,
    /// The flag `--listen`.
    pub listen: Option<String>,
    /// The temporary folder of `--demo`.
    pub demo: Option<PathBuf>,
    /// What relative paths are relative to where there is no file; absolute.
    pub working_folder: PathBuf,
}

impl Sources {
    /// The environment and the working folder of this process; no file and no flag.
    pub fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            file: None,
            env: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            listen: None,
            demo: None,
            working_folder: std::env::current_dir().unwrap_or_default(),
        }
    }
}

/// One table of a list: the value of each key that was said in it, and the defaults of the others.
pub type Item = BTreeMap<&'static str, toml::Value>;

/// What was said.
pub struct Said {
    /// The value of each key that was said, and where.
    pub values: BTreeMap<&'static str, (toml::Value, Origin)>,
    /// Lists of tables that were said, and where.
    pub lists: Vec<(&'static List, Vec<Item>, Origin)>,
    /// What could not be understood.
    pub errors: Vec<ConfigError>,
    /// What relative paths are relative to.
    pub folder: PathBuf,
}

/// Gathers `sources`, the later over the earlier.
pub fn gather(sources: &Sources) -> Said {
    let folder = match &sources.file {
        Some(file) => sources.working_folder.join(file).parent().map(Path::to_owned).unwrap_or_default(),
        None => sources.working_folder.clone(),
    };
    let mut said = Said { values: BTreeMap::new(), lists: Vec::new(), errors: Vec::new(), folder };
    if let Some(file) = &sources.file {
        said.read_file(&sources.working_folder.join(file), Origin::File(file.clone()));
    }
    let mut env: Vec<_> = sources.env.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    env.sort();
    for (name, text) in env {
        said.read_variable(name, text);
    }
    if let Some(listen) = &sources.listen {
        said.read_text("http.listen", listen, Origin::Flag("--listen"));
    }
    said
}

impl Said {
    /// Whether the key was said.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Notes an error.
    pub fn refuse(&mut self, key: impl Into<String>, origin: Origin, reason: impl Into<String>) {
        self.errors.push(ConfigError { key: key.into(), origin, reason: reason.into() });
    }

    fn read_file(&mut self, path: &Path, origin: Origin) {
        match std::fs::read_to_string(path) {
            Err(error) => self.refuse("file", origin, format!("cannot be read: {error}")),
            Ok(text) => match text.parse::<toml::Table>() {
                Err(error) => self.refuse("file", origin, not_toml(&text, &error)),
                Ok(table) => self.read_table("", &table, &origin),
            },
        }
    }

    fn read_table(&mut self, section: &str, table: &toml::Table, origin: &Origin) {
        for (leaf, value) in table {
            let name = if section.is_empty() { leaf.clone() } else { format!("{section}.{leaf}") };
            if let Some(key) = keys::find(&name) {
                self.keep(key.name, key.kind.read_toml(value), origin.clone());
            } else if let Some(list) = LISTS.iter().find(|list| list.name == name) {
                self.read_list(list, value, origin);
            } else if keys::is_section(&name) {
                match value {
                    toml::Value::Table(inner) => self.read_table(&name, inner, origin),
                    _ => self.refuse(&name, origin.clone(), format!("must be a section: [{name}]")),
                }
            } else {
                self.unknown(name, value.is_table() || is_tables(value), origin.clone());
            }
        }
    }

    fn read_list(&mut self, list: &'static List, value: &toml::Value, origin: &Origin) {
        let Some(items) = value.as_array().filter(|_| is_tables(value)) else {
            return self.refuse(list.name, origin.clone(), format!("must be a list of tables: [[{}]]", list.name));
        };
        let mut read = Vec::with_capacity(items.len());
        for (n, item) in items.iter().filter_map(toml::Value::as_table).enumerate() {
            let default = |key: &keys::Key| Some((key.name, key.kind.read_text(key.default?).ok()?));
            let mut values: Item = list.keys.iter().filter_map(default).collect();
            for (leaf, value) in item {
                let name = format!("{}[{n}].{leaf}", list.name);
                match list.keys.iter().find(|key| key.name == leaf) {
                    Some(key) => match key.kind.read_toml(value) {
                        Ok(value) => {
                            values.insert(key.name, value);
                        }
                        Err(reason) => self.refuse(name, origin.clone(), reason),
                    },
                    None => {
                        let like = keys::nearest(leaf, list.keys.iter().map(|key| key.name));
                        self.refuse(name, origin.clone(), format!("is not known; the nearest is {}.{like}", list.name));
                    }
                }
            }
            let needed = |key: &&keys::Key| key.default.is_none() && !key.optional;
            for key in list.keys.iter().filter(needed).filter(|key| !item.contains_key(key.name)) {
                self.refuse(format!("{}[{n}].{}", list.name, key.name), origin.clone(), "is missing");
            }
            read.push(values);
        }
        self.lists.push((list, read, origin.clone()));
    }

    fn read_variable(&mut self, variable: &str, text: &str) {
        let name = variable[ENV_PREFIX.len()..].replace("__", ".").to_ascii_lowercase();
        let origin = Origin::Env(variable.to_owned());
        let list = |list: &&List| name == list.name || name.starts_with(&format!("{}.", list.name));
        if let Some(list) = LISTS.iter().find(list) {
            self.refuse(name.clone(), origin, format!("can be said in the file only: [[{}]]", list.name));
        } else if keys::find(&name).is_some() && variable == variable_of(&name) {
            self.read_text(&name, text, origin);
        } else {
            self.unknown(name, false, origin);
        }
    }

    fn read_text(&mut self, name: &str, text: &str, origin: Origin) {
        let key = keys::find(name).expect("asked for known keys only");
        self.keep(key.name, key.kind.read_text(text), origin);
    }

    fn keep(&mut self, name: &'static str, value: Result<toml::Value, String>, origin: Origin) {
        match value {
            Ok(value) => {
                self.values.insert(name, (value, origin));
            }
            Err(reason) => self.refuse(name, origin, reason),
        }
    }

    fn unknown(&mut self, name: String, is_section: bool, origin: Origin) {
        let like = if is_section {
            let lists = LISTS.iter().map(|list| list.name);
            format!("section is [{}]", keys::nearest(&name, keys::sections().chain(lists)))
        } else {
            let key = keys::nearest(&name, KEYS.iter().map(|key| key.name));
            match &origin {
                Origin::Env(_) => format!("key is {key} ({})", variable_of(key)),
                _ => format!("key is {key}"),
            }
        };
        self.refuse(name, origin, format!("is not known; the nearest {like}"));
    }
}

/// The environment variable of a key.
fn variable_of(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

fn is_tables(value: &toml::Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(toml::Value::is_table))
}

/// Where and why; not the line itself, which may hold a secret.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("is not TOML, line {}: {}", 1 + before.matches('\n').count(), error.message())
}
