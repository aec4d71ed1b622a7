//! Tokens that were changed in every way that a thief could think of: all are refused, with one text.

use super::*;

const MUTATIONS: usize = 20_000;
const ALGORITHMS: [&str; 9] = [
    "none", "None", "HS256", "HS384", "RS256", "PS256", "ES384", "EdDSA", "",
];

/// A sequence of numbers that its seed determines (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).expect("small")
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What tokens are made of and changed with.
struct Forge {
    signer: UserTokenSigner,
    stranger: UserTokenSigner,
    now: SystemTime,
    /// Valid tokens for several people, here and elsewhere.
    tokens: Vec<String>,
}

impl Forge {
    fn new() -> Self {
        let (signer, stranger, now) = (signer(), signer(), SystemTime::now());
        let mut tokens = Vec::new();
        for name in ["ann", "bob", "a-much-longer-name"] {
            for audience in ["node/sales/s1", "node/crm/s1", "coordinator/main"] {
                let principal = Principal {
                    subject: name.to_owned(),
                    ..ann()
                };
                let signed = signer.sign(&principal, &server(audience), None, now, MINUTE);
                tokens.push(signed.expect("signed").text);
            }
        }
        Self {
            signer,
            stranger,
            now,
            tokens,
        }
    }

    /// A token that is not valid at `node/sales/s1`, and what was done to it.
    fn mutated(&self, dice: &mut Dice) -> (&'static str, String) {
        let text = self.tokens[0].clone();
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        match dice.below(13) {
            0 => ("a bit of the text", flipped(dice, &text)),
            1 | 2 => ("a bit of a part", flipped_part(dice, &parts)),
            3 => ("cut", text[..dice.below(text.len())].to_owned()),
            4 => ("a piece left out", {
                let from = dice.below(text.len());
                let to = from + 1 + dice.below(text.len() - from);
                text[..from].to_owned() + &text[to..]
            }),
            5 => ("something put in", {
                let mut longer = text.clone();
                let letter = *dice.pick(&['.', 'A', 'e', '=', '-', '_', ' ', '\n', '\0', 'é']);
                longer.insert(dice.below(text.len() + 1), letter);
                longer
            }),
            6 => ("parts of several tokens", self.spliced(dice)),
            7 => ("another algorithm", self.with_algorithm(dice, &parts)),
            8 => ("another key id", {
                let kids = [
                    kid(&self.stranger),
                    String::new(),
                    "../key".to_owned(),
                    "0".repeat(43),
                ];
                let header =
                    json!({"typ": "weft-user+jwt", "alg": "ES256", "kid": dice.pick(&kids)});
                format!("{}.{}.{}", part(&header), parts[1], parts[2])
            }),
            9 => ("a stranger's signature", {
                let mut header = Header::new(Algorithm::ES256);
                header.typ = Some("weft-user+jwt".to_owned());
                header.kid = Some(kid([&self.signer, &self.stranger][dice.below(2)]));
                let key = EncodingKey::from_ec_pem(self.stranger.to_pem().as_bytes());
                jsonwebtoken::encode(&header, &claims(self.now), &key.expect("key"))
                    .expect("signed")
            }),
            10 => ("another audience", {
                let elsewhere = self.tokens.iter().enumerate();
                let elsewhere = elsewhere.filter(|(at, _)| at % 3 != 0).map(|(_, it)| it);
                let elsewhere: Vec<&String> = elsewhere.collect();
                (*dice.pick(&elsewhere)).clone()
            }),
            11 => ("other claims under the right key", self.with_claims(dice)),
            _ => ("another signature", {
                let mut signature = vec![0; *dice.pick(&[0, 1, 32, 63, 64, 64, 64, 65, 72])];
                let fill = *dice.pick(&[0_u8, 0, 1, 0xff]);
                signature.fill(fill);
                format!(
                    "{}.{}.{}",
                    parts[0],
                    parts[1],
                    URL_SAFE_NO_PAD.encode(signature)
                )
            }),
        }
    }

    /// Parts of tokens that do not belong together.
    fn spliced(&self, dice: &mut Dice) -> String {
        loop {
            let [claims, signature] = [(); 2].map(|()| dice.below(self.tokens.len()));
            if claims != signature {
                let parts = |at: usize| self.tokens[at].split('.').collect::<Vec<_>>();
                let header = parts(0)[0].to_owned();
                return format!("{header}.{}.{}", parts(claims)[1], parts(signature)[2]);
            }
        }
    }

