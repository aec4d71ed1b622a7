//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::Format;

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
    /// Print a user token for one server
    Token(TokenArgs),
    /// Print a token with which a server joins the mesh
    JoinToken(JoinTokenArgs),
    /// Run a coordinator
    Coordinator(ServeArgs),
    /// Run a domain's node
    Node(NodeArgs),
    /// Run a mesh's authority
    Authority(AuthorityArgs),
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
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// https://HOST:PORT of the authority
    #[arg(long, value_name = "URL")]
    pub(crate) authority: String,
    /// The server that the token is for: coordinator/NAME or node/DOMAIN/NAME
    #[arg(long, value_name = "SERVER")]
    pub(crate) audience: String,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinTokenArgs {
    /// https://HOST:PORT of the authority
    #[arg(long, value_name = "URL")]
    pub(crate) authority: String,
    /// The server that may join: coordinator/NAME or node/DOMAIN/NAME
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
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
