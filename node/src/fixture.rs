//! Nodes for tests.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use weft_governance::ServerId;
use weft_wire::identity::{Identity, tls_name};

/// A mesh that consists of a CA.
pub(crate) struct Mesh {
    issuer: Issuer<'static, KeyPair>,
    ca: String,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::from_ca_cert_pem(&ca, key).expect("issuer");
        Self { issuer, ca }
    }

    /// A node with a key of its own.
    pub(crate) fn node(&self, domain: &str, name: &str) -> Identity {
        let id = ServerId::node(domain.parse().expect("a domain"), name).expect("an id");
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![tls_name(&id)]).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        Identity::new(id, certificate, key.serialize_pem(), self.ca.clone()).expect("fits")
    }
}
