//! Merges the configuration layers. Text from environment and flags is parsed by the type in the key's schema.

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    Config, ConfigError, Secrets,
    check::{self, Faults},
    dot_env::DotEnv,
    typed::typed_config,
};
use crate::{
    store,
    tools::{clean, document},
};

/// Prefix of configuration variables: `FRONTDESK__SECTION__KEY`.
const PREFIX: &str = "FRONTDESK__";
/// Default configuration file, in the working directory.
const FILE: &str = "frontdesk.toml";

/// Default directory of the user's vendor files, beside the configuration file.
const CONNECTORS: &str = "connectors";

/// Configuration from the command line.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The configuration file, if one is named.
    pub file: Option<PathBuf>,
    /// Keys set by flags, with their values.
    pub keys: Vec<(&'static str, String)>,
    /// Ignore files in the working directory: an agent host starts `stdio` in an arbitrary one.
    pub not_from_here: bool,
}

/// A layer of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    DotEnv(PathBuf),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::DotEnv(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(key) => write!(f, "flag for {key}"),
        }
    }
}

/// The merged configuration.
#[derive(Clone)]
pub struct Loaded {
    pub config: Config,
    pub secrets: Secrets,
    /// The layers that set a value, lowest first.
    pub sources: Vec<Source>,
}

impl Loaded {
    /// Logs skipped lines of `.env`; called once logging is set up.
    pub fn warn(&self) {
        let lines = self.secrets.foreign_lines();
        if !lines.is_empty() {
            let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(lines, "lines of .env are not of the form NAME=VALUE and were skipped");
        }
    }
}

/// A configuration and its faults.
pub struct Inspected {
    /// The configuration without the faulty values.
    pub loaded: Loaded,
    /// Empty if the configuration is valid.
    pub faults: Vec<ConfigError>,
    pub left_out: LeftOut,
}

/// Loads and validates the configuration; fails with the first fault.
pub fn load(overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let Inspected { loaded, faults, .. } = inspect(overrides);
    faults.into_iter().next().map_or(Ok(loaded), Err)
}

/// Loads and validates the configuration, and collects all faults.
pub fn inspect(overrides: &Overrides) -> Inspected {
    let mut schema = Value::Object(document::<Config>());
    clean(&mut schema);
    let mut faults = Faults::default();
    let mut secrets = Secrets { directory: PathBuf::from("."), ..Secrets::default() };
    let (mut merged, mut sources) = layers(overrides, &schema, &mut secrets, &mut faults);
    sources.dedup();
    check::prune(&mut merged, &schema, "", &mut faults);
    let config = typed_config(merged, &mut faults);
    let mut faults = faults.into_vec();
    let left_out = LeftOut(faults.iter().flat_map(names).collect());
    faults.extend(check::across(&config).into_iter().filter(|fault| !left_out.explains(fault)));
    Inspected { loaded: Loaded { config, secrets, sources }, faults, left_out }
}

/// Keys that were removed because they are faulty.
#[derive(Debug)]
pub struct LeftOut(Vec<String>);

impl LeftOut {
    /// Whether a fault only reports that a removed key, or its parent table, is missing.
    pub fn explains(&self, fault: &ConfigError) -> bool {
        let in_it = |left_out: &String, key: &str| {
            left_out.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        fault.key().is_some_and(|key| self.0.iter().any(|left_out| in_it(left_out, key)))
    }
}

/// The keys that a fault names: the faulty one and the suggested one.
fn names(fault: &ConfigError) -> Vec<String> {
    let meant = match fault {
        ConfigError::UnknownKey { nearest, .. } => nearest.clone(),
        _ => None,
    };
    fault.key().map(str::to_owned).into_iter().chain(meant).collect()
}

/// Merges the layers, lowest first.
fn layers(overrides: &Overrides, schema: &Value, secrets: &mut Secrets, faults: &mut Faults) -> (Value, Vec<Source>) {
    let (mut merged, mut sources) = (Value::Object(Map::new()), Vec::new());
    if let Some(path) = find_file(overrides) {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        secrets.directory = directory.unwrap_or(Path::new(".")).to_owned();
        match read_toml(&path) {
            Ok(mut values) => {
                check::prune(&mut values, schema, "", faults);
                anchor(&mut values, &secrets.directory);
                overlay(&mut merged, values);
                sources.push(Source::File(path));
            }
            Err(fault) => faults.push(fault),
        }
        let dot_env = secrets.directory.join(".env");
        if !(overrides.not_from_here && is_here(&secrets.directory)) {
            match read_dot_env(&dot_env) {
                Ok(lines) => secrets.dot_env = lines,
                Err(fault) => faults.push(fault),
            }
        }
        for name in secrets.dot_env.names().filter(|name| name.starts_with(PREFIX)) {
            let text = secrets.dot_env.get(name).transpose().map_err(|why| ConfigError::value(name, why));
            let values = text.and_then(|text| from_variable(name, text.unwrap_or_default(), schema));
            if lay(&mut merged, values, faults) {
                sources.push(Source::DotEnv(dot_env.clone()));
            }
        }
    }
    let variables: BTreeMap<String, String> =
        env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))).collect();
    for (name, text) in &variables {
        if lay(&mut merged, from_variable(name, text, schema), faults) {
            sources.push(Source::Environment(name.clone()));
        }
    }
    for (key, text) in &overrides.keys {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if lay(&mut merged, typed(&path, text, schema, key).map(Some), faults) {
            sources.push(Source::Flag(key));
        }
    }
    (merged, sources)
}

