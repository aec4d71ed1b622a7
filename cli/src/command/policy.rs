//! `weft policy`: the mesh's federated policy, from its first line to its publication.

mod simulate;

use std::collections::BTreeMap;
use std::path::Path;

use weft_governance::Error;
use weft_wire::identity::write_private;
use weft_wire::policy::{PolicyBundle, PolicyKey, Representatives};

use super::{at_authority, print_line, read_secret, wrong};
use crate::args::{
    PolicyArgs, PolicyCheckArgs, PolicyCommand, PolicyKeyArgs, PolicyPublishArgs, PolicySignArgs,
};
use crate::config::{Loaded, NodeConfig, load};
use crate::exit::{Exit, note};

/// Runs `weft policy`.
///
/// # Errors
/// `WEFT-POLICY` if a policy is malformed or its signatures do not count, `WEFT-SETTINGS` if a file
/// cannot be used.
pub(super) async fn run(args: PolicyArgs) -> Result<Exit, Error> {
    match args.command {
        PolicyCommand::Key(args) => key(&args),
        PolicyCommand::Sign(args) => sign(&args),
        PolicyCommand::Check(args) => check(&args),
        PolicyCommand::Publish(args) => publish(&args).await,
        PolicyCommand::Simulate(args) => simulate::run(&args).await,
    }
}

fn key(args: &PolicyKeyArgs) -> Result<Exit, Error> {
    let file = &args.out;
    if file.exists() {
        let message = format!(
            "`{}` is there, and a key is not written over",
            file.display()
        );
        return Err(wrong(message).with_hint("Name a new file with --out."));
    }
    let key = PolicyKey::generate()?;
    let public = key.public()?;
    write_private(file, key.to_pem().as_bytes())
        .map_err(|error| wrong(format!("`{}` cannot be written: {error}", file.display())))?;
    note(&format!(
        "The private key is in `{}`; it stays with the representative.\nEvery node pins the public key in its settings: [policy.representatives] DOMAIN = \"…\"",
        file.display()
    ));
    print_line(&public.to_string())
}

fn sign(args: &PolicySignArgs) -> Result<Exit, Error> {
    let PolicySignArgs {
        policy,
        domain,
        key,
        bundle: file,
    } = args;
    let document = text(policy)?;
    let key = PolicyKey::from_pem(&read_secret(key)?)
        .map_err(|error| wrong(format!("`{}`: {error}", key.display())))?;
    let mut bundle = match file.exists() {
        true => bundle(file)?,
        false => PolicyBundle::new(document.clone()),
    };
    if bundle.document != document {
        let message = format!(
            "`{}` holds another policy than `{}`",
            file.display(),
            policy.display()
        );
        return Err(wrong(message).with_hint(
            "A signature is under the exact bytes of a policy. Sign into a new file, or take the policy that the others signed.",
        ));
    }
    bundle.sign(domain, &key)?;
    std::fs::write(file, bundle.to_json())
        .map_err(|error| wrong(format!("`{}` cannot be written: {error}", file.display())))?;
    let (head, signatures) = (bundle.head()?, bundle.signatures.len());
    note(&format!(
        "signed {head} for `{domain}`; signatures in `{}`: {signatures}",
        file.display()
    ));
    Ok(Exit::Ok)
}

fn check(args: &PolicyCheckArgs) -> Result<Exit, Error> {
    let bundle = bundle(&args.bundle)?;
    let policy = bundle.policy()?;
    print_line(&bundle.head()?.to_string())?;
    for rule in &policy.rules {
        print_line(&format!("rule {}", rule.name))?;
    }
    let Some(config) = &args.config else {
        for signature in &bundle.signatures {
            let (domain, key) = (&signature.domain, &signature.key_id);
            print_line(&format!("signature of {domain} with key {key}"))?;
        }
        note(
            "whose signatures count was not checked; name a node's settings with --config for that",
        );
        return Ok(Exit::Ok);
    };
    let signed = pinned(config)?.verify(&bundle)?;
    for domain in &signed.signers {
        print_line(&format!("signed by {domain}"))?;
    }
    for reason in &signed.ignored {
        note(reason);
    }
    print_line("enough representatives have signed it")
}

/// Whose signatures count at the node with these settings.
fn pinned(config: &Path) -> Result<Representatives, Error> {
    let settings = node(config)?.settings.policy.ok_or_else(|| {
        let message = format!("`{}` has no section `policy`", config.display());
        wrong(message).with_hint("It names `mesh`, `threshold` and `representatives`.")
    })?;
    Representatives::new(
        &settings.mesh,
        settings.threshold,
        &settings.representatives,
    )
}

fn node(config: &Path) -> Result<Loaded<NodeConfig>, Error> {
    load(Some(config), &BTreeMap::new(), &NodeConfig::KEYS)
}

async fn publish(args: &PolicyPublishArgs) -> Result<Exit, Error> {
    let PolicyPublishArgs { bundle: file, at } = args;
    let bundle = bundle(file)?;
    let head = bundle.head()?;
    let at = at_authority::of(at)?;
    at.desk.publish_policy(&at.proof, bundle).await?;
    note(&format!(
        "published {head}; nodes follow it within seconds if enough representatives signed it"
    ));
    Ok(Exit::Ok)
}

fn bundle(file: &Path) -> Result<PolicyBundle, Error> {
    PolicyBundle::from_json(&text(file)?)
}

fn text(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("`{}` cannot be read: {error}", file.display())))
}
