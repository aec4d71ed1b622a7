//! A small OpenID Connect provider on this machine, which does as a test wants.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::LOCATION;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;
use weft_wire::token::sha256;

/// What the authority is called there.
pub const CLIENT: &str = "weft-authority";

/// The provider. Dropping it ends it.
pub struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    issuer: String,
    /// Its newest key is the last one; all are published.
    keys: Vec<(String, KeyPair)>,
    /// What is published in their place.
    published: Option<String>,
    asked_for_keys: usize,
    /// Who signs in next, wherever.
    person: Option<Value>,
    /// By code, what it was asked for with.
    codes: HashMap<String, HashMap<String, String>>,
}

impl Provider {
    /// A provider with one key.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State {
            issuer: format!("http://{address}"),
            keys: Vec::new(),
            published: None,
            asked_for_keys: 0,
            person: None,
            codes: HashMap::new(),
        }));
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tcp), service);
                tokio::spawn(connection);
            }
        });
        let provider = Self {
            address,
            state,
            task,
        };
        provider.rotate("first");
        provider
    }

    /// Who it says it is.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What an authority is told of it, as TOML.
    pub fn settings(&self, name: &str, more: &str) -> String {
        format!(
            "name = '{name}'\nissuer = '{}'\nclient_id = '{CLIENT}'\nalgorithms = ['ES256']\n{more}\n",
            self.issuer()
        )
    }

    /// Has it sign with a new key called `id`.
    pub fn rotate(&self, id: &str) {
        let key = KeyPair::generate().expect("key");
        self.state().keys.push((id.to_owned(), key));
    }

    /// Withdraws the first key.
    pub fn withdraw(&self) {
        self.state().keys.remove(0);
    }

    /// Publishes this in place of its keys.
    pub fn publish(&self, text: &str) {
        self.state().published = Some(text.to_owned());
    }

    /// Has its discovery document name another issuer.
    pub fn claim_to_be(&self, issuer: &str) {
        self.state().issuer = issuer.to_owned();
    }

    /// How often its keys were asked for.
    pub fn asked_for_keys(&self) -> usize {
        self.state().asked_for_keys
    }

    /// Has somebody with these claims sign in wherever a sign-in waits.
    pub fn sign_in(&self, person: Value) {
        self.state().person = Some(person);
    }

    /// A token of its newest key with the usual claims, changed by `claims`.
    pub fn token(&self, claims: Value) -> String {
        self.state().token(&claims)
    }

    /// The point of its newest key, as everybody can read it.
    pub fn public_key(&self) -> Vec<u8> {
        let state = self.state();
        let (_, key) = state.keys.last().expect("a key");
        key.der_bytes().to_vec()
    }

    /// Goes where a browser is sent, and returns where that is sent on to.
    pub fn browse(&self, authorization_url: &str) -> Url {
        let url = Url::parse(authorization_url).expect("a URL");
        assert_eq!(url.path(), "/authorize");
        let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        Url::parse(&self.state().authorize(asked)).expect("a URL")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test failed before")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Now, in seconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

impl State {
    fn token(&self, claims: &Value) -> String {
        let (id, key) = self.keys.last().expect("a key");
        let mut all = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "ann", "iat": now(), "exp": now() + 600,
        });
        let all_claims = all.as_object_mut().expect("an object");
        for (name, value) in claims.as_object().expect("an object") {
            // Null leaves one out.
            if value.is_null() {
                all_claims.remove(name);
            } else {
                all_claims.insert(name.clone(), value.clone());
            }
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(id.clone());
        let key = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).expect("key");
        jsonwebtoken::encode(&header, &all, &key).expect("signed")
    }

    fn jwks(&self) -> String {
        let keys = self.keys.iter().map(|(id, key)| {
            let point = key.der_bytes();
            let coordinate = |range: std::ops::Range<usize>| {
                URL_SAFE_NO_PAD.encode(point.get(range).expect("a point"))
            };
            json!({
                "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id,
                "x": coordinate(1..33), "y": coordinate(33..65),
            })
        });
        json!({"keys": keys.collect::<Vec<_>>()}).to_string()
    }

    fn discovery(&self, at: &str) -> String {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{at}/keys"),
            "authorization_endpoint": format!("{at}/authorize"),
            "token_endpoint": format!("{at}/token"),
            "device_authorization_endpoint": format!("{at}/device"),
        })
        .to_string()
    }

    /// Where the browser goes on to with a code.
    fn authorize(&mut self, asked: HashMap<String, String>) -> String {
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["code_challenge_method"], "S256");
        let code = format!("code-{}", self.codes.len());
        let back = format!(
            "{}?code={code}&state={}",
            asked["redirect_uri"], asked["state"]
        );
        self.codes.insert(code, asked);
        back
    }

    fn redeem(&mut self, form: &HashMap<String, String>) -> Result<String, &'static str> {
        if form.get("client_id").map(String::as_str) != Some(CLIENT) {
            return Err("invalid_client");
        }
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let mut nonce = Value::Null;
        if text("grant_type") == "authorization_code" {
            let asked = self.codes.remove(&text("code")).ok_or("invalid_grant")?;
            let challenge = URL_SAFE_NO_PAD.encode(sha256(text("code_verifier").as_bytes()));
            let same = asked["redirect_uri"] == text("redirect_uri");
            if challenge != asked["code_challenge"] || !same {
                return Err("invalid_grant");
            }
            nonce = json!(asked["nonce"]);
        } else if text("device_code") != "the-device" {
            return Err("invalid_grant");
        }
        let person = self.person.take().ok_or("authorization_pending")?;
        let mut claims = json!({"nonce": nonce});
        let all = claims.as_object_mut().expect("an object");
        all.extend(person.as_object().expect("an object").clone());
        Ok(self.token(&claims))
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let host = head.headers.get("host").and_then(|it| it.to_str().ok());
    let at = format!("http://{}", host.unwrap_or_default());
    let mut state = state.lock().expect("no test failed before");
    let mut status = StatusCode::OK;
    let mut location = None;
    let text = match head.uri.path() {
        "/.well-known/openid-configuration" => state.discovery(&at),
        "/keys" => {
            state.asked_for_keys += 1;
            state.published.clone().unwrap_or_else(|| state.jwks())
        }
        "/authorize" => {
            let query = head.uri.query().unwrap_or_default();
            let asked = url::form_urlencoded::parse(query.as_bytes());
            location = Some(state.authorize(asked.into_owned().collect()));
            status = StatusCode::FOUND;
            String::new()
        }
        "/device" => json!({
            "device_code": "the-device", "user_code": "WDJB-MJHT", "expires_in": 600,
            "verification_uri": format!("{at}/activate"), "interval": 1,
        })
        .to_string(),
        "/token" => match state.redeem(&form) {
            Ok(token) => json!({"id_token": token, "token_type": "Bearer"}).to_string(),
            Err(error) => {
                status = StatusCode::BAD_REQUEST;
                json!({"error": error}).to_string()
            }
        },
        _ => {
            status = StatusCode::NOT_FOUND;
            String::new()
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    if let Some(location) = location {
        let location = location.parse().expect("a header");
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}
