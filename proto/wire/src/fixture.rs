//! Certificates for tests.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use weft_governance::ServerId;

use crate::identity::{Identity, first_certificate, tls_name};

/// A CA of its own.
pub(crate) struct Mesh {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) ca_pem: String,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca_pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, key).expect("issuer");
        Self { issuer, ca_pem }
    }

    /// A certificate with these names, PEM, and its key.
    pub(crate) fn certificate(&self, names: &[&str]) -> (String, String) {
        self.certificate_of(&KeyPair::generate().expect("key"), names)
    }

    fn certificate_of(&self, key: &KeyPair, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A further certificate for the server and the key of `identity`.
    pub(crate) fn renewed(&self, identity: &Identity) -> Identity {
        let key = KeyPair::from_pem(identity.key_pem()).expect("key");
        let (certificate, key) = self.certificate_of(&key, &[&tls_name(identity.id())]);
        Identity::new(identity.id().clone(), certificate, key, self.ca_pem.clone()).expect("fits")
    }

    pub(crate) fn identity(&self, id: &str) -> Identity {
        let id = server(id);
        let (certificate, key) = self.certificate(&[&tls_name(&id)]);
        Identity::new(id, certificate, key, self.ca_pem.clone()).expect("fits")
    }
}

pub(crate) fn server(id: &str) -> ServerId {
    id.parse().expect("valid id")
}

/// The DER encoding of a certificate.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    first_certificate(pem).expect("a certificate").to_vec()
}
