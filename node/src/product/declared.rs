//! A table as the contract declares it.

use weft_governance::TableRef;
use weft_governance::contract::{ApiVersion, Property, SchemaObject};

use super::problem::Trouble;
use crate::contract::Misfit;

/// A schema object that becomes a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'a> {
    pub(super) table: &'a TableRef,
    pub(super) object: &'a SchemaObject,
    pub(super) version: ApiVersion,
}

impl<'a> Declared<'a> {
    /// The columns in order.
    pub(super) fn columns(&self) -> &'a [Property] {
        &self.object.properties
    }

    /// Something wrong with the table as a whole.
    pub(super) fn trouble(&self, message: impl AsRef<str>) -> Trouble {
        let message = format!("table `{}`: {}", self.object.name, message.as_ref());
        Trouble::contract(self.object.at, message)
    }

    /// A column whose data is not what the contract says; `file` is where, if it is in one.
    pub(super) fn misfit(&self, column: &Property, misfit: &Misfit, file: Option<&str>) -> Trouble {
        let place = file.map(|file| format!(" in `{file}`")).unwrap_or_default();
        let message = format!("table `{}`: column {misfit}{place}", self.object.name);
        Trouble::contract(column.at, message)
    }

    /// A column that is not in `file`, which has the columns `found`.
    pub(super) fn missing<'f>(
        &self,
        column: &Property,
        file: &str,
        found: impl Iterator<Item = &'f str>,
    ) -> Trouble {
        let wanted = column.source_name();
        let name = match wanted == column.name {
            true => format!("`{wanted}`"),
            false => format!("`{}` (`physicalName` `{wanted}`)", column.name),
        };
        let message = format!(
            "table `{}`: column {name} is not in `{file}`",
            self.object.name
        );
        let trouble = Trouble::contract(column.at, message);
        let near = found
            .filter(|name| *name == column.name || name.eq_ignore_ascii_case(wanted))
            .min_by_key(|name| *name != column.name);
        match near {
            Some(near) => trouble.with_hint(format!(
                "The file has a column `{near}`: if that is meant, say so as `physicalName`."
            )),
            None => trouble,
        }
    }
}
