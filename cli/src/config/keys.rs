//! The known keys of a role, with what they mean.

/// Each key with its explanation, in the order in which they are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys(pub(crate) &'static [(&'static str, &'static str)]);

impl Keys {
    /// Whether `key`, or a part of what it names, is known. Entries of lists and maps have no keys
    /// of their own here; their types refuse what they do not know.
    pub(crate) fn knows(self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| {
            key == *known
                || key
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.starts_with('.'))
                || known
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// The known key that looks most like `key`.
    pub(crate) fn nearest(self, key: &str) -> Option<&'static str> {
        self.0
            .iter()
            .map(|(known, _)| *known)
            .min_by_key(|known| strsim::damerau_levenshtein(known, key))
    }
}

/// Keys of connections and sessions, the same for every server.
pub(crate) const DOOR: [(&str, &str); 18] = [
    (
        "door.connections",
        "Connections at a time; a further one takes the place of the oldest without a sign-in, or is closed.",
    ),
    ("door.streams", "Calls at a time on one connection."),
    (
        "door.handshake",
        "Time for a connection to say its first words.",
    ),
    ("door.message", "Bytes of one message from a client."),
    (
        "door.control",
        "Bytes of one call that brings no rows: a statement, a ticket, an action.",
    ),
    (
        "door.incoming",
        "Bytes that all calls together may have sent before they are answered.",
    ),
    ("door.headers", "Bytes of the headers of one call."),
    (
        "door.keepalive",
        "Silence after which a connection is asked whether it is still there.",
    ),
    ("door.sessions", "Sessions at a time."),
    (
        "door.sessions_per_principal",
        "Sessions of one principal; the longest idle makes room.",
    ),
    (
        "door.prepared",
        "Prepared statements of one session that are kept at hand; further ones are prepared anew when they are used.",
    ),
    (
        "door.prepared_lifetime",
        "How long a prepared statement is kept at hand without use.",
    ),
    (
        "door.results",
        "Results of one session that may be fetched.",
    ),
    ("door.result_lifetime", "How long a result may be fetched."),
    ("door.statement", "Bytes of a statement."),
    ("door.command_result", "Bytes of the result of a command."),
    (
        "door.kept",
        "Bytes of the statements, bound values and results of commands that are kept; the longest idle make room.",
    ),
    (
        "door.drain",
        "Time that running calls have when the server stops.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        let keys = Keys(&[("node.listen", ""), ("node.data", ""), ("grants", "")]);
        assert!(keys.knows("node") && keys.knows("node.listen") && keys.knows("grants.0.user"));
        assert!(!keys.knows("node.lisen") && !keys.knows("nodes"));
        assert_eq!(keys.nearest("node.lisen"), Some("node.listen"));
    }

    #[test]
    fn every_setting_of_the_door_is_explained() {
        let value = serde_json::to_value(weft_door::Limits::default()).expect("serializable");
        let fields: Vec<String> = value
            .as_object()
            .expect("fields")
            .keys()
            .map(|key| format!("door.{key}"))
            .collect();
        for field in &fields {
            assert!(DOOR.iter().any(|(key, _)| key == field), "{field}");
        }
        assert_eq!(fields.len(), DOOR.len());
    }
}
