use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Claims that are accepted.
fn good() -> Value {
    let now = seconds(now());
    json!({
        "iss": ISSUER, "sub": "ann", "aud": SERVER, "iat": now, "exp": now + 60, "jti": "1",
        "groups": ["staff"], "attributes": {"region": "north"},
    })
}

proptest! {
    #[test]
    fn any_text_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        token(&bytes);
        let parts = bytes.chunks(100).map(|part| URL_SAFE_NO_PAD.encode(part));
        token(parts.collect::<Vec<_>>().join(".").as_bytes());
    }

    #[test]
    fn damaged_claims_are_refused_or_still_good(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = good().to_string().into_bytes();
        prop_assert!(claims(&bytes), "the control");
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        claims(&bytes);
    }

    #[test]
    fn times_are_refused_or_good(
        (issued, lives) in (0_u64..100_000, -100_000_i64..100_000),
        far in proptest::option::of(any::<u64>()),
    ) {
        let mut changed = good();
        let now = seconds(now());
        let issued = (now + 50_000) - issued;
        changed["iat"] = json!(issued);
        changed["exp"] = json!(far.unwrap_or(issued.saturating_add_signed(lives)));
        claims(changed.to_string().as_bytes());
    }
}

/// What they found once is not found again.
#[test]
fn all_that_fuzzers_keep_is_refused_or_good() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for target in ["tokens", "claims"] {
        for kept in std::fs::read_dir(corpus.join(target)).expect("a folder") {
            let kept = std::fs::read(kept.expect("a file").path()).expect("read");
            token(&kept);
            claims(&kept);
        }
    }
}

/// `WEFT_ACCEPT=1` writes them anew.
#[test]
fn fuzzers_begin_with_what_is_accepted() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, text) in [
        ("tokens/nobody", "e30.e30.AAAA".to_owned()),
        ("claims/ann", good().to_string()),
    ] {
        let seed = corpus.join(name);
        if std::env::var_os("WEFT_ACCEPT").is_some() {
            std::fs::create_dir_all(seed.parent().expect("a folder")).expect("a folder");
            std::fs::write(&seed, text).expect("written");
        }
        let kept =
            std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        token(&kept);
        assert_eq!(claims(&kept), name.starts_with("claims"), "{name}");
    }
}
