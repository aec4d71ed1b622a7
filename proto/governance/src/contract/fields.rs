//! The entries of a map, read by name and type.

use super::fault::{At, Faults};
use super::node::{Key, Node, Value};

/// A map that is being read. An entry that is null counts as absent.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) at: At,
    what: String,
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// The entries of `node`, which is called `what` in faults.
    pub(crate) fn of(node: &'a Node, what: impl Into<String>, faults: &mut Faults) -> Option<Self> {
        let what = what.into();
        match &node.value {
            Value::Map(entries) => Some(Self {
                at: node.at,
                what,
                entries,
            }),
            other => {
                faults.add(
                    node.at,
                    format!("{what} must be a map, but is {}", called(other)),
                );
                None
            }
        }
    }

    /// What the map is called from here on.
    pub(crate) fn call(&mut self, what: impl Into<String>) {
        self.what = what.into();
    }

    /// Refuses entries that are not among `known`, and those that say nothing.
    pub(crate) fn only(&self, known: &[&str], faults: &mut Faults) {
        for (key, value) in self.entries {
            let (text, what) = (&key.text, &self.what);
            if !known.contains(&text.as_str()) {
                let all = known.join("`, `");
                faults.add(
                    key.at,
                    format!("{what} has no field `{text}`; it has `{all}`"),
                );
            } else if value.value == Value::Null {
                faults.add(
                    key.at,
                    format!("`{text}` of {what} is empty; give it a value or leave it out"),
                );
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(key, value)| key.text == name && value.value != Value::Null)
            .map(|(_, value)| value)
    }

    /// Where the value of `name` stands, or the map if it has none.
    pub(crate) fn at_of(&self, name: &str) -> At {
        self.get(name).map_or(self.at, |node| node.at)
    }

    pub(crate) fn text(&self, name: &str, faults: &mut Faults) -> Option<String> {
        let node = self.get(name)?;
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            other => {
                let hint = match other {
                    Value::Integer(_) | Value::Float(_) | Value::Bool(_) => "; put it in quotes",
                    _ => "",
                };
                self.wrong(name, "text", node, hint, faults);
                None
            }
        }
    }

    /// Text that has to be there and has to say something.
    pub(crate) fn required_text(&self, name: &str, faults: &mut Faults) -> Option<String> {
        if self.get(name).is_none() {
            self.missing(name, faults);
        }
        let text = self.text(name, faults)?;
        if text.trim().is_empty() {
            faults.add(
                self.at_of(name),
                format!("`{name}` of {} is empty", self.what),
            );
            return None;
        }
        Some(text)
    }

    pub(crate) fn flag(&self, name: &str, faults: &mut Faults) -> bool {
        let Some(node) = self.get(name) else {
            return false;
        };
        node.as_bool().unwrap_or_else(|| {
            self.wrong(name, "true or false", node, "", faults);
            false
        })
    }

    pub(crate) fn list(&self, name: &str, faults: &mut Faults) -> &'a [Node] {
        let Some(node) = self.get(name) else {
            return &[];
        };
        match &node.value {
            Value::List(items) => items,
            _ => {
                self.wrong(name, "a list", node, "", faults);
                &[]
            }
        }
    }

    pub(crate) fn texts(&self, name: &str, faults: &mut Faults) -> Vec<String> {
        let mut texts = Vec::new();
        for item in self.list(name, faults) {
            match item.as_text() {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let found = called(&item.value);
                    let message = format!(
                        "`{name}` of {} must hold text, but holds {found}",
                        self.what
                    );
                    faults.add(item.at, message);
                }
            }
        }
        texts
    }

    /// What `read` makes of each item of the list `name`.
    pub(crate) fn each<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        mut read: impl FnMut(&'a Node, &mut Faults) -> Option<T>,
    ) -> Vec<T> {
        self.list(name, faults)
            .iter()
            .filter_map(|item| read(item, faults))
            .collect()
    }

    /// The map `name`, which is called `what` in faults.
    pub(crate) fn map(&self, name: &str, what: &str, faults: &mut Faults) -> Option<Fields<'a>> {
        Fields::of(self.get(name)?, what, faults)
    }

    pub(crate) fn missing(&self, name: &str, faults: &mut Faults) {
        faults.add(self.at, format!("`{name}` of {} is missing", self.what));
    }

    fn wrong(&self, name: &str, expected: &str, found: &Node, hint: &str, faults: &mut Faults) {
        let found_name = called(&found.value);
        let what = &self.what;
        let message = format!("`{name}` of {what} must be {expected}, but is {found_name}{hint}");
        faults.add(found.at, message);
    }
}

/// How a value is named in a message.
pub(crate) fn called(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}
