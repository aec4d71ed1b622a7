//! The classes of types that the standard knows.

use std::fmt;

/// A class of types. Which physical types belong to it is the business of those who read data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogicalType {
    /// Text.
    String,
    /// A day; in v3.0 also a point in time.
    Date,
    /// A point in time.
    Timestamp,
    /// A time of day.
    Time,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// Named parts.
    Object,
    /// A list.
    Array,
    /// True or false.
    Boolean,
    /// Keys and values.
    Map,
    /// A list of numbers of fixed length.
    Vector,
}

/// All classes with their names.
const NAMES: [(LogicalType, &str); 11] = [
    (LogicalType::String, "string"),
    (LogicalType::Date, "date"),
    (LogicalType::Timestamp, "timestamp"),
    (LogicalType::Time, "time"),
    (LogicalType::Number, "number"),
    (LogicalType::Integer, "integer"),
    (LogicalType::Object, "object"),
    (LogicalType::Array, "array"),
    (LogicalType::Boolean, "boolean"),
    (LogicalType::Map, "map"),
    (LogicalType::Vector, "vector"),
];

impl LogicalType {
    /// The class called `name` in contracts.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(_, own)| *own == name)
            .map(|(class, _)| *class)
    }

    /// The names of all classes, for a message.
    pub(super) fn names() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }
}

impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES
            .iter()
            .find(|(class, _)| class == self)
            .map_or("", |(_, name)| *name);
        f.write_str(name)
    }
}
