//! What is printed parses back to the same value.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use weft_governance::{
    Action, Columns, DomainId, FlowTo, GroupSize, KeyDisclosure, Limits, Mask, ProductRef,
    Timestamp,
};

use super::*;

/// Names that look like keywords, need quotes, or hold quotes.
const NASTY: [&str; 24] = [
    "a", "_", "from", "until", "where", "select", "min", "group", "for", "to", "Orders", "o 2",
    "a.b", "\"", "\"\"", "it's", "''", "a\"b", "--", "/*", "ä", "Ä", "1st", ";",
];

/// Texts of `least` to `most` characters of `alphabet`.
fn of(alphabet: &str, least: usize, most: usize) -> impl Strategy<Value = String> + use<> {
    let characters: Vec<char> = alphabet.chars().collect();
    vec(select(characters), least..=most).prop_map(|characters| characters.into_iter().collect())
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&NASTY[..]).prop_map(str::to_owned),
        of("abcxyz_", 1, 8),
        of("abcXYZ019'\" ,;()$?`*-_äß", 1, 12),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    let printable = any::<char>().prop_filter("no control character", |c| {
        !c.is_control() && !matches!(c, '\u{61c}' | '\u{200b}'..='\u{2069}' | '\u{feff}')
    });
    let printable = vec(printable, 1..10).prop_map(|characters| characters.iter().collect());
    let text = prop_oneof![
        of("abcxyz", 1, 8),
        of("abcXYZ019'\"\\ ;,?$%()-", 1, 20),
        printable,
    ];
    text.prop_map(|text: String| text.trim().to_owned())
        .prop_filter("a text has something to say", |text| !text.is_empty())
}

fn domains() -> impl Strategy<Value = DomainId> {
    let name = (of("abcxyz", 1, 1), of("abcxyz019_-", 0, 6)).prop_map(|(a, b)| a + &b);
    prop_oneof![Just("any".to_owned()), name].prop_filter_map("a domain", |name| name.parse().ok())
}

fn objects() -> impl Strategy<Value = Object> {
    (domains(), names(), names(), any::<bool>()).prop_filter_map(
        "a product or table",
        |(domain, product, table, whole)| {
            let product = ProductRef::new(domain, &product).ok()?;
            match whole {
                true => Some(Object::Product(product)),
                false => product.table(&table).ok().map(Object::Table),
            }
        },
    )
}

fn moments() -> impl Strategy<Value = Timestamp> {
    let whole = (-62_167_219_200..253_402_300_800_i64).prop_map(|seconds| seconds * 1_000_000);
    let any = -62_167_219_200_000_000..253_402_300_800_000_000_i64;
    prop_oneof![whole, any].prop_map(|micros| Timestamp::from_micros(micros).expect("in range"))
}

fn columns() -> impl Strategy<Value = Columns> {
    let only = btree_set(names(), 1..4).prop_map(Columns::Only);
    prop_oneof![Just(Columns::All), only]
}

fn grantees() -> impl Strategy<Value = Grantee> {
    prop_oneof![
        names().prop_map(Grantee::User),
        names().prop_map(Grantee::Group)
    ]
}

fn actions() -> impl Strategy<Value = Action> {
    let aggregate = (2..=u64::MAX).prop_map(|rows| Action::Aggregate {
        min_group_size: GroupSize::try_from(rows).expect("two or more"),
    });
    prop_oneof![Just(Action::Select), aggregate]
}

/// Conditions with nasty columns and texts; those without a canonical text are left out.
fn filters() -> impl Strategy<Value = RowFilter> {
    let column = names().prop_map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    let bare = select(&["flag", "O_Key", "mask", "keys", "t.a"][..]).prop_map(str::to_owned);
    let column = prop_oneof![column, bare];
    let text = texts().prop_map(|text| format!("'{}'", text.replace('\'', "''")));
    let shape = select(
        &[
            "C = T",
            "C IS NULL OR NOT C",
            "C IN (T, T) AND (C OR C)",
            "C LIKE T",
            "UPPER(C) <> principal_attribute(T)",
            "CASE WHEN C THEN T = C ELSE false END",
            "C BETWEEN -1 AND 2.5",
            "CAST(C AS DATE) < DATE '2026-01-01'",
            "coalesce(C, T) || T = C",
            "EXTRACT(YEAR FROM C) = 2020",
        ][..],
    );
    (shape, vec(column, 4), vec(text, 4)).prop_filter_map(
        "a filter with a canonical text",
        |(shape, columns, texts)| {
            let mut sql = String::new();
            let (mut columns, mut texts) = (columns.into_iter(), texts.into_iter());
            for word in shape.split_inclusive([' ', '(', ')', ',']) {
                let (head, tail) = word.split_at(word.len().min(1));
                let stands_alone = !tail.starts_with(|c: char| c.is_ascii_alphabetic());
                match head {
                    "C" if stands_alone => sql.push_str(&(columns.next()? + tail)),
                    "T" if stands_alone => sql.push_str(&(texts.next()? + tail)),
                    _ => sql.push_str(word),
                }
            }
            let mut parser = Parser::new(&GenericDialect {}).try_with_sql(&sql).ok()?;
            RowFilter::new(parser.parse_expr().ok()?).ok()
        },
    )
}

fn masks() -> impl Strategy<Value = Mask> {
    select(
        &[
            Mask::ReplaceWithNull,
            Mask::ShowLast4,
            Mask::Sha256,
            Mask::TruncateToYear,
        ][..],
    )
}