    /// A header that asks to be verified otherwise.
    fn with_algorithm(&self, dice: &mut Dice, parts: &[String]) -> String {
        let header = json!({
            "typ": "weft-user+jwt", "alg": dice.pick(&ALGORITHMS), "kid": kid(&self.signer),
        });
        let signed = format!("{}.{}", part(&header), parts[1]);
        let secret = self.signer.jwks();
        let signature = match dice.below(3) {
            0 => String::new(),
            1 => parts[2].clone(),
            _ => {
                let key = EncodingKey::from_secret(secret.as_bytes());
                let signed = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256);
                signed.expect("signed")
            }
        };
        format!("{signed}.{signature}")
    }

    /// What the authority would never sign, or signed for another time, server or use.
    fn with_claims(&self, dice: &mut Dice) -> String {
        let mut changed = claims(self.now);
        let at = seconds(self.now);
        let (name, value) = dice
            .pick(&[
                ("iss", json!("other")),
                ("iss", json!(["mesh"])),
                ("aud", json!("node/sales/s2")),
                ("aud", json!(["node/sales/s1"])),
                ("aud", json!("")),
                ("exp", json!(at - 60)),
                ("exp", json!("never")),
                ("exp", json!(-1)),
                ("exp", json!(at + (1 << 40))),
                ("iat", json!(at + 3_600)),
                ("sub", Value::Null),
                ("groups", json!("staff")),
                ("attributes", json!([])),
                ("cnf", json!({"x5t#S256": "other"})),
                ("cnf", json!({})),
            ])
            .clone();
        changed[name] = value;
        forge(&self.signer, "weft-user+jwt", &changed)
    }
}

/// `text` with one bit of its bytes changed, as far as it stays a text.
fn flipped(dice: &mut Dice, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = dice.below(bytes.len());
    bytes[at] ^= 1 << dice.below(7);
    String::from_utf8(bytes).expect("ASCII")
}

/// A token with one bit of what a part encodes changed.
fn flipped_part(dice: &mut Dice, parts: &[String]) -> String {
    let mut parts = parts.to_vec();
    let which = dice.below(3);
    let mut bytes = URL_SAFE_NO_PAD.decode(&parts[which]).expect("base64");
    let at = dice.below(bytes.len());
    bytes[at] ^= 1 << dice.below(8);
    parts[which] = URL_SAFE_NO_PAD.encode(bytes);
    parts.join(".")
}

#[test]
fn every_changed_token_is_refused_with_one_text() {
    let forge = Forge::new();
    let verifier = verifier(&forge.signer, "node/sales/s1");
    let mut dice = Dice(1);
    let original = verifier.verify(&forge.tokens[0], None, forge.now);
    assert!(original.is_ok(), "the control");
    let mut told = std::collections::BTreeSet::new();
    for number in 0..MUTATIONS {
        let (how, text) = forge.mutated(&mut dice);
        assert_ne!(text, forge.tokens[0], "{number}: {how}");
        let error = verifier
            .verify(&text, None, forge.now)
            .expect_err(&format!("{number}: {how}: {text}"));
        told.insert(format!("{error:?}"));
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn every_changed_delegation_is_refused_with_one_text() {
    let mesh = Mesh::new();
    let coordinator = mesh.identity("coordinator/main");
    let (peer, now) = (peer(&coordinator), SystemTime::now());
    let expected = delegation();
    let text = expected.sign(&coordinator, now, MINUTE).expect("signed");
    let verified = Delegation::verify(&text, &peer, &expected, now);
    assert!(verified.is_ok(), "the control");
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    let mut dice = Dice(2);
    let mut told = std::collections::BTreeSet::new();
    for number in 0..MUTATIONS / 4 {
        let changed = match dice.below(3) {
            0 => flipped(&mut dice, &text),
            1 => flipped_part(&mut dice, &parts),
            _ => text[..dice.below(text.len())].to_owned(),
        };
        let error = Delegation::verify(&changed, &peer, &expected, now)
            .expect_err(&format!("{number}: {changed}"));
        told.insert(format!("{error:?}"));
    }
    assert_eq!(told.len(), 1, "{told:?}");
}
