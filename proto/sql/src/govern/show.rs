//! SHOW GRANTS, EFFECTIVE ACCESS, REQUESTS and RECEIPTS.

use weft_governance::Error;

use super::Govern;
use super::grant::grantee;
use super::object::Object;
use super::reader::Reader;

/// Reads what follows SHOW GRANTS.
pub(super) fn grants(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    let on = match reader.take("ON") {
        true => Some(Object::read(reader)?),
        false => None,
    };
    let to = match reader.take("FOR") {
        true => Some(grantee(reader, "USER or GROUP after FOR")?),
        false => None,
    };
    Ok(Govern::ShowGrants { on, to })
}

/// Reads what follows SHOW EFFECTIVE.
pub(super) fn effective_access(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    reader.expect("ACCESS ON")?;
    let on = Object::read(reader)?;
    let principal = match reader.take("FOR") {
        true => {
            reader.expect("PRINCIPAL")?;
            Some(reader.name("a principal")?)
        }
        false => None,
    };
    Ok(Govern::ShowEffectiveAccess { on, principal })
}

/// Reads what follows SHOW REQUESTS.
pub(super) fn requests(_: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    Ok(Govern::ShowRequests)
}

/// Reads what follows SHOW RECEIPTS.
pub(super) fn receipts(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    reader.expect("FOR QUERY")?;
    let query = reader.parsed("a query's id")?;
    Ok(Govern::ShowReceipts { query })
}
