//! How durations and sizes are written in settings.

/// Durations as `10s`, `2min`, `12h`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a duration.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// If the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text)
            .map_err(|_| D::Error::custom(format!("`{text}` is no duration such as `10s`")))
    }
}

/// Sizes as `64MiB`, `16KiB`, or a number of bytes.
pub mod size {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNITS: [(&str, usize); 4] = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("B", 1),
    ];

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(usize),
        Text(String),
    }

    /// Writes a size in its largest whole unit.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &usize, to: S) -> Result<S::Ok, S::Error> {
        let whole = UNITS
            .iter()
            .find(|(_, unit)| *value >= *unit && value.is_multiple_of(*unit));
        let (name, unit) = whole.unwrap_or(&("B", 1));
        to.collect_str(&format_args!("{}{name}", value / unit))
    }

    /// Reads a size.
    ///
    /// # Errors
    /// If the text is no size.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        match Written::deserialize(from)? {
            Written::Number(bytes) => Ok(bytes),
            Written::Text(text) => parse(&text)
                .ok_or_else(|| D::Error::custom(format!("`{text}` is no size such as `64MiB`"))),
        }
    }

    fn parse(text: &str) -> Option<usize> {
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .unwrap_or((text, 1));
        number.trim().parse::<usize>().ok()?.checked_mul(unit)
    }

    #[cfg(test)]
    mod tests {
        use super::parse;

        #[test]
        fn sizes_are_read_with_and_without_units() {
            assert_eq!(parse("64MiB"), Some(64 << 20));
            assert_eq!(parse("16 KiB"), Some(16 << 10));
            assert_eq!(parse("12"), Some(12));
            assert_eq!(parse("12MB"), None);
            assert_eq!(parse("99999999999GiB"), None);
        }
    }
}
