//! The program as a person runs it: real processes, on loopback.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

mod demo;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use demo::Demo;

const WEFT: &str = env!("CARGO_BIN_EXE_weft");
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Demo {
    fn start() -> Self {
        Self::start_with(|demo, folder| demo.arg("--dir").arg(folder))
    }

    /// Without a folder of its own: it makes one.
    fn start_in_passing() -> Self {
        Self::start_with(|demo, folder| demo.env("TMPDIR", folder))
    }

    fn pids(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.description["pids"].clone()).expect("pids")
    }

    /// `weft sql` as `user`.
    fn command(&self, user: &str, sql: &str) -> Command {
        let password = self.folder.path().join(format!("{user}.password"));
        std::fs::write(
            &password,
            self.text(&format!("/principals/{user}/password")),
        )
        .expect("written");
        let mut command = Command::new(WEFT);
        command
            .arg("sql")
            .arg(self.text("/flight_sql"))
            .args(["--user", user, "--password-file"])
            .arg(&password)
            .args(["--ca", self.text("/ca")])
            .args(["-c", sql])
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    fn sql(&self, user: &str, sql: &str) -> Output {
        self.command(user, sql).output().expect("run")
    }
}

fn alive(pid: u64) -> bool {
    // A process that nobody has waited for yet has ended all the same.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim()
            .starts_with('Z')
    })
}

fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(name: &str, pid: u64) {
    let status = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_demo_answers_across_domains_and_refuses_the_outsider() {
    let demo = Demo::start();
    let sql = "SELECT count(*) AS n FROM sales.orders.orders JOIN crm.customers.customer ON o_custkey = c_custkey";
    let answer = demo.sql("analyst", sql);
    assert_eq!(
        (text(&answer.stdout).as_str(), answer.status.code()),
        ("n\n15000\n", Some(0))
    );
    let refused = demo.sql("outsider", sql);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    assert!(text(&refused.stdout).is_empty() && text(&refused.stderr).contains("WEFT-NOT-GRANTED"));
    let wrong = demo.sql("analyst", "SELECT nope FROM sales.orders.orders");
    assert_eq!(wrong.status.code(), Some(1), "{}", text(&wrong.stderr));
    assert!(
        text(&wrong.stderr).contains("nope"),
        "{}",
        text(&wrong.stderr)
    );
    python_client(&demo);
}

/// A notebook's driver, where the interpreter with the driver is named.
fn python_client(demo: &Demo) {
    let Some(python) = std::env::var_os("WEFT_TEST_PYTHON") else {
        let _ = writeln!(
            std::io::stderr(),
            "not run: the Python client, because WEFT_TEST_PYTHON names no interpreter"
        );
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adbc.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("input");
    input
        .write_all(demo.description.to_string().as_bytes())
        .expect("written");
    drop(input);
    let answer = child.wait_with_output().expect("run");
    assert_eq!(text(&answer.stdout).trim(), "ok");
}

/// Statements about rights are typed like all others, and never pass the coordinator.
#[test]
fn an_owner_changes_rights_from_the_shell() {
    let demo = Demo::start();
    let give = "GRANT SELECT (o_orderkey) ON TABLE sales.orders.orders TO USER outsider";
    let read = "SELECT count(o_orderkey) FROM sales.orders.orders";
    let outsider = demo.sql("outsider", give);
    assert_eq!(
        outsider.status.code(),
        Some(4),
        "{}",
        text(&outsider.stderr)
    );

    let given = demo.sql("sales_owner", give);
    assert_eq!(given.status.code(), Some(0), "{}", text(&given.stderr));
    let id = text(&given.stdout)
        .lines()
        .nth(1)
        .expect("an id")
        .to_owned();
    eventually("the right is in force everywhere", || {
        demo.sql("outsider", read).status.code() == Some(0)
    });
    let own = text(&demo.sql("outsider", "SHOW GRANTS").stdout);
    assert!(own.contains(&id) && !own.contains("config-"), "{own}");

    let unknown = demo.sql("sales_owner", "REVOKE GRANT 'x'");
    assert_eq!(unknown.status.code(), Some(1), "{}", text(&unknown.stderr));
    let revoked = demo.sql("sales_owner", &format!("REVOKE GRANT '{id}'"));
    assert_eq!(revoked.status.code(), Some(0), "{}", text(&revoked.stderr));
    assert_eq!(demo.sql("outsider", read).status.code(), Some(4));
}

#[test]
fn nothing_is_left_when_the_demo_is_killed() {
    let mut demo = Demo::start_in_passing();
    let pids = demo.pids();
    assert_eq!(pids.len(), 5);
    assert!(pids.values().all(|pid| alive(*pid)), "the control");
    let folder = Path::new(demo.text("/dir")).to_owned();
    assert!(folder.exists(), "the control");
    demo.process.kill().expect("killed");
    demo.process.wait().expect("ended");
    for (name, pid) in pids {
        eventually(&format!("{name} ends"), || !alive(pid));
    }
    eventually("its folder is removed", || !folder.exists());
}

#[test]
fn a_demo_that_is_interrupted_ends_well() {
    let mut demo = Demo::start_in_passing();
    let pids = demo.pids();
    signal("-INT", demo.process.id().into());
    assert_eq!(demo.process.wait().expect("ended").code(), Some(0));
    assert!(pids.values().all(|pid| !alive(*pid)));
    assert!(!Path::new(demo.text("/dir")).exists());
}

#[test]
fn the_log_of_a_node_is_proved_without_the_node() {
    let mut demo = Demo::start();
    let answer = demo.sql(
        "analyst",
        "SELECT count(*) FROM sales.orders.orders JOIN crm.customers.customer ON o_custkey = c_custkey",
    );
    assert_eq!(answer.status.code(), Some(0), "{}", text(&answer.stderr));
    signal("-INT", demo.process.id().into());
    assert_eq!(demo.process.wait().expect("ended").code(), Some(0));

    let state = |domain: &str, file: &str| {
        let state = demo.folder.path().join(domain).join("state");
        state.join(file).display().to_string()
    };
    let audit = |arguments: &[&str]| {
        let mut weft = Command::new(WEFT);
        weft.arg("audit").args(arguments).output().expect("run")
    };
    let (log, ca) = (state("sales", "events.db"), state("sales", "ca.pem"));
    let proved = audit(&["verify", &log, "--ca", &ca]);
    assert_eq!(proved.status.code(), Some(0), "{}", text(&proved.stderr));
    let said = text(&proved.stdout);
    assert!(said.contains("by node/sales/"), "{said}");
    assert!(
        !said.contains("unsealed"),
        "a node seals all when it stops: {said}"
    );

    let kept = |domain: &str| {
        let kept = audit(&["checkpoint", &state(domain, "events.db")]);
        assert_eq!(kept.status.code(), Some(0), "{}", text(&kept.stderr));
        let file = state(domain, "kept.json");
        std::fs::write(&file, kept.stdout).expect("written");
        file
    };
    let key = state("sales", "server.pem");
    let own = audit(&[
        "verify",
        &log,
        "--key",
        &key,
        "--checkpoint",
        &kept("sales"),
    ]);
    assert_eq!(own.status.code(), Some(0), "{}", text(&own.stderr));
    let others = [
        audit(&["verify", &log, "--key", &state("crm", "server.pem")]),
        audit(&["verify", &log, "--ca", &ca, "--checkpoint", &kept("crm")]),
    ];
    for refused in others {
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
        assert!(text(&refused.stderr).contains("WEFT-LOG-BROKEN"));
    }
    let nothing = audit(&["verify", &state("sales", "missing.db")]);
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
}

#[test]
fn a_killed_node_is_named_and_serves_again_after_a_restart() {
    let demo = Demo::start();
    let sql = "SELECT count(*) FROM sales.orders.orders";
    assert_eq!(demo.sql("analyst", sql).status.code(), Some(0));
    signal("-KILL", demo.pids()["sales"]);
    let mut error = String::new();
    eventually("the loss is noticed", || {
        let answer = demo.sql("analyst", sql);
        error = text(&answer.stderr);
        answer.status.code() == Some(1)
    });
    assert!(
        error.contains("WEFT-DOMAIN-UNAVAILABLE") && error.contains("`sales`"),
        "{error}"
    );
    back_again(&demo, sql);
}

/// Starts the killed node of `sales` again and waits until `sql` is answered.
fn back_again(demo: &Demo, sql: &str) {
    let mut node = Command::new(WEFT)
        .args(["node", "--supervised", "--config"])
        .arg(demo.folder.path().join("sales.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    eventually("the node is back", || {
        demo.sql("analyst", sql).status.code() == Some(0)
    });
    // Closing its input ends it.
    drop(node.stdin.take());
    node.wait().expect("ended");
}

#[test]
fn a_node_killed_in_mid_stream_is_an_error_after_the_rows_that_came() {
    let demo = Demo::start();
    // 36 million rows: more than anybody waits for.
    let endless = "SELECT a.l_comment FROM sales.orders.lineitem a JOIN sales.orders.lineitem b ON a.l_suppkey = b.l_suppkey";
    let mut client = demo
        .command("analyst", endless)
        .args(["--format", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut rows = BufReader::new(client.stdout.take().expect("output")).lines();
    assert!(
        rows.by_ref().take(1_000).all(|row| row.is_ok()),
        "rows come"
    );
    signal("-KILL", demo.pids()["sales"]);
    let killed = Instant::now();
    let rest = rows.map_while(Result::ok).count();
    let answer = client.wait_with_output().expect("ended");
    println!(
        "{rest} rows more and the error after {:?}",
        killed.elapsed()
    );
    let error = text(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1), "{error}");
    assert!(
        error.contains("WEFT-DOMAIN-UNAVAILABLE") && error.contains("`sales`"),
        "{error}"
    );
    back_again(&demo, "SELECT count(*) FROM sales.orders.lineitem");
}

#[test]
fn a_node_that_hangs_holds_nobody_up() {
    let demo = Demo::start();
    let crm = demo.pids()["crm"];
    signal("-STOP", crm);
    let refused = demo.sql("analyst", "SELECT count(*) FROM crm.customers.nation");
    let other = demo.sql("analyst", "SELECT count(*) FROM sales.orders.orders");
    signal("-CONT", crm);
    let error = text(&refused.stderr);
    assert!(
        error.contains("WEFT-DOMAIN-UNAVAILABLE") && error.contains("`crm`"),
        "{error}"
    );
    assert_eq!(text(&other.stdout), "count(*)\n15000\n");
    eventually("the node is back", || {
        let sql = "SELECT count(*) FROM crm.customers.nation";
        demo.sql("analyst", sql).status.code() == Some(0)
    });
}

const RETURNS: &str = "
apiVersion: v3.1.0
kind: DataContract
id: returns
version: 1.0.0
status: active
schema:
  - name: returned
    properties:
      - {name: orderkey, logicalType: integer, physicalType: bigint, primaryKey: true}
      - {name: country, logicalType: string, physicalType: varchar}
      - {name: email, logicalType: string, physicalType: varchar}
";

#[test]
fn a_fourth_domain_joins_with_a_token_and_says_who_reads_what() {
    let demo = Demo::start();
    let own = tempfile::tempdir().expect("folder");
    let at = |name: &str| own.path().join(name);
    std::fs::create_dir_all(at("data/returns")).expect("folder");
    std::fs::write(at("data/returns/returns.odcs.yaml"), RETURNS).expect("contract");
    let rows = "orderkey,country,email\n1,DE,a@x.de\n2,FR,b@x.fr\n3,DE,c@x.de\n";
    std::fs::write(at("data/returns/returned.csv"), rows).expect("rows");
    let password = demo.text("/principals/governance/password");
    std::fs::write(at("password"), password).expect("written");
    let token = Command::new(WEFT)
        .args(["join-token", "--authority", demo.text("/authority")])
        .args(["--ca", demo.text("/ca"), "--user", "governance"])
        .args(["--server", "node/marketing/marketing-1", "--password-file"])
        .arg(at("password"))
        .output()
        .expect("run");
    assert!(token.status.success(), "{}", text(&token.stderr));
    std::fs::write(at("token"), &token.stdout).expect("written");
    let sales = std::fs::read_to_string(demo.folder.path().join("sales.toml")).expect("settings");
    let sales: toml::Table = sales.parse().expect("settings");
    let settings = format!(
        "[node]\ndomain = \"marketing\"\ndata = \"data\"\nstate = \"state\"\nlisten = \"127.0.0.1:0\"\njoin_token_file = \"token\"\n[coordinator]\nurl = {}\n[[grants]]\nuser = \"analyst\"\nproduct = \"returns\"\ntable = \"returned\"\nrow_filter = \"country = 'DE'\"\nmasks = {{ email = \"replace-with-null\" }}\n",
        sales["coordinator"]["url"]
    );
    std::fs::write(at("node.toml"), settings).expect("written");
    let mut node = Command::new(WEFT)
        .args(["node", "--supervised", "--config", "node.toml"])
        .current_dir(own.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let sql = "SELECT orderkey, email IS NULL AS hidden FROM marketing.returns.returned JOIN sales.orders.orders ON o_orderkey = orderkey ORDER BY 1";
    let mut answer = String::new();
    eventually("the domain has joined", || {
        answer = text(&demo.sql("analyst", sql).stdout);
        !answer.is_empty()
    });
    assert_eq!(answer, "orderkey,hidden\n1,true\n3,true\n");
    let other = demo.sql("sales_owner", sql);
    assert_eq!(other.status.code(), Some(4), "{}", text(&other.stderr));
    drop(node.stdin.take());
    node.wait().expect("ended");
}

#[test]
fn a_folder_is_served_as_it_is() {
    let folder = tempfile::tempdir().expect("folder");
    let product = folder.path().join("data/shop");
    std::fs::create_dir_all(&product).expect("folder");
    std::fs::write(product.join("sale.csv"), "id,day\n1,2024-02-29\n2,\n").expect("data");
    std::fs::write(
        product.join("shop.odcs.yaml"),
        "apiVersion: v3.1.0\nkind: DataContract\nid: shop\nname: shop\nversion: 1.0.0\nstatus: active\nschema:\n  - name: sale\n    properties:\n      - {name: id, logicalType: integer, physicalType: bigint}\n      - {name: day, logicalType: date, physicalType: date}\n",
    )
    .expect("contract");
    let mut node = Command::new(WEFT)
        .current_dir(folder.path())
        .args([
            "node",
            "--domain",
            "marketing",
            "--data",
            "data",
            "--supervised",
        ])
        .args(["--set", "node.listen=127.0.0.1:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut said = BufReader::new(node.stderr.take().expect("output")).lines();
    let password = said
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split("with the password ").nth(1).map(str::to_owned))
        .expect("a password");
    let command = said
        .map_while(Result::ok)
        .find(|line| line.starts_with("weft sql"))
        .expect("a command");
    std::fs::write(folder.path().join("password"), password).expect("written");
    let answer = Command::new(WEFT)
        .current_dir(folder.path())
        .args(command.split_whitespace().skip(1))
        .args([
            "--password-file",
            "password",
            "-c",
            "SELECT id, day FROM shop.sale ORDER BY id",
        ])
        .output()
        .expect("run");
    assert_eq!(
        text(&answer.stdout),
        "id,day\n1,2024-02-29\n2,\n",
        "{}",
        text(&answer.stderr)
    );
    drop(node.stdin.take());
    node.wait().expect("ended");
}

#[test]
fn wrong_settings_and_unreachable_servers_have_their_exit_codes() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("node.toml");
    std::fs::write(&file, "[node]\nlisen = \"127.0.0.1:0\"\n").expect("written");
    let run = |arguments: &[&str]| {
        Command::new(WEFT)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("run")
    };
    let path = file.display().to_string();
    let misspelt = run(&["node", "--config", &path]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(
        text(&misspelt.stderr).contains("`node.listen`"),
        "{}",
        text(&misspelt.stderr)
    );
    let explained = run(&[
        "coordinator",
        "--print-config",
        "--set",
        "limits.deadline=5s",
    ]);
    assert!(
        text(&explained.stdout).contains("limits.deadline = \"5s\""),
        "{}",
        text(&explained.stdout)
    );
    let unsafe_ = run(&[
        "coordinator",
        "--set",
        "coordinator.client_listen={address=\"0.0.0.0:7463\",tls=false}",
    ]);
    assert_eq!(unsafe_.status.code(), Some(2), "{}", text(&unsafe_.stderr));
    let secret = folder.path().join("password");
    std::fs::write(&secret, "x").expect("written");
    let secret = secret.display().to_string();
    let nobody = run(&[
        "sql",
        "grpc://127.0.0.1:1",
        "--user",
        "x",
        "--password-file",
        &secret,
        "-c",
        "SELECT 1",
    ]);
    assert_eq!(nobody.status.code(), Some(3), "{}", text(&nobody.stderr));
    assert_eq!(run(&["nonsense"]).status.code(), Some(2));
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The phone numbers of customers are hashed once enough representatives say so.
#[test]
fn representatives_try_out_sign_and_publish_a_policy() {
    let demo = Demo::start();
    let folder = demo.folder.path();
    let path = |name: &str| folder.join(name).display().to_string();
    let policy = "version: 1\nmesh: weft-demo\nrules:\n  - name: personal\n    columns: { tags: [pii] }\n    mask: sha-256\n";
    std::fs::write(path("policy.yaml"), policy).expect("written");
    let weft = |arguments: &[&str]| {
        let mut command = Command::new(WEFT);
        let output = command.arg("policy").args(arguments).stdin(Stdio::null());
        output.output().expect("run")
    };
    let (yaml, bundle, crm) = (path("policy.yaml"), path("policy.json"), path("crm.toml"));

    for given in [
        "(c_custkey, c_phone) ON TABLE crm.customers.customer TO USER outsider FOR PURPOSE 'fraud'",
        "(c_custkey, c_phone) ON TABLE crm.customers.customer TO USER supply_owner",
    ] {
        let output = demo.sql("crm_owner", &format!("GRANT SELECT {given}"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let simulated = weft(&["simulate", &yaml, "--config", &crm, "--format", "json"]);
    assert_eq!(simulated.status.code(), Some(0), "{}", stderr(&simulated));
    let rows: Vec<Value> = serde_json::from_slice(&simulated.stdout).expect("JSON");
    let phone = rows.iter().find(|row| row["column"] == "c_phone");
    let phone = phone.expect("a change");
    assert_eq!(phone["table"], "crm.customers.customer");
    assert_eq!(
        (&phone["change"], &phone["after"]),
        (&"masked".into(), &"sha-256".into())
    );
    assert_eq!(phone["rules"], "personal");
    let holders = rows.iter().filter(|row| row["column"] == "c_phone");
    let holders: Vec<_> = holders
        .map(|row| row["grantee"].as_str().expect("text"))
        .collect();
    assert!(holders.contains(&"user supply_owner"), "{holders:?}");
    assert!(
        !holders.contains(&"user outsider"),
        "it unmasks by name and purpose: {holders:?}"
    );

    for (domain, enough) in [("sales", false), ("crm", true)] {
        let key = demo.text(&format!("/policy/keys/{domain}"));
        let signed = weft(&[
            "sign", &yaml, "--domain", domain, "--key", key, "--bundle", &bundle,
        ]);
        assert_eq!(signed.status.code(), Some(0), "{}", stderr(&signed));
        let checked = weft(&["check", &bundle, "--config", &crm]);
        assert_eq!(checked.status.success(), enough, "{}", stderr(&checked));
    }

    let phones = "SELECT min(c_phone) FROM crm.customers.customer";
    let before = demo.sql("analyst", phones);
    assert!(stdout(&before).contains('-'), "{}", stderr(&before));
    let password = folder.join("governance.password");
    std::fs::write(&password, demo.text("/principals/governance/password")).expect("written");
    let password = password.display().to_string();
    let sign_in = [
        "--user",
        "governance",
        "--password-file",
        &password,
        "--ca",
        demo.text("/ca"),
    ];
    let published = [
        &["publish", &bundle, "--authority", demo.text("/authority")][..],
        &sign_in,
    ]
    .concat();
    let published = weft(&published);
    assert_eq!(published.status.code(), Some(0), "{}", stderr(&published));
    let begun = Instant::now();
    while stdout(&demo.sql("analyst", phones)).contains('-') {
        assert!(begun.elapsed() < PATIENCE, "the policy is not followed");
    }
    let again = weft(&["simulate", &bundle, "--config", &crm, "--format", "json"]);
    assert_eq!(stdout(&again).trim(), "[]", "nothing more would change");
    assert!(
        stderr(&again).contains("policy 1 is in force"),
        "{}",
        stderr(&again)
    );
}

#[test]
fn a_key_is_private_and_never_written_over() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("sales.key");
    let make = || {
        let mut command = Command::new(WEFT);
        let output = command.args(["policy", "key", "--out"]).arg(&file).output();
        output.expect("run")
    };
    let made = make();
    assert_eq!(stdout(&made).trim().len(), 87, "a point in base64");
    let text = std::fs::read_to_string(&file).expect("written");
    assert!(text.contains("PRIVATE KEY") && !stderr(&made).contains("PRIVATE"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(make().status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), text);
}

/// `weft` with what it keeps in a folder of its own.
fn weft(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(WEFT);
    command.args(args).env("XDG_CONFIG_HOME", home);
    command.stdin(Stdio::null()).output().expect("run")
}

#[test]
fn a_login_at_the_authority_reaches_owners_nodes_until_its_owner_is_disabled() {
    let demo = Demo::start();
    let home = tempfile::tempdir().expect("folder");
    let weft = |args: &[&str]| weft(home.path(), args);
    let good = |args: &[&str]| {
        let done = weft(args);
        assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
        text(&done.stdout)
    };
    let password_file = |user: &str| {
        let file = home.path().join(user);
        let password = demo.text(&format!("/principals/{user}/password"));
        std::fs::write(&file, password).expect("written");
        file.to_str().expect("text").to_owned()
    };
    let (owner, admin) = (password_file("sales_owner"), password_file("governance"));
    let at = [
        "--authority",
        demo.text("/authority"),
        "--ca",
        demo.text("/ca"),
    ];
    let login = ["login", demo.text("/flight_sql"), "--user", "sales_owner"];
    good(&[&login[..], &at, &["--password-file", &owner]].concat());

    let kept = home.path().join("weft/sessions/default.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&kept).expect("kept").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let words = std::fs::read_to_string(&kept).expect("kept");
    assert!(!words.contains(demo.text("/principals/sales_owner/password")));

    let made = weft(&["service", "create", "etl", "--groups", "pipelines"]);
    assert_eq!(made.status.code(), Some(4), "{}", text(&made.stderr));
    let by_admin = [
        &at[..],
        &["--user", "governance", "--password-file", &admin],
    ]
    .concat();
    let service = ["service", "create", "etl", "--groups", "pipelines"];
    let secret = good(&[&service[..], &by_admin].concat());
    let secret_file = home.path().join("secret");
    std::fs::write(&secret_file, secret).expect("written");
    let secret_file = secret_file.to_str().expect("text");
    let login = ["login", demo.text("/flight_sql"), "--profile", "etl"];
    let by_secret = ["--service", "etl", "--secret-file", secret_file];
    good(&[&login[..], &at, &by_secret].concat());

    // The owner's login is taken to the owner's node; no coordinator takes part.
    let count = "SELECT count(*) AS n FROM sales.orders.orders";
    let denied = weft(&["sql", "--profile", "etl", "-c", count]);
    assert_eq!(denied.status.code(), Some(4), "{}", text(&denied.stderr));
    good(&[
        "sql",
        "-c",
        "GRANT SELECT ON PRODUCT sales.orders TO USER \"etl@service\"",
    ]);
    eventually("the coordinator has heard of it", || {
        let answer = weft(&["sql", "--profile", "etl", "-c", count]);
        text(&answer.stdout) == "n\n15000\n"
    });
    let token = good(&[
        "token",
        "--audience",
        "node/sales/sales-1",
        "--lifetime",
        "1min",
    ]);
    assert_eq!(token.trim().split('.').count(), 3);

    good(&[&["user", "disable", "sales_owner"][..], &by_admin].concat());
    let ended = weft(&["sql", "-c", count]);
    assert_eq!(ended.status.code(), Some(4), "{}", text(&ended.stderr));
    good(&["logout"]);
    assert!(!kept.exists());
    good(&["logout", "--profile", "etl"]);
    let gone = weft(&["sql", "--profile", "etl", "-c", count]);
    assert_eq!(gone.status.code(), Some(4), "{}", text(&gone.stderr));
}
