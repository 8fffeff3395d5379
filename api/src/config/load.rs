//! Putting the sources together, and errors that name the setting and where its value came from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format as _, Serialized, Toml},
    value::{Dict, Map, Tag, Value},
};

use super::{Config, HIDDEN_KEYS, check::check, show::shown};

/// Looked for in the working folder when no file is named.
const FILE: &str = "annals.toml";
const PREFIX: &str = "ANNALS_";
/// Variables that start like settings and belong to the scripts and the tests.
const NOT_SETTINGS: [&str; 6] =
    ["ANNALS_CONFIG", "ANNALS_PROFILE", "ANNALS_MAVEN_URL", "ANNALS_TEST_", "ANNALS_PARTS_", "ANNALS_BENCH_"];

/// Variables that other programs give the same name.
const COMMON_NAMES: [(&str, &str); 6] = [
    ("DATABASE_URL", "database.url"),
    ("KAFKA_BROKERS", "kafka.brokers"),
    ("GOOGLE_CLIENT_ID", "auth.google_client_id"),
    ("GOOGLE_CLIENT_SECRET", "auth.google_client_secret"),
    ("SMTP_URL", "mail.smtp_url"),
    ("RESEND_API_KEY", "mail.resend_api_key"),
];

const SOURCE_DEFAULT: &str = "default";
const SOURCE_ENVIRONMENT: &str = "environment";
const SOURCE_FLAGS: &str = "command line";

/// Why the configuration does not hold; every message names a setting and its source.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    #[error("the configuration file {} can't be read: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// What the command line said: setting → value as text (`http.workers` → `2`).
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub settings: Vec<(String, String)>,
}

/// The configuration, and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// By their keys.
    pub settings: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub source: String,
}

/// Reads flags, the environment (`environment` is every variable) and the file.
///
/// # Errors
/// All that is wrong at once: unknown keys, wrong types, values out of bounds.
pub fn load(
    flags: &Flags,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let environment: BTreeMap<String, String> = environment.into_iter().collect();
    let defaults = defaults();
    let mut wrong = Vec::new();
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(path) = file(flags, &environment)? {
        figment = figment.merge(Toml::string(&read(&path)?));
        // A file's mistakes are told by their own, with the file's name instead of its text's.
        wrong.extend(unknown_keys(&path, &defaults)?);
        if !wrong.is_empty() {
            return Err(ConfigError::Invalid(wrong));
        }
        return finish(figment, Some(path), flags, &environment, &defaults);
    }
    finish(figment, None, flags, &environment, &defaults)
}

fn finish(
    figment: Figment,
    path: Option<PathBuf>,
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    defaults: &BTreeMap<String, Value>,
) -> Result<Loaded, ConfigError> {
    let file_name = path.map_or_else(|| FILE.to_string(), |path| path.display().to_string());
    let mut wrong = Vec::new();
    let from_environment = environment_settings(environment, defaults, &mut wrong);
    let from_flags = flag_settings(flags, defaults, &mut wrong);
    let figment = figment
        .merge(Texts { source: SOURCE_ENVIRONMENT, settings: from_environment, defaults })
        .merge(Texts { source: SOURCE_FLAGS, settings: from_flags, defaults });
    let source = |key: &str| match found_in(&figment, key) {
        Some(SOURCE_ENVIRONMENT) => environment_name_set(key, environment),
        Some(SOURCE_FLAGS) => SOURCE_FLAGS.to_string(),
        Some(name) if name.contains("TOML") => file_name.clone(),
        _ => SOURCE_DEFAULT.to_string(),
    };
    if !wrong.is_empty() {
        return Err(ConfigError::Invalid(wrong));
    }
    let config: Config = figment.extract().map_err(|errors| {
        ConfigError::Invalid(errors.into_iter().map(|error| describe(&error, &source)).collect())
    })?;
    check(&config, &source)?;
    let settings = defaults
        .keys()
        .map(|key| {
            let value = figment.find_value(key).unwrap_or_else(|_| Value::from(""));
            Setting { key: key.clone(), value: shown(key, &value), source: source(key) }
        })
        .collect();
    Ok(Loaded { config, settings })
}

/// Who gave a setting, or the list that it is part of.
fn found_in<'f>(figment: &'f Figment, key: &str) -> Option<&'f str> {
    let mut key = key;
    loop {
        if let Some(metadata) = figment.find_metadata(key) {
            return Some(metadata.name.as_ref());
        }
        key = key.rsplit_once('.')?.0;
    }
}

fn file(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(path) = &flags.config {
        return Ok(Some(path.clone()));
    }
    if let Some(path) = environment.get("ANNALS_CONFIG") {
        return Ok(Some(PathBuf::from(path)));
    }
    Ok(Some(PathBuf::from(FILE)).filter(|path| path.is_file()))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_path_buf(), source })
}

/// Every setting with its default, by its dotted key.
pub(super) fn defaults() -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    if let Ok(value) = Value::serialize(Config::default())
        && let Some(dict) = value.into_dict()
    {
        collect("", dict, &mut leaves);
    }
    leaves
}

fn collect(prefix: &str, dict: Dict, leaves: &mut BTreeMap<String, Value>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, dict) => collect(&key, dict, leaves),
            leaf => {
                leaves.insert(key, leaf);
            }
        }
    }
}

