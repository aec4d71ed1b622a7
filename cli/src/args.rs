//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use workload::Layout;
use workload::bench::{Grants, Keys, Link};

use crate::output::Format;

mod policy;

pub(crate) use policy::{
    PolicyArgs, PolicyCheckArgs, PolicyCommand, PolicyKeyArgs, PolicyPublishArgs, PolicySignArgs,
    PolicySimulateArgs,
};

/// A federated SQL engine for a data mesh.
#[derive(Debug, Parser)]
#[command(name = "weft", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a mesh of three domains on this machine and open a shell on it
    Demo(DemoArgs),
    /// Run SQL, or open a shell, on a coordinator or node
    Sql(SqlArgs),
    /// Sign in and keep the session for later commands
    Login(LoginArgs),
    /// End a session that `weft login` kept
    Logout(LogoutArgs),
    /// Print a user token for one server
    Token(TokenArgs),
    /// Print a token with which a server joins the mesh
    JoinToken(JoinTokenArgs),
    /// Disable people, or enable them again
    User(UserArgs),
    /// Make machine users, or give them another secret
    Service(ServiceArgs),
    /// Run a coordinator
    Coordinator(ServeArgs),
    /// Run a domain's node
    Node(NodeArgs),
    /// Run a mesh's authority
    Authority(AuthorityArgs),
    /// Sign, check, publish and try out the mesh's federated policy
    Policy(PolicyArgs),
    /// Prove that an event log is what a server wrote
    Audit(AuditArgs),
    /// Prove that a node signed what a receipt says
    Receipt(ReceiptArgs),
    /// Measure a mesh beside DataFusion and DuckDB on the queries of TPC-H
    Bench(BenchArgs),
    /// Answer the queries of `weft bench` with DataFusion in this process
    #[command(hide = true)]
    BenchDatafusion(BenchTablesArgs),
    /// Send the rows of `weft bench --transfer` from memory
    #[command(hide = true)]
    BenchSource(BenchTablesArgs),
    /// Read the rows of `weft bench --transfer`
    #[command(hide = true)]
    BenchReader,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// TPC-H scale factor of the data
    #[arg(long, default_value_t = 0.01, value_name = "F")]
    pub(crate) scale: f64,
    /// Keep data and keys here; a temporary folder otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Who asks
    #[arg(long, default_value = "analyst", value_name = "NAME")]
    pub(crate) user: String,
    /// No shell: print one line of JSON when ready and serve until interrupted
    #[arg(long, conflicts_with_all = ["command", "file"])]
    pub(crate) serve: bool,
    /// Port for clients
    #[arg(long, value_name = "P")]
    pub(crate) port: Option<u16>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What to run, and how to print it.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Run this SQL and exit; may be given several times
    #[arg(short, long, value_name = "SQL")]
    pub(crate) command: Vec<String>,
    /// Run the statements in this file and exit
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How to print rows: a table on a terminal, CSV in a pipe unless this is given
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// grpc://HOST:PORT, or grpc+tls://HOST:PORT
    #[arg(env = "WEFT_URL", conflicts_with = "profile")]
    pub(crate) url: Option<String>,
    /// Use the session that `weft login` kept under this name
    #[arg(long)]
    pub(crate) profile: Option<String>,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Who signs in. Passwords come from a file or the terminal, never from arguments.
#[derive(Debug, Args)]
pub(crate) struct SignInArgs {
    /// Who signs in
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// File with the password
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// File with a token, in place of a password
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the mesh's CA certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// grpc://HOST:PORT, or grpc+tls://HOST:PORT
    #[arg(env = "WEFT_URL")]
    pub(crate) url: String,
    /// The name to keep the session under
    #[arg(long, default_value = "default")]
    pub(crate) profile: String,
    /// https://HOST:PORT of the authority to sign in at: the server itself is told no password, and
    /// rights can be changed at owners' nodes
    #[arg(long, value_name = "URL", env = "WEFT_AUTHORITY")]
    pub(crate) authority: Option<String>,
    /// The id of the server at the URL, if that is not the mesh's main coordinator
    #[arg(long, value_name = "SERVER", default_value = "coordinator/main")]
    pub(crate) server: String,
    /// Sign in at this identity provider, with a browser
    #[arg(long, value_name = "NAME", conflicts_with_all = ["user", "service"])]
    pub(crate) provider: Option<String>,
    /// With a code on another device, for terminals without a browser
    #[arg(long, requires = "provider")]
    pub(crate) device: bool,
    /// Show the address to sign in at, and start no browser
    #[arg(long, requires = "provider")]
    pub(crate) no_browser: bool,
    /// Sign in as this machine user
    #[arg(
        long,
        value_name = "NAME",
        requires = "secret_file",
        conflicts_with = "user"
    )]
    pub(crate) service: Option<String>,
    /// File with the machine user's secret
    #[arg(long, value_name = "FILE", env = "WEFT_SECRET_FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The name that the session is kept under
    #[arg(long, default_value = "default")]
    pub(crate) profile: String,
}

