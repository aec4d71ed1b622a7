//! A sign-in at a provider with a browser, which comes back to this machine (RFC 8252, RFC 7636).

use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use url::Url;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::person::{Desk, Login, Proof};
use weft_wire::token::sha256;
use zeroize::Zeroizing;

use super::{opened, wrong};
use crate::exit::note;

/// How long the person may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a connection may take to say what it wants: browsers open some that say nothing.
const REQUEST: Duration = Duration::from_secs(20);
/// Bytes of a request that are read.
const LONGEST: usize = 16 << 10;
/// Connections at a time.
const MOST: usize = 32;

/// Signs in at `provider`. `open` has the browser started; the address is shown in any case.
///
/// # Errors
/// If the person does not sign in, or what comes back is not good.
pub(super) async fn sign_in(desk: &Desk, provider: &str, open: bool) -> Result<Login, Error> {
    let here = |error: std::io::Error| wrong(format!("nothing can be received here: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(here)?;
    let port = listener.local_addr().map_err(here)?.port();
    let back = format!("http://127.0.0.1:{port}/callback");
    let (state, verifier) = (random()?, Zeroizing::new(random()?));
    let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
    let begun = desk.begin_browser(provider, &back, &state, &challenge);
    let (attempt, url) = begun.await?;
    let url = shown(&url)?;
    note(&format!(
        "sign in with a browser on this machine:\n\n{url}\n"
    ));
    if open {
        start_browser(&url);
    }
    let code = timeout(PATIENCE, receive(&listener, &state))
        .await
        .map_err(|_| refused("nobody signed in within five minutes"))??;
    let proof = Proof::Code {
        attempt,
        code,
        verifier,
    };
    opened(desk, &proof).await
}

/// Waits for the browser that comes back with `state`. What else comes is turned away.
async fn receive(listener: &TcpListener, state: &str) -> Result<Zeroizing<String>, Error> {
    let mut visits = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(came) = visits.next(), if !visits.is_empty() => {
                let came: Option<Result<Zeroizing<String>, Error>> = came;
                if let Some(answer) = came {
                    return answer;
                }
            }
            accepted = listener.accept(), if visits.len() < MOST => {
                if let Ok((connection, _)) = accepted {
                    visits.push(visit(connection, state));
                }
            }
        }
    }
}

async fn visit(mut connection: TcpStream, state: &str) -> Option<Result<Zeroizing<String>, Error>> {
    let request = timeout(REQUEST, read(&mut connection)).await.ok()??;
    let answer = answer(&request, state);
    let (status, text) = match &answer {
        Some(Ok(_)) => ("200 OK", "You are signed in, and can close this page."),
        Some(Err(_)) => ("200 OK", "You are not signed in. The terminal says more."),
        None => ("404 Not Found", "There is nothing here."),
    };
    let page = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n{text}\n",
        text.len() + 1
    );
    // Whether the page shows does not change what came.
    let _ = timeout(REQUEST, connection.write_all(page.as_bytes())).await;
    answer
}

/// The first line of a request, once its head is whole.
async fn read(connection: &mut TcpStream) -> Option<Zeroizing<String>> {
    let mut head = Zeroizing::new(Vec::with_capacity(LONGEST));
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = Zeroizing::new([0_u8; 1024]);
        let length = connection.read(part.as_mut()).await.ok()?;
        if length == 0 || head.len() + length > LONGEST {
            return None;
        }
        head.extend_from_slice(part.get(..length)?);
    }
    let text = std::str::from_utf8(&head).ok()?;
    text.lines()
        .next()
        .map(|line| Zeroizing::new(line.to_owned()))
}

/// The code in a request that came back with `state`, or why there is none; nothing if it is another
/// request.
fn answer(request: &str, state: &str) -> Option<Result<Zeroizing<String>, Error>> {
    let path = request.strip_prefix("GET ")?.split(' ').next()?;
    let url = Url::parse(&format!("http://127.0.0.1{path}")).ok()?;
    let find = |name: &str| {
        let mut pairs = url.query_pairs().filter(|(key, _)| key == name);
        let found = pairs.next().map(|(_, value)| value.into_owned());
        found.filter(|_| pairs.next().is_none())
    };
    if url.path() != "/callback" || find("state").as_deref() != Some(state) {
        return None;
    }
    if let Some(error) = find("error") {
        let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let error: String = error.chars().filter(plain).take(64).collect();
        return Some(Err(refused(&format!(
            "the identity provider says `{error}`"
        ))));
    }
    Some(match find("code") {
        Some(code) => Ok(Zeroizing::new(code)),
        None => Err(refused("the identity provider sent no code")),
    })
}

/// The address, if a browser may go there.
fn shown(url: &str) -> Result<String, Error> {
    let fits = Url::parse(url).ok().filter(|url| match url.scheme() {
        "https" => true,
        "http" => url.host_str() == Some("127.0.0.1") || url.host_str() == Some("[::1]"),
        _ => false,
    });
    fits.map(String::from)
        .ok_or_else(|| wrong("the address to sign in at is not an `https://` URL".to_owned()))
}

/// Starts a browser, where there is one. It gets an address, and nothing that is secret.
fn start_browser(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // Without one the person opens the address.
    if let Err(error) = started {
        tracing::debug!(%error, "no browser was started");
    }
}

/// 256 random bits as text.
fn random() -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| wrong("the machine gives no randomness".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn refused(message: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        message.to_owned(),
    )
    .with_hint("Sign in again with `weft login`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_browser_that_was_sent_brings_a_code() {
        let code = |request: &str| answer(request, "s1").map(|it| it.map(|code| code.to_string()));
        let good = code("GET /callback?code=a%2Bb&state=s1 HTTP/1.1");
        assert_eq!(good.expect("ours").expect("a code"), "a+b");
        for other in [
            "GET /callback?code=x HTTP/1.1",
            "GET /callback?code=x&state=s2 HTTP/1.1",
            "GET /callback?code=x&state=s1&state=s2 HTTP/1.1",
            "GET /other?code=x&state=s1 HTTP/1.1",
            "POST /callback?code=x&state=s1 HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "",
        ] {
            assert!(code(other).is_none(), "{other}");
        }
        let denied = code("GET /callback?error=access_denied&state=s1 HTTP/1.1");
        let denied = denied.expect("ours").expect_err("no code");
        assert!(denied.to_string().contains("access_denied"));
        assert!(
            code("GET /callback?state=s1 HTTP/1.1")
                .expect("ours")
                .is_err()
        );
    }

    #[test]
    fn a_browser_goes_nowhere_in_plain_text() {
        assert!(shown("https://id.example/authorize?x=1").is_ok());
        assert!(shown("http://127.0.0.1:5556/auth").is_ok());
        for unfit in [
            "http://id.example/",
            "file:///etc/passwd",
            "javascript:x",
            "x",
        ] {
            assert!(shown(unfit).is_err(), "{unfit}");
        }
    }

    #[tokio::test]
    async fn the_code_is_received_beside_connections_that_say_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let visitor = async {
            let _silent = TcpStream::connect(address).await.expect("connected");
            let mut browser = TcpStream::connect(address).await.expect("connected");
            let request = b"GET /callback?code=abc&state=s1 HTTP/1.1\r\nHost: x\r\n\r\n";
            browser.write_all(request).await.expect("sent");
            let mut page = String::new();
            browser.read_to_string(&mut page).await.expect("answered");
            page
        };
        let (code, page) = tokio::join!(receive(&listener, "s1"), visitor);
        assert_eq!(code.expect("came").as_str(), "abc");
        assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("signed in"));
    }
}
