//! The mesh that is measured.

use std::collections::BTreeMap;

use weft_governance::Error;
use workload::bench::Proxy;
use workload::layout::LaidOut;

use super::{Options, failed};
use crate::client::Client;
use crate::command::demo::{Demo, Place, Served};

/// Who asks.
pub(super) const PERSON: &str = "analyst";

/// A running mesh, and the slow links to its nodes.
pub(super) struct Mesh {
    demo: Demo,
    _links: BTreeMap<String, Proxy>,
}

impl Mesh {
    /// Starts an authority, a coordinator and a node for each domain.
    ///
    /// # Errors
    /// If a process does not start.
    pub(super) async fn start(
        place: Place,
        options: &Options,
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
        let demo = Demo::start_with(place, &served, None, &options.compression).await?;
        for (domain, link) in &links {
            if let Some(address) = demo.node_address(domain) {
                link.lead_to(address);
            }
        }
        Ok(Self {
            demo,
            _links: links,
        })
    }

    /// Signs in at the coordinator.
    ///
    /// # Errors
    /// If the sign-in is refused.
    pub(super) async fn sign_in(&self) -> Result<Client, Error> {
        self.demo.open_session(PERSON).await
    }

    /// The coordinator and the nodes, by name.
    pub(super) fn processes(&self) -> Vec<(String, u32)> {
        let processes = self.demo.processes();
        processes
            .map(|(name, pid)| (name.to_owned(), pid))
            .collect()
    }

    /// Ends all processes and waits for them.
    pub(super) async fn stop(self) {
        self.demo.stop().await;
    }
}
