//! From YAML to a policy. Everything that is wrong is said at once; what is not known is refused,
//! since a rule that is not understood would not be followed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{
    ColumnSelector, FederatedPolicy, LONGEST_DOCUMENT, MaskDemand, PolicyHead, ProductSelector,
    Rule,
};
use crate::contract::fault::Faults;
use crate::contract::fields::Fields;
use crate::contract::{At, Fault, InvalidContract, Node};

/// The most rules that a policy has.
const MOST_RULES: usize = 1_000;

/// A text that is no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPolicy(InvalidContract);

impl InvalidPolicy {
    /// All faults in the order of the text; there is at least one.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.0.faults()
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for InvalidPolicy {}

pub(super) fn policy(text: &str) -> Result<FederatedPolicy, InvalidPolicy> {
    document(text, |fields, faults| {
        fields.only(&["version", "mesh", "description", "rules"], faults);
        let PolicyHead { version, mesh } = read_head(fields, faults);
        if fields.get("rules").is_none() {
            fields.missing("rules", faults);
        }
        let rules = fields.each("rules", faults, read_rule);
        if rules.len() > MOST_RULES {
            let at = fields.at_of("rules");
            faults.add(at, format!("a policy has at most {MOST_RULES} rules"));
        }
        check_names(fields, &rules, faults);
        FederatedPolicy {
            version,
            mesh,
            description: fields.text("description", faults).unwrap_or_default(),
            rules,
        }
    })
}

pub(super) fn head(text: &str) -> Result<PolicyHead, InvalidPolicy> {
    document(text, read_head)
}

fn document<T>(
    text: &str,
    read: impl FnOnce(&Fields<'_>, &mut Faults) -> T,
) -> Result<T, InvalidPolicy> {
    if text.len() > LONGEST_DOCUMENT {
        let message = format!("a policy has at most {} KiB", LONGEST_DOCUMENT >> 10);
        return Err(InvalidPolicy(InvalidContract::one(At::START, message)));
    }
    let root = Node::parse(text).map_err(InvalidPolicy)?;
    let mut faults = Faults::default();
    match Fields::of(&root, "the policy", &mut faults) {
        Some(fields) => {
            let read = read(&fields, &mut faults);
            faults.into_result(read).map_err(InvalidPolicy)
        }
        None => Err(InvalidPolicy(faults.into_error(root.at))),
    }
}

fn read_head(fields: &Fields<'_>, faults: &mut Faults) -> PolicyHead {
    let version = match fields.get("version") {
        None => {
            fields.missing("version", faults);
            None
        }
        Some(node) => {
            let number = node.as_integer().and_then(|it| u64::try_from(it).ok());
            let version = number.filter(|version| *version >= 1);
            if version.is_none() {
                faults.add(node.at, "`version` must be a whole number from 1 on");
            }
            version
        }
    };
    PolicyHead {
        version: version.unwrap_or_default(),
        mesh: fields.required_text("mesh", faults).unwrap_or_default(),
    }
}

fn read_rule(node: &Node, faults: &mut Faults) -> Option<Rule> {
    const KNOWN: [&str; 7] = [
        "name",
        "columns",
        "products",
        "mask",
        "unmask_for",
        "max_grant_duration",
        "require_purpose",
    ];
    let mut fields = Fields::of(node, "a rule", faults)?;
    let name = fields.required_text("name", faults)?;
    fields.call(format!("rule `{name}`"));
    fields.only(&KNOWN, faults);
    let columns = fields
        .map("columns", &format!("`columns` of rule `{name}`"), faults)
        .map(|columns| read_columns(&columns, faults));
    let products = fields
        .map("products", &format!("`products` of rule `{name}`"), faults)
        .map(|products| read_products(&products, faults));
    if fields.get("columns").is_none() && fields.get("products").is_none() {
        let message = format!(
            "rule `{name}` says neither `columns` nor `products`; write `products: {{}}` for all"
        );
        faults.add(fields.at, message);
    }
    let mask = parsed(&fields, "mask", faults);
    let unmask_for = present(&fields, "unmask_for", faults);
    if mask.is_none() && unmask_for.is_some() {
        let message = format!("`unmask_for` of rule `{name}` needs a `mask`");
        faults.add(fields.at_of("unmask_for"), message);
    }
    let rule = Rule {
        columns,
        products,
        mask: mask.map(|mask| MaskDemand { mask, unmask_for }),
        max_grant_duration: parsed(&fields, "max_grant_duration", faults),
        require_purpose: fields.flag("require_purpose", faults),
        name,
    };
    let demands = ["mask", "max_grant_duration", "require_purpose"];
    if demands.iter().all(|demand| fields.get(demand).is_none()) {
        let message = format!(
            "rule `{}` demands nothing; write at least one of `{}`",
            rule.name,
            demands.join("`, `")
        );
        faults.add(fields.at, message);
    }
    Some(rule)
}

fn read_columns(fields: &Fields<'_>, faults: &mut Faults) -> ColumnSelector {
    fields.only(&["tags", "classification"], faults);
    let selector = ColumnSelector {
        tags: present(fields, "tags", faults).unwrap_or_default(),
        classification: present(fields, "classification", faults).unwrap_or_default(),
    };
    if selector == ColumnSelector::default() {
        let message = "`columns` selects nothing; list `tags`, `classification` or both";
        faults.add(fields.at, message);
    }
    selector
}

fn read_products(fields: &Fields<'_>, faults: &mut Faults) -> ProductSelector {
    fields.only(&["domains", "names", "status"], faults);
    let domains = present(fields, "domains", faults).map(|domains| {
        let parse = |domain: &String| match domain.parse() {
            Ok(domain) => Some(domain),
            Err(error) => {
                faults.add(fields.at_of("domains"), format!("{error}"));
                None
            }
        };
        domains.iter().filter_map(parse).collect()
    });
    ProductSelector {
        domains,
        names: present(fields, "names", faults),
        status: present(fields, "status", faults),
    }
}

/// The words of the list `name`, if it is there.
fn present(fields: &Fields<'_>, name: &str, faults: &mut Faults) -> Option<BTreeSet<String>> {
    let node = fields.get(name)?;
    let words = fields.texts(name, faults);
    if words.iter().any(|word| word.trim().is_empty()) {
        faults.add(node.at, format!("`{name}` holds an empty word"));
    }
    Some(words.into_iter().collect())
}

/// The text `name` as a value.
fn parsed<T: FromStr<Err: fmt::Display>>(
    fields: &Fields<'_>,
    name: &str,
    faults: &mut Faults,
) -> Option<T> {
    let text = fields.text(name, faults)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            faults.add(fields.at_of(name), format!("`{name}`: {error}"));
            None
        }
    }
}

fn check_names(fields: &Fields<'_>, rules: &[Rule], faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for rule in rules {
        if !seen.insert(rule.name.as_str()) {
            let message = format!("two rules are called `{}`", rule.name);
            faults.add(fields.at_of("rules"), message);
        }
    }
}
