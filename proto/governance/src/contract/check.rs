//! Checks across a whole contract: names that clash and references that lead nowhere.

use std::collections::BTreeMap;

use super::Contract;
use super::fault::{At, Faults};
use super::property::Property;
use super::schema_object::SchemaObject;

/// Adds what is wrong with `contract` as a whole to `faults`.
pub(super) fn check(contract: &Contract, faults: &mut Faults) {
    let objects = contract
        .schema
        .iter()
        .map(|object| (object.name.as_str(), object.at));
    check_names(objects, "schema object", faults);
    for object in &contract.schema {
        check_properties(&object.properties, faults);
        check_relationships(contract, object, faults);
    }
}

fn check_properties(properties: &[Property], faults: &mut Faults) {
    let names = properties
        .iter()
        .map(|property| (property.name.as_str(), property.at));
    check_names(names, "property", faults);
    for property in properties {
        check_properties(&property.properties, faults);
        if let Some(items) = &property.items {
            check_properties(&items.properties, faults);
        }
    }
}

/// No two names may be equal, not even after folding to lower case: SQL could not tell them apart.
fn check_names<'a>(names: impl Iterator<Item = (&'a str, At)>, what: &str, faults: &mut Faults) {
    let mut seen: BTreeMap<String, (&str, At)> = BTreeMap::new();
    for (name, at) in names {
        match seen.get(&name.to_lowercase()) {
            Some((first, line)) if *first == name => {
                faults.add(
                    at,
                    format!("{what} `{name}` is already declared in line {}", line.line),
                );
            }
            Some((first, line)) => {
                let message = format!(
                    "{what} `{name}` and `{first}` in line {} are one name after folding to lower case",
                    line.line
                );
                faults.add(at, message);
            }
            None => {
                seen.insert(name.to_lowercase(), (name, at));
            }
        }
    }
}

fn check_relationships(contract: &Contract, object: &SchemaObject, faults: &mut Faults) {
    for relationship in &object.relationships {
        for reference in relationship.from.iter().chain(&relationship.to) {
            match resolve(contract, reference) {
                Target::Found | Target::Elsewhere => {}
                Target::NoObject(name) => faults.add(
                    relationship.at,
                    format!(
                        "reference `{reference}` leads nowhere: there is no schema object `{name}`"
                    ),
                ),
                Target::NoProperty(fault) => faults.add(relationship.at, fault),
            }
        }
    }
    check_property_relationships(contract, &object.properties, faults);
}

/// A column may refer to a table that another contract declares; a table of this contract must
/// have the column.
fn check_property_relationships(contract: &Contract, properties: &[Property], faults: &mut Faults) {
    for property in properties {
        for relationship in &property.relationships {
            for reference in &relationship.to {
                match resolve(contract, reference) {
                    Target::Found | Target::Elsewhere | Target::NoObject(_) => {}
                    Target::NoProperty(fault) => faults.add(relationship.at, fault),
                }
            }
        }
        check_property_relationships(contract, &property.properties, faults);
        if let Some(items) = &property.items {
            check_property_relationships(contract, std::slice::from_ref(items), faults);
        }
    }
}

/// What a reference leads to.
enum Target {
    Found,
    Elsewhere,
    NoObject(String),
    NoProperty(String),
}

fn resolve(contract: &Contract, reference: &str) -> Target {
    if reference.contains('#') {
        return Target::Elsewhere;
    }
    let path = reference.strip_prefix('/').unwrap_or(reference);
    if path.contains('/') {
        resolve_ids(contract, path)
    } else {
        resolve_names(contract, path)
    }
}

/// `object.property` and deeper.
fn resolve_names(contract: &Contract, reference: &str) -> Target {
    let mut names = reference.split('.');
    let object_name = names.next().unwrap_or_default();
    let Some(object) = contract
        .schema
        .iter()
        .find(|object| object.name == object_name)
    else {
        return Target::NoObject(object_name.to_owned());
    };
    let names: Vec<&str> = names.collect();
    walk(reference, object, &names, |property| {
        Some(property.name.as_str())
    })
}

/// `schema/ID/properties/ID` and deeper.
fn resolve_ids(contract: &Contract, reference: &str) -> Target {
    let steps: Vec<&str> = reference.split('/').collect();
    let ["schema", object_id, rest @ ..] = steps.as_slice() else {
        // Other sections of the contract can be referred to as well; they are not read.
        return Target::Elsewhere;
    };
    let found = contract
        .schema
        .iter()
        .find(|object| object.id.as_deref() == Some(*object_id));
    let Some(object) = found else {
        return Target::NoObject((*object_id).to_owned());
    };
    let ids: Vec<&str> = rest.iter().copied().skip(1).step_by(2).collect();
    walk(reference, object, &ids, |property| property.id.as_deref())
}

/// Follows `steps` down from `object` by what `called` says of each property.
fn walk(
    reference: &str,
    object: &SchemaObject,
    steps: &[&str],
    called: impl Fn(&Property) -> Option<&str>,
) -> Target {
    if steps.is_empty() {
        return Target::NoProperty(format!("reference `{reference}` names no property"));
    }
    let mut properties = object.properties.as_slice();
    for step in steps {
        let Some(property) = properties
            .iter()
            .find(|property| called(property) == Some(*step))
        else {
            return Target::NoProperty(format!(
                "reference `{reference}` leads nowhere: schema object `{}` has no property `{step}`",
                object.name
            ));
        };
        properties = match &property.items {
            Some(items) if property.properties.is_empty() => &items.properties,
            _ => &property.properties,
        };
    }
    Target::Found
}
