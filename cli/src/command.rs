//! What a person runs.

mod at_authority;
mod audit;
mod bench;
mod demo;
mod login;
mod policy;
mod profile;
mod receipt;
mod service;
mod sign_in;
mod standalone;
mod user;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::join::join_token;
use weft_wire::person::{Desk, Proof};

use crate::args::{
    AuthorityArgs, Command, DemoArgs, JoinTokenArgs, NodeArgs, RunArgs, ServeArgs, SqlArgs,
    TokenArgs,
};
use crate::client::{Client, SignIn, Target};
use crate::config::{AuthorityConfig, CoordinatorConfig, Loaded, NodeConfig, load};
use crate::connection::{Connection, Person, Who};
use crate::exit::{Exit, note};
use crate::output::Format;
use crate::serve::{self, Leftovers, Until};
use crate::shell::{Shell, run_text};

/// Runs `command`.
///
/// # Errors
/// Whatever went wrong; the caller reports it.
pub(crate) fn run(command: Command, runtime: &Arc<Runtime>) -> Result<Exit, Error> {
    match command {
        Command::Demo(args) => demo(&args, runtime),
        Command::Sql(args) => sql(args, runtime),
        Command::Login(args) => runtime.block_on(login::login(args)),
        Command::Logout(args) => runtime.block_on(login::logout(args)),
        Command::Token(args) => runtime.block_on(token(args)),
        Command::JoinToken(args) => runtime.block_on(print_join_token(args)),
        Command::User(args) => runtime.block_on(user::run(args.command)),
        Command::Service(args) => runtime.block_on(service::run(args.command)),
        Command::Coordinator(args) => coordinator(&args, runtime),
        Command::Node(args) => node(&args, runtime),
        Command::Authority(args) => authority(&args, runtime),
        Command::Policy(args) => runtime.block_on(policy::run(args)),
        Command::Audit(args) => audit::run(&args),
        Command::Receipt(args) => receipt::run(&args),
        Command::Bench(args) => runtime.block_on(bench::run(&args)),
        Command::BenchDatafusion(args) => runtime.block_on(bench::datafusion(&args)),
        Command::BenchSource(args) => runtime.block_on(bench::source(&args)),
        Command::BenchReader => runtime.block_on(bench::reader()),
    }
}

fn demo(args: &DemoArgs, runtime: &Arc<Runtime>) -> Result<Exit, Error> {
    let DemoArgs {
        scale,
        dir,
        user,
        serve,
        port,
        run,
    } = args;
    let options = demo::Options {
        scale: *scale,
        dir: dir.clone(),
        port: *port,
    };
    if *serve {
        return runtime.block_on(demo::serve(&options)).map(|()| Exit::Ok);
    }
    let (mesh, client) = runtime.block_on(demo::open(&options, user))?;
    let interactive =
        run.command.is_empty() && run.file.is_none() && std::io::stdin().is_terminal();
    if interactive {
        note(demo::GREETING);
    }
    let person = mesh.person(user);
    let exit = statements(Connection::new(client, person), run, runtime);
    runtime.block_on(mesh.stop());
    exit
}

fn sql(args: SqlArgs, runtime: &Arc<Runtime>) -> Result<Exit, Error> {
    let SqlArgs {
        url,
        profile,
        sign_in,
        run,
    } = args;
    let (target, session) = match (url, profile) {
        (Some(url), _) => {
            let target = Target {
                url,
                ca_pem: sign_in::ca(&sign_in)?,
                server: None,
            };
            (target, None)
        }
        (None, profile) => {
            let (target, session) = profile::load(profile.as_deref().unwrap_or("default"))?;
            (target, Some(session))
        }
    };
    let (credentials, proof) = match session {
        None => match sign_in::read(&sign_in)? {
            SignIn::Password { user, password } => {
                let who = Who::Password {
                    user: user.clone(),
                    password: password.clone(),
                };
                (SignIn::Password { user, password }, Some(who))
            }
            SignIn::Bearer(token) => (SignIn::Bearer(token), None),
        },
        Some(profile::Session::Bearer(bearer)) => (SignIn::Bearer(bearer), None),
        Some(profile::Session::Login(kept)) => {
            let ca = target.ca_pem.as_deref().unwrap_or_default();
            let proof = Proof::Login(kept.secret);
            let (desk, token) = runtime.block_on(async {
                let desk = Desk::at(&kept.authority, ca)?;
                let token = desk.issue_token(&proof, &kept.server, None).await?;
                Ok::<_, Error>((desk, token))
            })?;
            let credentials = SignIn::Bearer(token.text.into());
            (credentials, Some(Who::Login { desk, proof }))
        }
    };
    let person = proof.map(|who| Person {
        who,
        ca_pem: target.ca_pem.clone(),
    });
    let client = runtime.block_on(Client::connect(&target, credentials))?;
    statements(Connection::new(client, person), &run, runtime)
}