fn flows() -> impl Strategy<Value = FlowTo> {
    prop_oneof![
        Just(FlowTo::Nowhere),
        Just(FlowTo::Anywhere),
        btree_set(domains(), 1..4).prop_map(FlowTo::Domains),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let units = select(&[1, 1_000, 1_000_000, 1_000_000_000_u64][..]);
    let bytes = (1..1_000_000_u64, units).prop_map(|(number, unit)| number * unit);
    let bytes = prop_oneof![bytes, 1..=u64::MAX];
    (option::of(1..=u64::MAX), option::of(bytes)).prop_map(|(rows, bytes)| Limits {
        rows_per_day: rows.and_then(std::num::NonZeroU64::new),
        bytes_per_day: bytes.and_then(std::num::NonZeroU64::new),
    })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let keys = select(
        &[
            KeyDisclosure::None,
            KeyDisclosure::Range,
            KeyDisclosure::Bloom,
            KeyDisclosure::List,
        ][..],
    );
    let rows = (option::of(filters()), btree_map(names(), masks(), 0..3));
    let time = (option::of(moments()), option::of(moments()));
    let rest = (option::of(keys), option::of(flows()), limits());
    (rows, time, rest).prop_filter_map("a time that begins", |(rows, time, rest)| {
        let (row_filter, masks) = rows;
        let (valid_from, valid_until) = time;
        let (key_disclosure, flow_to, limits) = rest;
        let begins = valid_from
            .zip(valid_until)
            .is_none_or(|(from, until)| from < until);
        begins.then_some(Conditions {
            row_filter,
            masks,
            valid_from,
            valid_until,
            key_disclosure,
            flow_to,
            limits,
        })
    })
}

fn grants() -> impl Strategy<Value = NewGrant> {
    let what = (actions(), columns(), objects(), grantees());
    (what, btree_set(texts(), 0..3), conditions()).prop_map(|(what, purposes, conditions)| {
        let (action, columns, on, grantee) = what;
        match on {
            Object::Table(_) => NewGrant {
                action,
                columns,
                on,
                grantee,
                purposes,
                conditions,
            },
            Object::Product(_) => NewGrant {
                action,
                columns: Columns::All,
                on,
                grantee,
                purposes,
                conditions: Conditions {
                    row_filter: None,
                    masks: std::collections::BTreeMap::new(),
                    ..conditions
                },
            },
        }
    })
}

fn requests() -> impl Strategy<Value = AccessRequest> {
    let purposes = btree_set(texts(), 1..3);
    (objects(), columns(), purposes, moments(), texts()).prop_map(
        |(on, columns, purposes, until, reason)| AccessRequest {
            columns: match on {
                Object::Product(_) => Columns::All,
                Object::Table(_) => columns,
            },
            on,
            purposes,
            until,
            reason,
        },
    )
}

fn statements() -> impl Strategy<Value = Govern> {
    let approval = (texts(), columns(), conditions());
    let approval = approval.prop_map(|(request, columns, conditions)| {
        Govern::Approve(Approval {
            request,
            columns,
            conditions,
        })
    });
    prop_oneof![
        4 => grants().prop_map(Govern::Grant),
        2 => requests().prop_map(Govern::Request),
        2 => approval,
        1 => texts().prop_map(|grant| Govern::Revoke { grant }),
        1 => (texts(), texts()).prop_map(|(request, reason)| Govern::Reject { request, reason }),
        1 => (option::of(objects()), option::of(grantees()))
            .prop_map(|(on, to)| Govern::ShowGrants { on, to }),
        1 => (objects(), option::of(names()))
            .prop_map(|(on, principal)| Govern::ShowEffectiveAccess { on, principal }),
        1 => Just(Govern::ShowRequests),
        1 => any::<u128>().prop_map(|number| {
            let query = format!("{number:032x}").parse().expect("a UUID");
            Govern::ShowReceipts { query }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_printed_parses_back(statement in statements()) {
        let text = statement.to_string();
        let read = govern(&text);
        prop_assert!(read.is_ok(), "{text}: {read:?}");
        let read = read.expect("checked");
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(read, statement);
    }

    #[test]
    fn no_text_breaks_the_parser(
        words in vec(
            prop_oneof![
                3 => select(&WORDS[..]).prop_map(str::to_owned),
                1 => names(),
                1 => texts().prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
            ],
            0..24,
        ),
    ) {
        let text = words.join(" ");
        if let Ok(Statement::Govern(statement)) = parse(&text, &Caps::default()) {
            let canonical = statement.to_string();
            prop_assert_eq!(govern(&canonical).expect("canonical"), *statement);
        }
    }
}

const WORDS: [&str; 48] = [
    "GRANT",
    "REVOKE",
    "SHOW",
    "GRANTS",
    "REQUEST",
    "REQUESTS",
    "APPROVE",
    "REJECT",
    "RECEIPTS",
    "EFFECTIVE",
    "ACCESS",
    "SELECT",
    "AGGREGATE",
    "ON",
    "PRODUCT",
    "TABLE",
    "TO",
    "USER",
    "GROUP",
    "WHERE",
    "MASK",
    "WITH",
    "FOR",
    "PURPOSE",
    "FROM",
    "UNTIL",
    "KEYS",
    "LIST",
    "FLOW",
    "DOMAIN",
    "LIMIT",
    "ROWS",
    "PER",
    "DAY",
    "BECAUSE",
    "(",
    ")",
    ",",
    ".",
    ";",
    "5",
    "a.b",
    "a.b.c",
    "'2027-01-01'",
    "MIN GROUP SIZE 5",
    "a = 1",
    "SELECT ON PRODUCT a.b TO USER u",
    "EXPLAIN",
];
