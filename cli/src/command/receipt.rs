//! `weft receipt`: whether a node signed what a receipt says, without the node.

use std::io::Read;
use std::path::Path;

use weft_governance::Error;
use weft_wire::identity::MeshCa;
use weft_wire::receipt::{FORM, Receipt};

use super::{print_line, wrong};
use crate::args::{ReceiptArgs, ReceiptCommand, ReceiptVerifyArgs};
use crate::exit::{Exit, note};

/// Runs `weft receipt`.
///
/// # Errors
/// `WEFT-UNAUTHENTICATED` for the first receipt that does not hold, `WEFT-SETTINGS` if a file cannot
/// be read or holds none.
pub(super) fn run(args: &ReceiptArgs) -> Result<Exit, Error> {
    match &args.command {
        ReceiptCommand::Verify(args) => verify(args),
    }
}

fn verify(args: &ReceiptVerifyArgs) -> Result<Exit, Error> {
    let ReceiptVerifyArgs { file, ca } = args;
    let ca = match ca {
        Some(file) => {
            let ca = MeshCa::from_pem(&text(file)?);
            Some(ca.map_err(|error| wrong(format!("--ca: {error}")))?)
        }
        None => {
            note("whose certificates signed the receipts was not checked; name --ca for that");
            None
        }
    };
    let text = text(file)?;
    let receipts: Vec<&str> = found(&text).collect();
    if receipts.is_empty() {
        let message = format!("there is no receipt in `{}`", file.display());
        return Err(wrong(message).with_hint(
            "`SHOW RECEIPTS FOR QUERY 'id'` shows them, in its last column; save it with --format csv.",
        ));
    }
    for receipt in receipts {
        let read = match &ca {
            Some(ca) => Receipt::verify(receipt, ca),
            None => Receipt::read(receipt),
        }?;
        print_line(&report(&read))?;
    }
    Ok(Exit::Ok)
}

/// Whatever looks like a receipt, however it is quoted.
fn found(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let words = text.split(move |c: char| !is_part(c));
    words.filter(|word| word.starts_with(FORM))
}

fn report(receipt: &Receipt) -> String {
    let Receipt {
        node,
        query,
        fragment,
        principal,
        rows,
        bytes,
        at,
        complete,
        ..
    } = receipt;
    let tables: Vec<String> = receipt.tables.iter().map(ToString::to_string).collect();
    let purpose = match &receipt.purpose {
        Some(purpose) => format!(" for `{purpose}`"),
        None => String::new(),
    };
    let all = if *complete { "all" } else { "a part" };
    format!(
        "{node} signed: query {query}, fragment {fragment}, {principal}{purpose} read {}; {all} of the \
         answer, {rows} rows of {bytes} bytes, at {at}",
        tables.join("; ")
    )
}

fn text(file: &Path) -> Result<String, Error> {
    let read = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(file),
    };
    read.map_err(|error| wrong(format!("`{}` cannot be read: {error}", file.display())))
}
