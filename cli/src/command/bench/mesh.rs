//! The meshes that are measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use weft_governance::Error;
use weft_node::GrantSettings;
use weft_wire::identity::tls_name;
use workload::Layout;
use workload::bench::{Grants, Keys, Link, Meter, Proxy, Tls};
use workload::guard::Guard;
use workload::layout::{LaidOut, Product, crowd};
use workload::tpch::Table;

use super::failed;
use crate::client::Client;
use crate::command::demo::{Demo, Place, Served};

/// Who asks.
pub(super) const PERSON: &str = "analyst";

/// What a mesh is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) layout: Layout,
    pub(super) grants: Grants,
    pub(super) keys: Keys,
    /// What stands between the coordinator and each node.
    pub(super) link: Option<Link>,
    /// The coordinator's `transport.compression`.
    pub(super) compression: &'static str,
    /// Products beside those with the tables.
    pub(super) crowd: usize,
}

impl Options {
    /// What [`PERSON`] may do with `product`.
    fn grants(&self, product: &Product) -> Vec<GrantSettings> {
        let whole = GrantSettings {
            user: Some(PERSON.to_owned()),
            product: product.name.to_owned(),
            key_disclosure: match self.keys {
                // What the contracts say.
                Keys::List => None,
                Keys::Bloom | Keys::Range | Keys::None => Some(self.keys.to_string()),
            },
            // Who keeps keys back does not let whole rows go.
            flow_to: match self.keys {
                Keys::List => None,
                Keys::Bloom | Keys::Range | Keys::None => Some(Vec::new()),
            },
            ..GrantSettings::default()
        };
        let crowd = crowd(self.layout, product.domain, self.crowd);
        let crowd = crowd.into_iter().map(|name| GrantSettings {
            product: name,
            ..whole.clone()
        });
        let mut grants: Vec<GrantSettings> = crowd.collect();
        match self.grants {
            Grants::Open => grants.push(whole),
            Grants::Guarded => {
                let tables = product.tables.iter();
                grants.extend(tables.map(|table| guarded(*table, &whole)));
            }
        }
        grants
    }
}

/// The part of `whole` that concerns `table`, without what is held back of it.
fn guarded(table: Table, whole: &GrantSettings) -> GrantSettings {
    let guard = Guard::of(table);
    let mask = |guard: &Guard| (guard.column.to_owned(), guard.mask.name().to_owned());
    GrantSettings {
        table: Some(table.name().to_owned()),
        row_filter: guard.map(|guard| guard.row_filter.to_owned()),
        masks: guard.map(mask).into_iter().collect(),
        ..whole.clone()
    }
}

/// A running mesh, and the links to its nodes.
pub(super) struct Mesh {
    options: Options,
    demo: Demo,
    links: BTreeMap<String, Proxy>,
}

impl Mesh {
    /// Starts an authority, a coordinator and a node for each domain.
    ///
    /// # Errors
    /// If a process does not start.
    pub(super) async fn start(
        place: Place,
        options: Options,
        data: &LaidOut,
    ) -> Result<Self, Error> {
        let mut links = BTreeMap::new();
        let mut served = Vec::new();
        for product in options.layout.products() {
            let domain = product.domain.to_owned();
            let mut advertise = None;
            if let Some(link) = options.link {
                let proxy = Proxy::listen(link).await;
                let proxy = proxy.map_err(|error| failed(&error))?;
                advertise = Some(proxy.address());
                links.insert(domain.clone(), proxy);
            }
            served.push(Served {
                data: data.data_dir(&domain),
                grants: options.grants(product),
                domain,
                advertise,
            });
        }
        let demo = Demo::start_with(place, &served, None, options.compression).await?;
        for (domain, link) in &links {
            if let Some(address) = demo.node_address(domain) {
                link.lead_to(address);
            }
        }
        Ok(Self {
            options,
            demo,
            links,
        })
    }

    /// What it is like.
    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// Signs in at the coordinator.
    ///
    /// # Errors
    /// If the sign-in is refused.
    pub(super) async fn sign_in(&self) -> Result<Client, Error> {
        self.demo.open_session(PERSON).await
    }

    /// Signs in straight at the node of `domain`.
    ///
    /// # Errors
    /// If the sign-in is refused.
    pub(super) async fn sign_in_at(&self, domain: &str) -> Result<Client, Error> {
        let (target, sign_in) = self.demo.at_node(PERSON, domain)?;
        Client::connect(&target, sign_in).await
    }

    /// Where clients connect, in plain text.
    pub(super) fn client_address(&self) -> Option<SocketAddr> {
        self.demo.client_address()
    }

    /// Where the node of `domain` is, and how it proves that it is that one.
    pub(super) fn node(&self, domain: &str) -> Result<(SocketAddr, Tls), Error> {
        let (target, _) = self.demo.at_node(PERSON, domain)?;
        let address = self.demo.node_address(domain);
        let tls = target.ca_pem.zip(target.server).map(|(ca, server)| Tls {
            ca,
            name: tls_name(&server),
        });
        address
            .zip(tls)
            .ok_or_else(|| super::wrong(format!("the node of `{domain}` is not there")))
    }

    /// The coordinator and the nodes, by name.
    pub(super) fn processes(&self) -> Vec<(String, u32)> {
        let processes = self.demo.processes();
        processes
            .map(|(name, pid)| (name.to_owned(), pid))
            .collect()
    }

    /// Counts what the links to the nodes carry, by domain; nothing without links.
    pub(super) fn meters(&self) -> Vec<(String, Meter)> {
        let links = self.links.iter();
        links
            .map(|(domain, link)| (domain.clone(), link.meter()))
            .collect()
    }

    /// Ends all processes and waits for them.
    pub(super) async fn stop(self) {
        self.demo.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(grants: Grants, keys: Keys) -> Vec<GrantSettings> {
        let layout = Layout::Three;
        let options = Options {
            layout,
            grants,
            keys,
            link: None,
            compression: "auto",
            crowd: 0,
        };
        let products = layout.products().iter();
        products.flat_map(|it| options.grants(it)).collect()
    }

    #[test]
    fn open_grants_are_whole_products_and_guarded_ones_tables() {
        let open = grants(Grants::Open, Keys::List);
        assert_eq!(open.len(), 3);
        assert!(open.iter().all(|grant| grant.table.is_none()));
        let guarded = grants(Grants::Guarded, Keys::List);
        assert_eq!(guarded.len(), Table::ALL.len());
        let filtered = guarded.iter().filter(|grant| grant.row_filter.is_some());
        assert!(filtered.clone().all(|grant| grant.masks.len() == 1));
        assert_eq!(filtered.count(), 3);
    }

    #[test]
    fn less_than_a_list_of_keys_stands_in_every_grant() {
        for held_back in [Grants::Open, Grants::Guarded] {
            let disclosed = |keys| {
                grants(held_back, keys)
                    .into_iter()
                    .map(|it| it.key_disclosure)
            };
            assert!(disclosed(Keys::List).all(|it| it.is_none()));
            assert!(disclosed(Keys::Range).all(|it| it.as_deref() == Some("range")));
        }
    }
}
