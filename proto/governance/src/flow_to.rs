//! Which other domains' nodes rows may be sent to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::DomainId;

/// Where rows may travel beyond the asker: to which other domains' nodes, so that a join is done
/// there instead of at the coordinator.
///
/// The owner says so; of what product, table and grant say, the narrowest holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowTo {
    /// To the asker alone.
    #[default]
    Nowhere,
    /// Also to the nodes of these domains.
    Domains(BTreeSet<DomainId>),
    /// Also to the nodes of all domains.
    Anywhere,
}

impl FlowTo {
    /// Whether rows may go to the nodes of `domain`.
    pub fn allows(&self, domain: &DomainId) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Domains(domains) => domains.contains(domain),
            Self::Anywhere => true,
        }
    }

    /// What both allow.
    #[must_use]
    pub fn narrowed(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Nowhere, _) | (_, Self::Nowhere) => Self::Nowhere,
            (own, Self::Anywhere) => own,
            (Self::Anywhere, other) => other.clone(),
            (Self::Domains(own), Self::Domains(other)) => {
                Self::Domains(own.intersection(other).cloned().collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(names: &[&str]) -> FlowTo {
        FlowTo::Domains(names.iter().map(|it| it.parse().expect("valid")).collect())
    }

    #[test]
    fn the_narrowest_holds() {
        let crm = "crm".parse().expect("valid");
        assert!(!FlowTo::default().allows(&crm));
        assert!(FlowTo::Anywhere.allows(&crm));
        let both = domains(&["crm", "sales"]);
        assert!(both.allows(&crm));
        assert_eq!(both.clone().narrowed(&FlowTo::Anywhere), both);
        assert_eq!(FlowTo::Anywhere.narrowed(&both), both);
        assert_eq!(
            both.clone().narrowed(&domains(&["sales", "hr"])),
            domains(&["sales"])
        );
        assert_eq!(both.narrowed(&FlowTo::Nowhere), FlowTo::Nowhere);
    }
}