/// Merges a layer; true if it had values.
fn lay(merged: &mut Value, values: Result<Option<Value>, ConfigError>, faults: &mut Faults) -> bool {
    match values {
        Ok(Some(values)) => {
            overlay(merged, values);
            return true;
        }
        Ok(None) => {}
        Err(fault) => faults.push(fault),
    }
    false
}

/// The named file, or the default one in the working directory.
fn find_file(overrides: &Overrides) -> Option<PathBuf> {
    let here = || Some(PathBuf::from(FILE)).filter(|path| !overrides.not_from_here && path.exists());
    overrides.file.clone().or_else(here)
}

/// Whether a path resolves to the working directory.
fn is_here(directory: &Path) -> bool {
    match (fs::canonicalize(directory), env::current_dir().and_then(fs::canonicalize)) {
        (Ok(directory), Ok(here)) => directory == here,
        _ => false,
    }
}

fn read_toml(path: &Path) -> Result<Value, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    toml::from_str(text).map_err(|error| ConfigError::toml(path, text, &error))
}

/// Resolves relative paths, defaults included, against the directory of the configuration file.
fn anchor(values: &mut Value, directory: &Path) {
    let connectors = match values.pointer("/connectors/directory") {
        None => Some(directory.join(CONNECTORS)).filter(|path| path.is_dir()),
        Some(Value::String(path)) => Some(directory.join(path)),
        Some(_) => None,
    };
    if let Some(path) = connectors {
        merge(values, wrap("connectors", wrap("directory", path.display().to_string().into())));
    }
    let path = match values.pointer("/store/path") {
        None => store::Options::default().path,
        Some(Value::String(path)) => PathBuf::from(path),
        // The schema check reports it.
        Some(_) => return,
    };
    let path = Value::String(directory.join(path).display().to_string());
    merge(values, wrap("store", wrap("path", path)));
}

fn read_dot_env(path: &Path) -> Result<DotEnv, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(DotEnv::read(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DotEnv::default()),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// Parses the value of `FRONTDESK__SECTION__KEY`, nested under its keys.
fn from_variable(name: &str, text: &str, schema: &Value) -> Result<Option<Value>, ConfigError> {
    let Some(keys) = name.strip_prefix(PREFIX) else { return Ok(None) };
    let path: Vec<String> = keys.split("__").map(str::to_lowercase).collect();
    typed(&path, text, schema, name).map(Some)
}

fn typed(path: &[String], text: &str, schema: &Value, origin: &str) -> Result<Value, ConfigError> {
    let Some((name, rest)) = path.split_first() else { return parse(text, schema, origin) };
    let member = schema
        .get("properties")
        .and_then(|all| all.get(name))
        .or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()));
    let value = match member {
        Some(member) => typed(rest, text, member, origin)?,
        // Kept as it is, so that the schema check reports it with the nearest known key.
        None => rest.iter().rev().fold(Value::String(text.to_owned()), |value, name| wrap(name, value)),
    };
    Ok(wrap(name, value))
}

fn wrap(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

/// Parses text by the schema's type. Anything but a string, integer, boolean or array of strings is written as in TOML.
fn parse(text: &str, schema: &Value, origin: &str) -> Result<Value, ConfigError> {
    let wrong = |what: &str| ConfigError::value(origin, format!("must be {what}"));
    let of_texts = || schema.pointer("/items/type").is_some_and(|name| name == "string");
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong("an integer")),
        Some("boolean") => text.trim().parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
        Some("array") if of_texts() && !text.trim_start().starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
        }
        Some("array" | "object") => toml::from_str::<Map<String, Value>>(&format!("value = {text}"))
            .ok()
            .and_then(|mut document| document.remove("value"))
            .ok_or_else(|| wrong("written as in TOML, on one line")),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// Merges a layer over the lower ones. A layer that sets `identity.customer` removes a lower layer's `identity.email`,
/// which was verified for another customer.
fn overlay(merged: &mut Value, values: Value) {
    if values.pointer("/identity/customer").is_some()
        && let Some(identity) = merged.get_mut("identity").and_then(Value::as_object_mut)
    {
        identity.remove("email");
    }
    merge(merged, values);
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
