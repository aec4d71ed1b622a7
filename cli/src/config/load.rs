//! Reads settings and says where each came from.

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};
use serde::Serialize;
use serde::de::DeserializeOwned;
use weft_governance::{Error, ErrorKind, code};

use super::keys::Keys;

/// Settings, with what is needed to explain them.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    /// The settings.
    pub(crate) settings: T,
    figment: Figment,
    keys: Vec<(&'static str, &'static str)>,
}

/// Where a value comes from, later ones over earlier ones.
const DEFAULT: &str = "default";
const FLAG: &str = "flag";

/// Reads `file`, the environment and `flags` over the defaults.
///
/// # Errors
/// `WEFT-SETTINGS`, naming the key and where it was set.
pub(crate) fn load<T: Serialize + DeserializeOwned + Default>(
    file: Option<&Path>,
    flags: &BTreeMap<String, String>,
    known: &[Keys],
) -> Result<Loaded<T>, Error> {
    let mut figment = Figment::from(Serialized::defaults(T::default()));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(wrong(format!(
                "there is no settings file `{}`",
                file.display()
            )));
        }
        check_keys(&Toml::file(file), known, &format!("`{}`", file.display()))?;
        figment = figment.merge(Toml::file(file));
    }
    let environment = Env::prefixed("WEFT_")
        .filter(|key| key.as_str().contains("__"))
        .split("__");
    check_keys(&environment, known, "the environment")?;
    figment = figment.merge(environment);
    for (key, value) in flags {
        let value: Value = value.parse().unwrap_or_else(|never| match never {});
        figment = figment.merge(Serialized::default(key, value));
    }
    let settings = figment.extract().map_err(|error| explain(&error))?;
    let keys = known
        .iter()
        .flat_map(|keys| keys.0.iter().copied())
        .collect();
    Ok(Loaded {
        settings,
        figment,
        keys,
    })
}

/// One setting, as people see it.
pub(crate) struct Explained {
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) source: &'static str,
    pub(crate) meaning: &'static str,
}

impl<T> Loaded<T> {
    /// Every key with its value, its source and its explanation, as a TOML file that would set the
    /// same.
    pub(crate) fn explain(&self) -> String {
        let mut text = String::new();
        for Explained {
            name,
            value,
            source,
            meaning,
        } in self.explained()
        {
            let line = match value {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} is not set"),
            };
            text.push_str(&format!("# {meaning} ({source})\n{line}\n\n"));
        }
        text
    }

    /// Every key with its value, its source and its explanation.
    pub(crate) fn explained(&self) -> impl Iterator<Item = Explained> {
        self.keys.iter().map(|(key, meaning)| {
            let value = self.figment.find_value(key).ok();
            let source = value
                .as_ref()
                .and_then(|value| self.figment.get_metadata(value.tag()));
            let source = match source {
                Some(metadata) if metadata.name.contains("TOML") => "file",
                Some(metadata) if metadata.name.contains("environment") => "environment",
                // Serialized values are named after their type: a flag is a single value.
                Some(metadata) if metadata.name == std::any::type_name::<Value>() => FLAG,
                Some(_) | None => DEFAULT,
            };
            Explained {
                name: key,
                value: value.as_ref().and_then(toml_text),
                source,
                meaning,
            }
        })
    }
}

/// Refuses keys that nobody knows, naming the nearest one that somebody does.
fn check_keys(provider: &impl Provider, known: &[Keys], place: &str) -> Result<(), Error> {
    let data = provider.data().map_err(|error| explain(&error))?;
    let Some(dict) = data.get(&Profile::Default) else {
        return Ok(());
    };
    let mut flat = Vec::new();
    flatten("", dict, &mut flat);
    for key in flat {
        if known.iter().any(|keys| keys.knows(&key)) {
            continue;
        }
        let nearest = known
            .iter()
            .filter_map(|keys| keys.nearest(&key))
            .min_by_key(|nearest| strsim::damerau_levenshtein(nearest, &key));
        let error = wrong(format!("{place} sets `{key}`, which is no setting"));
        return Err(match nearest {
            Some(nearest) => error.with_hint(format!(
                "The nearest setting is `{nearest}`; `--print-config` explains all."
            )),
            None => error,
        });
    }
    Ok(())
}

fn flatten(prefix: &str, dict: &Dict, out: &mut Vec<String>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Dict(_, inner) => flatten(&key, inner, out),
            _ => out.push(key),
        }
    }
}

fn toml_text(value: &Value) -> Option<String> {
    let json = serde_json::to_value(value).ok()?;
    match &json {
        serde_json::Value::Null => None,
        serde_json::Value::Object(entries) => {
            let entry = |(key, value): (&String, &serde_json::Value)| format!("{key:?} = {value}");
            let entries: Vec<String> = entries.iter().map(entry).collect();
            (!entries.is_empty()).then(|| format!("{{ {} }}", entries.join(", ")))
        }
        json => Some(json.to_string()),
    }
}

fn explain(error: &figment::Error) -> Error {
    let key = error.path.join(".");
    let place = error
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.source.as_ref())
        .map(|source| format!(" in {source}"))
        .unwrap_or_default();
    let at = if key.is_empty() {
        String::new()
    } else {
        format!("setting `{key}`: ")
    };
    wrong(format!("{at}{}{place}", error.kind)).with_hint("`--print-config` explains all settings.")
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::NodeConfig;

    #[test]
    fn each_setting_says_where_its_value_comes_from() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("node.toml");
        fs::write(&file, "[node]\ndomain = \"sales\"\ndata = \"here\"\n").expect("written");
        let flags = BTreeMap::from([("node.data".to_owned(), "there".to_owned())]);
        let loaded = load::<NodeConfig>(Some(&file), &flags, &NodeConfig::KEYS).expect("settings");
        let text = loaded.explain();
        for (line, source) in [
            ("node.domain = \"sales\"", "(file)"),
            ("node.data = \"there\"", "(flag)"),
            ("node.state = \"weft-node\"", "(default)"),
        ] {
            let said = text.split("\n\n").find(|entry| entry.ends_with(line));
            let said = said.unwrap_or_else(|| panic!("{line} in\n{text}"));
            assert!(said.contains(source), "{said}");
        }
    }
}