/// Who asks at the authority: with a password, or with what `weft login` kept.
#[derive(Debug, Args)]
pub(crate) struct AtAuthorityArgs {
    /// https://HOST:PORT of the authority; without it, what `weft login --authority` kept is used
    #[arg(long, value_name = "URL", conflicts_with = "profile")]
    pub(crate) authority: Option<String>,
    /// The login that was kept under this name
    #[arg(long, default_value = "default")]
    pub(crate) profile: String,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The server that the token is for: coordinator/NAME or node/DOMAIN/NAME
    #[arg(long, value_name = "SERVER")]
    pub(crate) audience: String,
    /// How long it has to live, such as 10min; as long as it may unless this is given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) lifetime: Option<Duration>,
    #[command(flatten)]
    pub(crate) at: AtAuthorityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinTokenArgs {
    /// The server that may join: coordinator/NAME or node/DOMAIN/NAME
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) at: AtAuthorityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// End what somebody has, everywhere, and let them in no more
    Disable(ChangeUserArgs),
    /// Let somebody in again
    Enable(ChangeUserArgs),
}

/// Whom to change. Who signs in for it is in the group `mesh-admins`.
#[derive(Debug, Args)]
pub(crate) struct ChangeUserArgs {
    /// The name that grants and logs call them by
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) at: AtAuthorityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    pub(crate) command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Make a machine user and print its secret
    Create(CreateServiceArgs),
    /// Print another secret of a machine user; the one that it had ends
    Rotate(RotateServiceArgs),
}

/// Who signs in for it is in the group `mesh-admins`.
#[derive(Debug, Args)]
pub(crate) struct NamedServiceArgs {
    /// Its name; in grants and logs it is NAME@service
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How long the secret lives, such as 30days; 90 days unless this is given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) lifetime: Option<Duration>,
    #[command(flatten)]
    pub(crate) at: AtAuthorityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreateServiceArgs {
    #[command(flatten)]
    pub(crate) service: NamedServiceArgs,
    /// The groups that it is in
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) groups: Vec<String>,
    /// What else is said of it; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) attribute: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RotateServiceArgs {
    #[command(flatten)]
    pub(crate) service: NamedServiceArgs,
}

/// What every server takes.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Settings file, TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print all settings with value, source and explanation, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Set one setting, KEY=VALUE; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Stop when standard input closes
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
    /// Remove a folder at the end if the parent process is gone and cannot do it
    #[arg(long, hide = true, value_name = "FOLDER", requires = "supervised")]
    pub(crate) leftovers: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// The domain that the node serves
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// The folder of product folders
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The coordinator to join, https://HOST:PORT; without one and without a settings file, the
    /// node starts an authority of its own and prints a password
    #[arg(long, value_name = "URL")]
    pub(crate) join: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AuthorityArgs {
    /// Settings file, TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print all settings with value, source and explanation, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Set one setting, KEY=VALUE; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Read a password from standard input and print its hash for the settings file, and exit
    #[arg(long)]
    pub(crate) hash_password: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every record and checkpoint of an event log, and say the first that is wrong
    Verify(AuditVerifyArgs),
    /// Print the newest checkpoint of an event log, to be kept elsewhere
    Checkpoint(AuditCheckpointArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArgs {
    /// The event log: `events.db` in a server's state folder, or a copy
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Believe checkpoints signed with the key of this server certificate, PEM; may be given
    /// several times
    #[arg(long, value_name = "CERT")]
    pub(crate) key: Vec<PathBuf>,
    /// Believe checkpoints of a server whose certificate this CA signed, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Also expect what this checkpoint says, which `weft audit checkpoint` printed earlier; may be
    /// given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditCheckpointArgs {
    /// The event log: `events.db` in a server's state folder, or a copy
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiptArgs {
    #[command(subcommand)]
    pub(crate) command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Check every receipt in a file, and say what each tells
    Verify(ReceiptVerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReceiptVerifyArgs {
    /// Text with receipts in it, such as what SHOW RECEIPTS printed; `-` for the standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Believe nodes whose certificates this CA signed, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// What is measured, and how.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// TPC-H scale factor of the data
    #[arg(long, default_value_t = 0.1, value_name = "F")]
    pub(crate) scale: f64,
    /// Keep the data here for the next time; a temporary folder otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Only these queries, such as 1,3,9
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = query_number)]
    pub(crate) only: Vec<usize>,
    /// Measured runs of each query and engine
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = at_least_one)]
    pub(crate) runs: usize,
    /// Runs before them that are not counted
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) warm_up: usize,
    /// Domains that the tables are spread over: 1, 3 or 6
    #[arg(long, default_value = "3", value_name = "N")]
    pub(crate) domains: Layout,
    /// What the grants hold back: nothing (open), or a row filter and a mask in each of the demo's domains
    /// (guarded), compared with a copy of the data that was filtered and masked before
    #[arg(long, default_value = "open", value_name = "GRANTS")]
    pub(crate) grants: Grants,
    /// As what join keys may travel to other domains: list, bloom, range or none
    #[arg(long, default_value = "list", value_name = "FORM")]
    pub(crate) key_disclosure: Keys,
    /// Have the planner leave out this step; may be given several times
    #[arg(long, value_name = "STEP", value_parser = step)]
    pub(crate) off: Vec<String>,
    /// Put a slow link between the coordinator and each node, such as 100mbit,20ms
    #[arg(long, value_name = "RATE,RTT")]
    pub(crate) link: Option<Link>,
    /// Which nodes compress what they send: auto, none or lz4, which is usual for a slow link
    #[arg(long, value_name = "HOW", value_parser = compression)]
    pub(crate) compression: Option<&'static str>,
    /// Count the bytes on the connections to each node, beside those that Weft counts
    #[arg(long)]
    pub(crate) wire: bool,
    /// Also join so many single orders with their customers
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) points: usize,
    /// Also plan a query with so many more products in the catalog
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) catalog: usize,
    /// Also send the largest table so many times from a node and the coordinator, beside raw TCP and plain
    /// Arrow Flight
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) transfer: usize,
    /// Also make so many calls of small statements, by one client and by 16 at a time
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) calls: usize,
    /// Leave out these engines
    #[arg(long, value_enum, value_name = "ENGINE", value_delimiter = ',')]
    pub(crate) without: Vec<Other>,
    /// Python interpreter with the modules `duckdb` and, for --transfer, `pyarrow`; otherwise `duckdb` is looked for on the PATH
    #[arg(long, value_name = "PATH", env = "WEFT_BENCH_PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// An engine that Weft is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Other {
    /// DataFusion in one process
    Datafusion,
    /// DuckDB in one process
    Duckdb,
    /// The mesh over the copy, with --grants guarded
    Copy,
}

