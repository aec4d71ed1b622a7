//! The versions of the standard that are read.

use std::fmt;

use super::fault::Faults;
use super::fields::Fields;

/// What a message says about versions.
const SUPPORTED: &str = "v3.0.x, v3.1.0 and v3.2.0";

/// A version of the Open Data Contract Standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApiVersion {
    /// v3.0.0, v3.0.1, …
    V3_0,
    /// v3.1.0
    V3_1,
    /// v3.2.0
    V3_2,
}

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "v3.1.0" => Some(Self::V3_1),
            "v3.2.0" => Some(Self::V3_2),
            _ => {
                let patch = text.strip_prefix("v3.0.")?;
                let digits = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
                digits.then_some(Self::V3_0)
            }
        }
    }

    pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Option<Self> {
        let text = fields.required_text("apiVersion", faults)?;
        let version = Self::parse(&text);
        if version.is_none() {
            let message = format!("`apiVersion` `{text}` is not supported; {SUPPORTED} are");
            faults.add(fields.at_of("apiVersion"), message);
        }
        version
    }

    pub(super) fn requires_status(self) -> bool {
        match self {
            Self::V3_0 | Self::V3_1 => true,
            Self::V3_2 => false,
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_0 => "v3.0",
            Self::V3_1 => "v3.1",
            Self::V3_2 => "v3.2",
        })
    }
}
