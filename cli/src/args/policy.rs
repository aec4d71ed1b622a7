//! `weft policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use weft_governance::DomainId;

use super::AtAuthorityArgs;
use crate::output::Format;

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Make the key with which a domain's representative signs policies, and print its public part
    Key(PolicyKeyArgs),
    /// Add a representative's signature to a policy
    Sign(PolicySignArgs),
    /// Say what a signed policy is, and whether a node would follow it
    Check(PolicyCheckArgs),
    /// Hand a signed policy to the authority, from which all nodes fetch it
    Publish(PolicyPublishArgs),
    /// Show what a policy would change of the grants on domains, without publishing it
    Simulate(PolicySimulateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyKeyArgs {
    /// File for the private key, which is made
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySignArgs {
    /// The policy, YAML
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The domain that signs
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: DomainId,
    /// File with its representative's private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// File with the policy and its signatures; made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyCheckArgs {
    /// The policy with its signatures, as `weft policy sign` makes it
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Settings file of a node, whose section `policy` says whose signatures count
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyPublishArgs {
    /// The policy with its signatures, as `weft policy sign` makes it
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    #[command(flatten)]
    pub(crate) at: AtAuthorityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySimulateArgs {
    /// The policy: YAML, or with its signatures as `weft policy sign` makes it
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// Settings file of a node: its contracts, its grants and its event log are read, and its grants
    /// compared; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) config: Vec<PathBuf>,
    /// How to print rows: a table on a terminal, CSV in a pipe unless this is given
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
}
