//! The `authorization` of a call, read.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::metadata::MetadataMap;
use weft_governance::{Error, ErrorKind, code};
use zeroize::Zeroizing;

use crate::backend::Credentials;

/// Base64 as clients write it, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a call presents to say who makes it.
pub(crate) enum Presented {
    /// The bearer of a session that this server opened.
    Session(Zeroizing<String>),
    /// A signed token: three parts with dots between them.
    Token(Zeroizing<String>),
    /// A user name and a password.
    Basic {
        user: String,
        password: Zeroizing<String>,
    },
}

impl Presented {
    /// Reads the metadata of a call.
    ///
    /// # Errors
    /// `Unauthenticated` if there is no authorization or it is of no known form.
    pub(crate) fn read(metadata: &MetadataMap) -> Result<Self, Error> {
        let header = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .ok_or_else(sign_in_first)?;
        let (scheme, value) = header.trim().split_once(' ').ok_or_else(sign_in_first)?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let text = Zeroizing::new(value.to_owned());
            let is_token = value.split('.').count() == 3;
            return Ok(if is_token {
                Self::Token(text)
            } else {
                Self::Session(text)
            });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(sign_in_first());
        }
        let bytes = Zeroizing::new(BASE64.decode(value).map_err(|_| sign_in_first())?);
        let pair = std::str::from_utf8(&bytes).map_err(|_| sign_in_first())?;
        let (user, password) = pair.split_once(':').ok_or_else(sign_in_first)?;
        Ok(Self::Basic {
            user: user.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }

    /// Kind and text, for a digest; different credentials never have the same.
    pub(crate) fn parts(&self) -> [&str; 3] {
        match self {
            Self::Session(text) => ["session", text, ""],
            Self::Token(text) => ["token", text, ""],
            Self::Basic { user, password } => ["basic", user, password],
        }
    }

    /// The text that comes again with every call, except for a password.
    pub(crate) fn bearer(&self) -> Option<&str> {
        match self {
            Self::Session(text) | Self::Token(text) => Some(text),
            Self::Basic { .. } => None,
        }
    }

    /// What the backend verifies; nothing for the bearer of a session.
    pub(crate) fn into_credentials(self) -> Option<Credentials> {
        match self {
            Self::Session(_) => None,
            Self::Token(text) => Some(Credentials::Token(text)),
            Self::Basic { user, password } => Some(Credentials::Password { user, password }),
        }
    }
}

/// The answer to a call without a valid sign-in; the same for every reason.
pub(crate) fn sign_in_first() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "no valid sign-in came with the call",
    )
    .with_hint("Sign in with a user name and a password, or send a token of this server.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Option<Vec<String>> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", header.parse().expect("ascii"));
        let presented = Presented::read(&metadata).ok()?;
        Some(presented.parts().map(str::to_owned).to_vec())
    }

    #[test]
    fn every_form_of_authorization_is_told_apart() {
        assert_eq!(read("Bearer abc").expect("valid")[..2], ["session", "abc"]);
        assert_eq!(
            read("bearer a.b.c").expect("valid")[..2],
            ["token", "a.b.c"]
        );
        assert_eq!(
            read("Basic YTpiOmM=").expect("valid"),
            ["basic", "a", "b:c"]
        );
        assert_eq!(read("Basic YTpiOmM").expect("valid"), ["basic", "a", "b:c"]);
        for malformed in ["Bearer", "Basic %%%", "Basic YQ==", "Digest x", ""] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}
