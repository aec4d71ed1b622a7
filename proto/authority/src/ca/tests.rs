use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn ca() -> (tempfile::TempDir, Ca) {
    let folder = tempfile::tempdir().expect("folder");
    let ca = Ca::open(folder.path(), YEAR).expect("made");
    (folder, ca)
}

fn node() -> ServerId {
    "node/sales/s1".parse().expect("valid")
}

fn request(params: CertificateParams, key: &KeyPair) -> String {
    params
        .serialize_request(key)
        .and_then(|request| request.pem())
        .expect("request")
}

fn plain_request() -> String {
    request(
        CertificateParams::default(),
        &KeyPair::generate().expect("key"),
    )
}

fn names(certificate_pem: &str) -> Vec<String> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).expect("PEM");
    let (_, certificate) = X509Certificate::from_der(&der).expect("DER");
    let names = certificate
        .subject_alternative_name()
        .expect("readable")
        .expect("names");
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
        other => panic!("a name of another kind: {other:?}"),
    };
    names.value.general_names.iter().map(text).collect()
}

#[test]
fn the_ca_is_made_once_and_its_key_is_private() {
    let (folder, first) = ca();
    let second = Ca::open(folder.path(), YEAR).expect("opened");
    assert_eq!(first.sha256(), second.sha256());
    assert_eq!(first.certificate_pem(), second.certificate_pem());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("ca.key"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn names_in_the_request_are_ignored() {
    let (_folder, ca) = ca();
    let wanted = [
        "authority.weft.internal",
        "main.coordinator.weft.internal",
        "example.com",
    ];
    let mut params = CertificateParams::new(wanted.map(str::to_owned)).expect("names");
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let csr = request(params, &KeyPair::generate().expect("key"));
    let hosts = [
        "db.example.com".to_owned(),
        "10.0.0.7".to_owned(),
        "::1".to_owned(),
    ];
    let pem = ca.sign_request(&csr, &node(), &hosts).expect("signed");
    let v6 = format!("{:?}", std::net::Ipv6Addr::LOCALHOST.octets());
    let expected = [
        "s1.sales.node.weft.internal",
        "db.example.com",
        "[10, 0, 0, 7]",
        &v6,
    ];
    assert_eq!(names(&pem), expected);
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let (_, certificate) = X509Certificate::from_der(&der).expect("DER");
    assert!(!certificate.is_ca());
    assert_eq!(certificate.subject().to_string(), "CN=node/sales/s1");
    let usage = certificate.key_usage().expect("readable").expect("there");
    assert!(!usage.value.key_cert_sign());
}

#[test]
fn a_certificate_is_for_both_ends_of_a_connection_and_for_a_year() {
    let (_folder, ca) = ca();
    let pem = ca
        .sign_request(&plain_request(), &node(), &[])
        .expect("signed");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let (_, certificate) = X509Certificate::from_der(&der).expect("DER");
    let usage = certificate
        .extended_key_usage()
        .expect("readable")
        .expect("there")
        .value;
    assert!(usage.server_auth && usage.client_auth && !usage.any);
    let validity = certificate.validity();
    let length = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert_eq!(length, 365 * 86_400 + 3_600);
    assert!(validity.is_valid());
}

#[test]
fn a_request_that_does_not_prove_its_key_is_refused() {
    let (_folder, ca) = ca();
    let csr = plain_request();
    let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(csr.as_bytes());
    let der = der.expect("PEM").to_vec();
    assert!(ca.sign_request(&csr, &node(), &[]).is_ok());
    let mut changed = der;
    *changed.last_mut().expect("signature") ^= 1;
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, changed);
    let forged =
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
    for bad in [forged.as_str(), "", "no request", &"x".repeat(1 << 20)] {
        let error = ca.sign_request(bad, &node(), &[]).expect_err("not proved");
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::InvalidInput, code::PROTOCOL)
        );
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let (_folder, ca) = ca();
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(kind).expect("key");
        let csr = request(CertificateParams::default(), &key);
        let error = ca
            .sign_request(&csr, &node(), &[])
            .expect_err("another kind");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_host_is_a_name_or_an_address_outside_the_mesh() {
    let (_folder, ca) = ca();
    let csr = plain_request();
    let sign = |host: &str| ca.sign_request(&csr, &node(), &[host.to_owned()]);
    for good in [
        "localhost",
        "a-b.example.com",
        "127.0.0.1",
        "fe80::1",
        "my_host",
    ] {
        assert!(sign(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "*.example.com",
        "a b",
        "a..b",
        "example.com.",
        "-a.example.com",
        "a-.example.com",
        "127.0.0.256",
        "https://example.com",
        "example.com:443",
        "tünnel.example",
        "a\u{0}.example.com",
        "authority.weft.internal",
        "main.coordinator.WEFT.internal",
        "weft.internal",
        &"a.".repeat(200),
    ] {
        assert_eq!(sign(bad).expect_err(bad).code(), code::SETTINGS, "{bad}");
    }
}

#[test]
fn a_server_whose_name_is_no_host_name_cannot_join() {
    let (_folder, ca) = ca();
    for (id, fits) in [
        ("coordinator/main", true),
        ("node/north_sea/s1", true),
        ("authority", false),
    ] {
        let id = id.parse().expect("an id");
        assert_eq!(ca.check_server(&id).is_ok(), fits, "{id}");
    }
}

#[test]
fn errors_about_keys_say_nothing_of_the_machine() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("ca.key"), "garbage").expect("written");
    let error = Ca::open(folder.path(), YEAR).err().expect("unusable");
    assert_eq!(error.message(), "the authority's keys cannot be used");
}
