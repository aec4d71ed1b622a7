//! Weft: a federated SQL engine for a data mesh. The only program; its subcommands are the roles.

mod args;
mod client;
mod command;
mod config;
mod connection;
mod exit;
mod output;
mod serve;
mod shell;
mod telemetry;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, report};

/// Stack of a worker thread: deep plans are polled recursively.
const STACK: usize = 16 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    weft_wire::identity::install_crypto_provider();
    let serves = matches!(
        cli.command,
        Command::Coordinator(_) | Command::Node(_) | Command::Authority(_)
    );
    telemetry::start(if serves { "info" } else { "error" });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            report(&weft_governance::Error::new(
                weft_governance::ErrorKind::Internal,
                weft_governance::code::INTERNAL,
                format!("no threads can be started: {error}"),
            ));
            return Exit::Query.into();
        }
    };
    let exit = match command::run(cli.command, &runtime) {
        Ok(exit) => exit,
        Err(error) => {
            report(&error);
            Exit::of(&error)
        }
    };
    // A prompt or a slow name look-up may still hold a thread; nobody waits for it.
    if let Some(runtime) = Arc::into_inner(runtime) {
        runtime.shutdown_background();
    }
    exit.into()
}
