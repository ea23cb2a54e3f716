//! Loading: the file and the environment become one flat map of dotted keys.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::Path;

use config::{Config, Environment, File, FileFormat, Source, Value, ValueKind};
use serde_json::Value as Json;

use super::{ConfigMistakes, Fields};

/// Where a setting was found, to name it in a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The path of the file.
    File(String),
    /// The name of the environment variable.
    Environment(String),
}

/// One value and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Json,
    pub(super) origin: Origin,
}

/// Everything the file and the environment say, not yet given a meaning.
#[derive(Debug)]
pub struct Settings {
    pub(super) env_prefix: String,
    pub(super) by_key: BTreeMap<String, Setting>,
}

impl Settings {
    /// Reads the TOML `file`, if any, then the process environment, which wins.
    ///
    /// With the prefix `WALLET` the variable `WALLET_HTTP__BIND` is the key `http.bind`.
    ///
    /// # Errors
    /// The file is absent, unreadable or not TOML, or a variable is not Unicode.
    pub fn load(file: Option<&Path>, env_prefix: &str) -> Result<Self, ConfigMistakes> {
        Self::load_from(file, env_prefix, std::env::vars_os())
    }

    /// As [`Settings::load`], with the given environment variables in place of the process's own.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_from(
        file: Option<&Path>,
        env_prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigMistakes> {
        let variables = own_variables(env_prefix, variables)?;
        let mut sources = Config::builder();
        if let Some(path) = file {
            sources = sources.add_source(read_file(path)?);
        }
        let environment =
            Environment::with_prefix(env_prefix).prefix_separator("_").separator("__").source(Some(variables));
        let merged = sources.add_source(environment).build();
        let root = merged
            .and_then(|config| config.collect())
            .map_err(|error| ConfigMistakes::one("environment", error.to_string()))?;
        let mut settings = Self { env_prefix: env_prefix.to_owned(), by_key: BTreeMap::new() };
        let file_name = file.map(|path| path.display().to_string());
        for (key, value) in root {
            settings.flatten(key, value, file_name.as_deref());
        }
        Ok(settings)
    }

    /// Reads a configuration with `read`, which asks [`Fields`] for what it needs.
    ///
    /// # Errors
    /// All mistakes together: those `read` came upon, and every key that it did not ask for.
    pub fn read<T>(self, read: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T, ConfigMistakes> {
        let mut fields = Fields::new(self);
        let found = read(&mut fields);
        fields.finish(found)
    }

    /// The environment variable that sets `key`.
    pub(super) fn variable(&self, key: &str) -> String {
        format!("{}_{}", self.env_prefix, key.replace('.', "__").to_uppercase())
    }

    fn flatten(&mut self, key: String, value: Value, file: Option<&str>) {
        let from_environment = value.origin() == Some(ENVIRONMENT_ORIGIN);
        match value.kind {
            ValueKind::Table(table) => {
                for (name, value) in table {
                    self.flatten(format!("{key}.{name}"), value, file);
                }
            }
            kind => {
                let origin = match file {
                    Some(file) if !from_environment => Origin::File(file.to_owned()),
                    _ => Origin::Environment(self.variable(&key)),
                };
                self.by_key.insert(key, Setting { value: json(kind), origin });
            }
        }
    }
}

/// What the `config` crate calls its environment source.
const ENVIRONMENT_ORIGIN: &str = "the environment";

/// Takes the variables with our prefix; one that is not Unicode would otherwise be silently ignored.
fn own_variables(
    prefix: &str,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, ConfigMistakes> {
    let prefix = format!("{prefix}_");
    let mut own = HashMap::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(&prefix)) else { continue };
        let Ok(value) = value.into_string() else {
            return Err(ConfigMistakes::one(name, "must be Unicode text"));
        };
        own.insert(name.to_owned(), value);
    }
    Ok(own)
}

/// Parses the file by itself, so that its mistakes are told apart from those of the environment.
fn read_file(path: &Path) -> Result<Config, ConfigMistakes> {
    if !path.is_file() {
        return Err(ConfigMistakes::one(path.display().to_string(), "no such file"));
    }
    Config::builder()
        .add_source(File::from(path).format(FileFormat::Toml))
        .build()
        .map_err(|error| ConfigMistakes::one(path.display().to_string(), error.to_string()))
}

/// JSON's own deserialization is strict about types and ranges, where `config`'s truncates integers.
fn json(kind: ValueKind) -> Json {
    match kind {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(value) => value.into(),
        ValueKind::U64(value) => value.into(),
        ValueKind::I128(value) => value.to_string().into(),
        ValueKind::U128(value) => value.to_string().into(),
        ValueKind::Float(value) => value.into(),
        ValueKind::String(value) => value.into(),
        ValueKind::Table(table) => table.into_iter().map(|(name, value)| (name, json(value.kind))).collect(),
        ValueKind::Array(items) => items.into_iter().map(|item| json(item.kind)).collect(),
    }
}