/// Runs what the arguments name; without any, what comes in a pipe; on a terminal, a shell.
fn statements(
    mut client: Connection,
    run: &RunArgs,
    runtime: &Arc<Runtime>,
) -> Result<Exit, Error> {
    let RunArgs {
        command,
        file,
        format,
    } = run;
    let mut texts = command.clone();
    if let Some(file) = file {
        texts.push(
            std::fs::read_to_string(file)
                .map_err(|error| wrong(format!("`{}` cannot be read: {error}", file.display())))?,
        );
    }
    if texts.is_empty() {
        if std::io::stdin().is_terminal() {
            return Shell::new(client, Arc::clone(runtime), *format).interact();
        }
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| wrong(format!("standard input cannot be read: {error}")))?;
        texts.push(text);
    }
    let format = format.unwrap_or_else(Format::usual);
    let timing = std::io::stdout().is_terminal();
    runtime.block_on(async {
        for text in &texts {
            run_text(&mut client, text, format, timing).await?;
        }
        Ok(Exit::Ok)
    })
}

async fn token(args: TokenArgs) -> Result<Exit, Error> {
    let TokenArgs {
        audience,
        lifetime,
        at,
    } = args;
    let at = at_authority::of(&at)?;
    let audience = server(&audience)?;
    let token = at.desk.issue_token(&at.proof, &audience, lifetime).await?;
    if std::io::stdout().is_terminal() {
        note(&format!(
            "whoever has this token is let in at `{audience}` in your name while it lives; keep it out of files and histories"
        ));
    }
    print_line(&token.text)
}

async fn print_join_token(args: JoinTokenArgs) -> Result<Exit, Error> {
    let JoinTokenArgs { server: id, at } = args;
    let at = at_authority::of(&at)?;
    let token = join_token(&at.url, &at.ca_pem, &at.proof, &server(&id)?).await?;
    print_line(&token.to_string())
}

fn coordinator(args: &ServeArgs, runtime: &Runtime) -> Result<Exit, Error> {
    let flags = flags(&args.set)?;
    let loaded = load(args.config.as_deref(), &flags, &CoordinatorConfig::KEYS)?;
    if args.print_config {
        return explain(&loaded);
    }
    let until = until(args);
    let _leftovers = leftovers(args);
    runtime
        .block_on(serve::coordinator::run(loaded, until))
        .map(|()| Exit::Ok)
}

fn node(args: &NodeArgs, runtime: &Runtime) -> Result<Exit, Error> {
    let NodeArgs {
        serve,
        domain,
        data,
        join,
    } = args;
    let mut flags = flags(&serve.set)?;
    let mut flag = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            flags.insert(key.to_owned(), value);
        }
    };
    flag("node.domain", domain.clone());
    flag(
        "node.data",
        data.as_ref().map(|path| path.display().to_string()),
    );
    flag("coordinator.url", join.clone());
    let loaded: Loaded<NodeConfig> = load(serve.config.as_deref(), &flags, &NodeConfig::KEYS)?;
    if serve.print_config {
        return explain(&loaded);
    }
    let until = until(serve);
    let _leftovers = leftovers(serve);
    let alone = serve.config.is_none() && loaded.settings.coordinator.is_none();
    if alone {
        runtime
            .block_on(standalone::run(loaded.settings, until))
            .map(|()| Exit::Ok)
    } else {
        runtime
            .block_on(serve::node::run(loaded.settings, until))
            .map(|()| Exit::Ok)
    }
}

fn authority(args: &AuthorityArgs, runtime: &Runtime) -> Result<Exit, Error> {
    if args.hash_password {
        let mut password = String::new();
        std::io::stdin()
            .read_line(&mut password)
            .map_err(|error| wrong(format!("standard input cannot be read: {error}")))?;
        return print_line(&weft_authority::hash_password(
            password.trim_end_matches(['\r', '\n']),
        )?);
    }
    let loaded: Loaded<AuthorityConfig> = load(
        args.config.as_deref(),
        &flags(&args.set)?,
        &AuthorityConfig::KEYS,
    )?;
    if args.print_config {
        return explain(&loaded);
    }
    runtime
        .block_on(serve::authority::run(loaded.settings))
        .map(|()| Exit::Ok)
}

fn until(args: &ServeArgs) -> Until {
    if args.supervised {
        Until::ParentGone
    } else {
        Until::Signal
    }
}

fn leftovers(args: &ServeArgs) -> Option<Leftovers> {
    args.leftovers.clone().map(Leftovers::of_parent)
}

fn explain<T>(loaded: &Loaded<T>) -> Result<Exit, Error> {
    print_line(loaded.explain().trim_end())
}

fn flags(set: &[String]) -> Result<BTreeMap<String, String>, Error> {
    set.iter()
        .map(|flag| {
            let (key, value) = flag
                .split_once('=')
                .ok_or_else(|| wrong(format!("`--set {flag}` is not KEY=VALUE")))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn server(text: &str) -> Result<ServerId, Error> {
    text.parse()
        .map_err(|error: weft_governance::id::InvalidId| wrong(error.to_string()))
}

fn print_line(text: &str) -> Result<Exit, Error> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}")
        .map_err(|error| wrong(format!("standard output cannot be written: {error}")))?;
    Ok(Exit::Ok)
}

pub(crate) fn read_secret(file: &Path) -> Result<zeroize::Zeroizing<String>, Error> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("`{}` cannot be read: {error}", file.display())))?;
    Ok(zeroize::Zeroizing::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

pub(crate) fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}