/// `http.workers` → `ANNALS_HTTP_WORKERS`.
pub(super) fn environment_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The variable that gave a setting its value.
fn environment_name_set(key: &str, environment: &BTreeMap<String, String>) -> String {
    let own = environment_name(key);
    let common = COMMON_NAMES.iter().find(|(_, of)| *of == key).map(|(name, _)| (*name).to_string());
    common.filter(|_| !environment.contains_key(&own)).unwrap_or(own)
}

fn environment_settings(
    environment: &BTreeMap<String, String>,
    defaults: &BTreeMap<String, Value>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let by_name: BTreeMap<String, &String> =
        defaults.keys().map(|key| (environment_name(key), key)).collect();
    let mut settings = BTreeMap::new();
    for (name, key) in COMMON_NAMES {
        if let Some(value) = environment.get(name).filter(|value| !value.is_empty()) {
            settings.insert(key.to_string(), value.clone());
        }
    }
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        if NOT_SETTINGS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        match by_name.get(name) {
            // Compose files pass what is not set as an empty text.
            Some(_) if value.is_empty() => {}
            Some(key) => {
                settings.insert((*key).clone(), value.clone());
            }
            None => wrong
                .push(format!("{name} (environment): there is no such setting; annals config lists them")),
        }
    }
    settings
}

fn flag_settings(
    flags: &Flags,
    defaults: &BTreeMap<String, Value>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (key, value) in &flags.settings {
        if defaults.contains_key(key) {
            settings.insert(key.clone(), value.clone());
        } else {
            wrong.push(format!("{key} ({SOURCE_FLAGS}): there is no such setting; annals config lists them"));
        }
    }
    settings
}

/// Keys of the file that are no settings, each by its full name.
fn unknown_keys(path: &Path, defaults: &BTreeMap<String, Value>) -> Result<Vec<String>, ConfigError> {
    let text = read(path)?;
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            return Ok(vec![format!("{}: {}", path.display(), error.to_string().trim())]);
        }
    };
    let mut keys = Vec::new();
    dotted("", &table, &mut keys);
    let is_known = |key: &String| {
        defaults.contains_key(key) || defaults.keys().any(|known| known.starts_with(&format!("{key}.")))
    };
    Ok(keys
        .into_iter()
        .filter(|key| !is_known(key))
        .map(|key| format!("{key} ({}): there is no such setting; annals config lists them", path.display()))
        .collect())
}

fn dotted(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(table) => dotted(&key, table, keys),
            _ => keys.push(key),
        }
    }
}

/// Settings that were given as text, with the type that their default has.
struct Texts<'a> {
    source: &'static str,
    settings: BTreeMap<String, String>,
    defaults: &'a BTreeMap<String, Value>,
}

impl Provider for Texts<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (key, text) in &self.settings {
            let value = typed(text, self.defaults.get(key));
            let nested = figment::util::nest(key, value);
            if let Some(dict) = nested.into_dict() {
                merge(&mut root, dict);
            }
        }
        Ok(Map::from([(Profile::Default, root)]))
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Dict(_, into)), Value::Dict(_, from)) => merge(into, from),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

/// A text as its setting's type; a text that does not fit stays one, and extraction refuses it.
fn typed(text: &str, default: Option<&Value>) -> Value {
    match default {
        Some(Value::Num(..)) => text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
        Some(Value::Bool(..)) => match text {
            "true" | "on" | "yes" | "1" => Value::from(true),
            "false" | "off" | "no" | "0" => Value::from(false),
            _ => Value::from(text),
        },
        // A list of tables does not fit between commas: it is written as JSON.
        Some(Value::Array(..)) if text.trim_start().starts_with('[') => {
            let json = serde_json::from_str::<serde_json::Value>(text).ok();
            json.and_then(|json| Value::serialize(json).ok()).unwrap_or_else(|| Value::from(text))
        }
        Some(Value::Array(..)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(Tag::Default, items.map(Value::from).collect())
        }
        _ => Value::from(text),
    }
}

/// One error in words: setting, source, what was wanted and what was given (unless it is hidden).
fn describe(error: &figment::Error, source: &impl Fn(&str) -> String) -> String {
    // A list's element has its number as the last part of the path.
    let parts: Vec<&str> =
        error.path.iter().map(String::as_str).filter(|part| part.parse::<usize>().is_err()).collect();
    let key = parts.join(".");
    let hidden = HIDDEN_KEYS.contains(&key.as_str()) || key.ends_with("client_secret");
    let what = match &error.kind {
        Kind::InvalidType(given, wanted) if hidden => format!("must be {wanted}, not {}", kind_of(given)),
        Kind::InvalidType(given, wanted) => format!("must be {wanted}, not {given}"),
        Kind::InvalidValue(given, wanted) if !hidden => format!("must be {wanted}, not {given}"),
        Kind::UnknownVariant(given, wanted) => format!("must be one of {}, not {given}", wanted.join(", ")),
        Kind::UnknownField(field, _) => format!("{field} is no such setting"),
        Kind::Message(message) if !hidden => message.clone(),
        _ if hidden => "the value does not fit".to_string(),
        kind => kind.to_string(),
    };
    format!("{key} ({}): {what}", source(&key))
}

fn kind_of(actual: &figment::error::Actual) -> &'static str {
    use figment::error::Actual;
    match actual {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "that",
    }
}
