//! All that a client is told about a statement, as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::client::{Client, Failure};
use crate::compare::Rows;

/// What was told, by what it was asked for.
pub(crate) type Told = BTreeMap<&'static str, String>;

/// What `client` is told of `sql`. An order that says nothing is not compared.
pub(crate) async fn answer(client: &mut Client, sql: &str, ordered: bool) -> String {
    match client.query(sql).await {
        Ok(rows) if ordered => shown(rows),
        Ok(rows) => shown(rows.sorted()),
        Err(error) => failed(&error),
    }
}

/// Rows with their names.
pub(crate) fn shown(rows: Rows) -> String {
    numbered(&format!("{}\n{rows}", rows.columns().join(" | ")))
}

/// Everything about an error.
pub(crate) fn failed(error: &Failure) -> String {
    let mut text = format!("{:?} {} {error}", error.kind(), error.code());
    if let Some(hint) = error.hint() {
        write!(text, "\n{hint}").expect("a text");
    }
    if let Some(domain) = error.domain() {
        write!(text, "\nat {domain}").expect("a text");
    }
    numbered(&text)
}

/// `text` with the ids of grants, queries and incidents numbered as they come: they are made by
/// chance.
pub(crate) fn numbered(text: &str) -> String {
    let mut known: Vec<&str> = Vec::new();
    let mut numbered = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match rest.get(..36).filter(|start| is_id(start)) {
            Some(id) => {
                let number = known.iter().position(|it| *it == id).unwrap_or(known.len());
                if number == known.len() {
                    known.push(id);
                }
                write!(numbered, "<id {number}>").expect("a text");
                rest = &rest[36..];
            }
            None => {
                numbered.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    numbered
}

/// What was not told alike.
pub(crate) fn differences(left: &Told, right: &Told) -> Vec<&'static str> {
    let aspects = left.keys().copied();
    aspects
        .filter(|aspect| left.get(aspect) != right.get(aspect))
        .collect()
}

/// The code of what failed.
pub(crate) fn failure_code(told: &str) -> Option<&str> {
    let mut words = told.lines().next()?.split(' ');
    words.nth(1).filter(|word| word.starts_with("WEFT-"))
}

fn is_id(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
