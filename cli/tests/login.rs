//! `weft login` at an identity provider, with a browser and on another device.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

// The provider that the authority's own tests have.
#[allow(dead_code, unreachable_pub)]
#[path = "../../proto/authority/src/tests/provider.rs"]
mod provider;

use provider::Provider;

const WEFT: &str = env!("CARGO_BIN_EXE_weft");

/// An authority of its own with the provider `corp`.
struct Authority {
    _process: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Authority {
    async fn start(provider: &Provider) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let settings = format!(
            "[authority]\nlisten = '127.0.0.1:0'\nstate = '{}'\n[[providers]]\n{}",
            folder.path().join("state").display(),
            provider.settings("corp", "")
        );
        let file = folder.path().join("authority.toml");
        std::fs::write(&file, settings).expect("written");
        let mut process = Command::new(WEFT)
            .args(["authority", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let output = process.stdout.take().expect("output");
        let mut line = String::new();
        let mut output = BufReader::new(output);
        output.read_line(&mut line).await.expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let address = ready["address"].as_str().expect("an address");
        Self {
            url: format!("https://{address}"),
            _process: process,
            folder,
        }
    }

    fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("state/ca.pem")
    }

    fn login(&self, home: &Path, more: &[&str]) -> Child {
        Command::new(WEFT)
            .args(["login", "grpc://127.0.0.1:9", "--authority", &self.url])
            .arg("--ca")
            .arg(self.ca())
            .args(["--provider", "corp"])
            .args(more)
            .env("XDG_CONFIG_HOME", home)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started")
    }
}

/// The subject of a token that `weft token` prints for what was kept.
async fn subject(home: &Path) -> String {
    use base64::Engine;
    let printed = Command::new(WEFT)
        .args(["token", "--audience", "node/sales/sales-1"])
        .env("XDG_CONFIG_HOME", home)
        .output()
        .await
        .expect("run");
    let token = String::from_utf8(printed.stdout).expect("text");
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
    let claims: Value = serde_json::from_slice(&claims.expect("base64")).expect("JSON");
    claims["sub"].as_str().expect("a subject").to_owned()
}

async fn rest(output: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut rest = String::new();
    output.read_to_string(&mut rest).await.expect("text");
    rest
}

#[tokio::test]
async fn a_browser_signs_in_and_comes_back() {
    let provider = Provider::start().await;
    let authority = Authority::start(&provider).await;
    let home = tempfile::tempdir().expect("folder");
    let mut login = authority.login(home.path(), &["--no-browser"]);
    let mut output = BufReader::new(login.stderr.take().expect("output"));
    let mut line = String::new();
    while !line.starts_with("http") {
        line.clear();
        let read = output.read_line(&mut line).await.expect("a line");
        assert!(read > 0, "it shows where to sign in");
    }
    provider.sign_in(json!({"sub": "bob"}));
    let back = provider.browse(line.trim());
    let port = back.port().expect("a port");
    let mut browser = TcpStream::connect(("127.0.0.1", port)).await.expect("here");
    let path = format!("{}?{}", back.path(), back.query().expect("a query"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    browser.write_all(request.as_bytes()).await.expect("sent");
    let page = rest(&mut browser).await;
    assert!(page.contains("You are signed in"), "{page}");
    let ended = login.wait().await.expect("ended");
    let said = rest(&mut output).await;
    assert!(ended.success(), "{said}");
    assert!(said.contains("signed in as `bob@corp`"), "{said}");
    assert_eq!(subject(home.path()).await, "bob@corp");
}

#[tokio::test]
async fn another_device_signs_in() {
    let provider = Provider::start().await;
    let authority = Authority::start(&provider).await;
    let home = tempfile::tempdir().expect("folder");
    let mut login = authority.login(home.path(), &["--device"]);
    provider.sign_in(json!({"sub": "eve"}));
    let mut output = login.stderr.take().expect("output");
    let ended = tokio::time::timeout(Duration::from_secs(60), login.wait()).await;
    let said = rest(&mut output).await;
    assert!(ended.expect("in time").expect("ended").success(), "{said}");
    assert!(said.contains("WDJB-MJHT"), "{said}");
    assert_eq!(subject(home.path()).await, "eve@corp");
}
