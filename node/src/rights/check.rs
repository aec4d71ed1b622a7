//! Whether a right fits what the domain serves, and is one that its node can enforce.

use weft_governance::{Asker, Columns, DomainId, Error, ErrorKind, Grant, Principal, code};
use weft_sql::govern::{AccessRequest, NewGrant, Object};

use crate::enforce::Policy;
use crate::product::{Product, Table};

use super::state::{Request, State};

/// One grant for each table of `grant`, all under the name `id`.
///
/// # Errors
/// `WEFT-NOT-FOUND` for a product, table or column that there is not, `WEFT-UNSUPPORTED` for what
/// would not be enforced.
pub(super) fn expand(id: &str, grant: &NewGrant, policy: &Policy) -> Result<Vec<Grant>, Error> {
    let tables = named(&grant.on, policy, |_, _| true)?;
    tables
        .into_iter()
        .map(|table| {
            check_columns(grant, table)?;
            Ok(grant.on_table(id, table.reference.clone()))
        })
        .collect()
}

/// The tables of `on`, if they are among those that the asker `knows`.
///
/// # Errors
/// `WEFT-NOT-FOUND` if there is none.
pub(super) fn named<'a>(
    on: &Object,
    policy: &'a Policy,
    knows: impl Fn(&Product, &Table) -> bool,
) -> Result<Vec<&'a Table>, Error> {
    let domain = policy.domain();
    if on.domain() != domain {
        return Err(elsewhere(on.domain(), domain));
    }
    let known = |product: &'a Product| {
        let tables = product.tables.iter();
        let tables: Vec<&Table> = tables.filter(|table| knows(product, table)).collect();
        (!tables.is_empty()).then_some((&product.reference, tables))
    };
    let products: Vec<_> = policy.products().iter().filter_map(known).collect();
    let product = products.iter().find(|(name, _)| *name == on.product());
    let (_, tables) = product.ok_or_else(|| {
        let names = products.iter().map(|(name, _)| name.product());
        missing("product", on.product().product(), names)
    })?;
    let Object::Table(wanted) = on else {
        return Ok(tables.clone());
    };
    let found = tables.iter().find(|it| it.reference == *wanted);
    let found = found.ok_or_else(|| {
        let names = tables.iter().map(|it| it.reference.table());
        missing("table", wanted.table(), names)
    })?;
    Ok(vec![found])
}

fn check_columns(grant: &NewGrant, table: &Table) -> Result<(), Error> {
    let named = match &grant.columns {
        Columns::All => None,
        Columns::Only(columns) => Some(columns.iter()),
    };
    let masked = grant.conditions.masks.keys();
    for column in named.into_iter().flatten().chain(masked) {
        let fields = table.schema.fields().iter();
        if table.schema.field_with_name(column).is_err() {
            let names = fields.map(|field| field.name().as_str());
            return Err(missing("column", column, names));
        }
    }
    Ok(())
}

/// # Errors
/// Unless `asker` may know of what `request` names, and it is there.
pub(super) fn requestable(
    request: &AccessRequest,
    asker: &Asker<'_>,
    policy: &Policy,
) -> Result<(), Error> {
    let visible = policy.visible_tables(asker);
    named(&request.on, policy, |product, _| {
        let mut visible = visible.iter();
        product.is_discoverable() || visible.any(|it| *it.table.product() == product.reference)
    })?;
    // Which columns there are is for the owner to say.
    Ok(())
}

/// The request `id`, if it waits for an answer.
///
/// # Errors
/// `WEFT-NOT-FOUND` if there is none.
pub(super) fn open<'a>(state: &'a State, id: &str) -> Result<&'a Request, Error> {
    let request = state.requests.get(id);
    let open = request.filter(|request| request.answer.is_none());
    open.ok_or_else(|| {
        let message = match request {
            Some(_) => format!("request `{id}` was answered before"),
            None => format!("there is no request `{id}`"),
        };
        Error::new(ErrorKind::NotFound, code::NOT_FOUND, message)
            .with_hint("SHOW REQUESTS lists the ids and the answers.")
    })
}

/// The refusal of an owner who would answer for themselves.
pub(super) fn own_request() -> Error {
    let message = "nobody approves a request of their own";
    Error::new(ErrorKind::PermissionDenied, code::NOT_GRANTED, message)
        .with_hint("Ask another owner of the domain.")
}

/// The refusal of somebody who asks and asks.
pub(super) fn too_many_requests() -> Error {
    let message = "too many requests of yours wait for an answer";
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("SHOW REQUESTS lists them.")
}

/// The refusal of somebody who owns nothing here.
pub(super) fn not_an_owner(who: &Principal, domain: &DomainId) -> Error {
    let message =
        format!("`{who}` is no owner of domain `{domain}`, and only owners change rights");
    Error::new(ErrorKind::PermissionDenied, code::NOT_GRANTED, message).with_hint(format!(
        "Ask an owner; `owners` in the settings of the nodes of `{domain}` says who that is."
    ))
}

/// There is no grant `id` that could be taken back.
pub(super) fn no_grant(id: &str, configured: &[Grant]) -> Error {
    if configured.iter().any(|grant| grant.id == id) {
        let message = format!("grant `{id}` comes from the node's configuration");
        return Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
            .with_hint("Remove it there and start the node again.");
    }
    let message = format!("there is no grant `{id}`");
    Error::new(ErrorKind::NotFound, code::NOT_FOUND, message)
        .with_hint("SHOW GRANTS lists the ids.")
}

fn elsewhere(named: &DomainId, own: &DomainId) -> Error {
    let message = format!("this is a node of `{own}`, and rights on `{named}` are its owner's");
    Error::new(ErrorKind::InvalidInput, code::PLAN, message)
        .with_hint(format!("Connect to a node of `{named}`."))
}

/// The one of `known` that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|known| strsim::damerau_levenshtein(known, name))
}

fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::new(
        ErrorKind::NotFound,
        code::NOT_FOUND,
        format!("there is no {what} `{name}`"),
    );
    match nearest(name, known) {
        Some(nearest) => error.with_hint(format!("The nearest is `{nearest}`.")),
        None => error,
    }
}