#[derive(Debug, Args)]
pub(crate) struct BenchTablesArgs {
    /// Folder with one Parquet file for each table
    #[arg(long, value_name = "DIR")]
    pub(crate) tables: PathBuf,
}

fn query_number(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (1..=22).contains(number))
        .ok_or_else(|| "the queries are numbered from 1 to 22".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_owned())?;
    (number > 0)
        .then_some(number)
        .ok_or_else(|| "at least one run is needed".to_owned())
}

/// The name of a step goes into a statement, so it has to be a name.
fn step(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "a step is a name such as `gather`".to_owned())
}

fn compression(text: &str) -> Result<&'static str, String> {
    ["auto", "none", "lz4"]
        .into_iter()
        .find(|known| *known == text)
        .ok_or_else(|| "it is `auto`, `none` or `lz4`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(arguments: &[&str]) -> Result<BenchArgs, String> {
        let arguments = ["weft", "bench"].iter().chain(arguments);
        match Cli::try_parse_from(arguments) {
            Ok(Cli {
                command: Command::Bench(args),
            }) => Ok(args),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_benchmark_has_defaults_and_takes_lists() {
        let plain = bench(&[]).expect("no argument is needed");
        assert_eq!((plain.scale, plain.runs, plain.warm_up), (0.1, 3, 1));
        assert_eq!(plain.domains, Layout::Three);
        assert_eq!(
            (plain.grants, plain.key_disclosure),
            (Grants::Open, Keys::List)
        );
        assert!(plain.only.is_empty() && plain.off.is_empty() && plain.link.is_none());
        let full = bench(&[
            "--only",
            "1,3,9",
            "--domains",
            "6",
            "--off",
            "gather",
            "--off",
            "other",
            "--link",
            "100mbit,20ms",
            "--grants",
            "guarded",
            "--key-disclosure",
            "none",
            "--without",
            "datafusion,duckdb,copy",
        ])
        .expect("well formed");
        assert_eq!(full.only, [1, 3, 9]);
        assert_eq!(full.domains, Layout::Six);
        assert_eq!(full.off, ["gather", "other"]);
        assert_eq!(full.link.map(|link| link.rate), Some(12_500_000));
        assert_eq!(
            (full.grants, full.key_disclosure),
            (Grants::Guarded, Keys::None)
        );
        assert_eq!(
            full.without,
            [Other::Datafusion, Other::Duckdb, Other::Copy]
        );
    }

    #[test]
    fn a_wrong_argument_is_explained() {
        let cases: [(&[&str], &str); 9] = [
            (&["--only", "1,23"], "numbered from 1 to 22"),
            (&["--runs", "0"], "at least one run"),
            (&["--domains", "4"], "1, 3 or 6 domains"),
            (&["--off", "gather = on; x"], "a step is a name"),
            (&["--link", "100mbit"], "RATE,RTT, such as 100mbit,20ms"),
            (&["--without", "weft"], "datafusion, duckdb, copy"),
            (&["--grants", "all"], "`open` or `guarded`"),
            (&["--key-disclosure", "some"], "`bloom`, `range` or `none`"),
            (&["--scale", "small"], "invalid float"),
        ];
        for (arguments, expected) in cases {
            let error = bench(arguments).expect_err("refused");
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
