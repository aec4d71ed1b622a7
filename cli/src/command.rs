//! What a person runs.

mod audit;
mod bench;
mod demo;
mod profile;
mod sign_in;
mod standalone;
mod user;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::join::{create_join_token, issue_token};

use crate::args::{
    AuthorityArgs, Command, DemoArgs, JoinTokenArgs, LoginArgs, NodeArgs, RunArgs, ServeArgs,
    SqlArgs, TokenArgs,
};
use crate::client::{Client, SignIn, Target};
use crate::config::{AuthorityConfig, CoordinatorConfig, Loaded, NodeConfig, load};
use crate::connection::{Connection, Person};
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
        Command::Login(args) => runtime.block_on(login(args)),
        Command::Token(args) => runtime.block_on(token(args)),
        Command::JoinToken(args) => runtime.block_on(join_token(args)),
        Command::User(args) => runtime.block_on(user::run(args.command)),
        Command::Coordinator(args) => coordinator(&args, runtime),
        Command::Node(args) => node(&args, runtime),
        Command::Authority(args) => authority(&args, runtime),
        Command::Audit(args) => audit::run(&args),
        Command::Bench(args) => runtime.block_on(bench::run(&args)),
        Command::BenchDatafusion(args) => runtime.block_on(bench::datafusion(&args)),
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
    let (target, credentials) = match (url, profile) {
        (Some(url), _) => (
            Target {
                url,
                ca_pem: sign_in::ca(&sign_in)?,
            },
            sign_in::read(&sign_in)?,
        ),
        (None, profile) => profile::load(profile.as_deref().unwrap_or("default"))?,
    };
    let person = match &credentials {
        SignIn::Password { user, password } => Some(Person {
            user: user.clone(),
            password: password.clone(),
            ca_pem: target.ca_pem.clone(),
        }),
        SignIn::Bearer(_) => None,
    };
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

async fn login(args: LoginArgs) -> Result<Exit, Error> {
    let LoginArgs {
        url,
        profile,
        sign_in,
    } = args;
    let target = Target {
        url,
        ca_pem: sign_in::ca(&sign_in)?,
    };
    let client = Client::connect(&target, sign_in::read(&sign_in)?).await?;
    let bearer = client
        .bearer()
        .ok_or_else(|| wrong("the server gave no session".to_owned()))?;
    profile::save(&profile, &target, bearer)?;
    note(&format!(
        "signed in; `weft sql --profile {profile}` uses this session"
    ));
    Ok(Exit::Ok)
}

async fn token(args: TokenArgs) -> Result<Exit, Error> {
    let TokenArgs {
        authority,
        audience,
        sign_in,
    } = args;
    let (user, password, ca) = at_authority(&sign_in)?;
    let token = issue_token(&authority, &ca, &user, &password, &server(&audience)?).await?;
    print_line(&token.text)
}

async fn join_token(args: JoinTokenArgs) -> Result<Exit, Error> {
    let JoinTokenArgs {
        authority,
        server: id,
        sign_in,
    } = args;
    let (user, password, ca) = at_authority(&sign_in)?;
    let token = create_join_token(&authority, &ca, &user, &password, &server(&id)?).await?;
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
        .block_on(serve::coordinator::run(loaded.settings, until))
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

fn at_authority(
    args: &crate::args::SignInArgs,
) -> Result<(String, zeroize::Zeroizing<String>, String), Error> {
    let ca = sign_in::ca(args)?.ok_or_else(|| {
        wrong("the authority's CA certificate is missing; name it with --ca".to_owned())
    })?;
    match sign_in::read(args)? {
        SignIn::Password { user, password } => Ok((user, password, ca)),
        SignIn::Bearer(_) => Err(wrong(
            "the authority takes a password, not a token".to_owned(),
        )),
    }
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
