use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::fixture::{Mesh, der, server};

#[test]
fn a_certificate_name_leads_back_to_its_server() {
    for id in [
        "authority",
        "coordinator/main",
        "node/sales/sales-1",
        "node/north_sea/a",
    ] {
        assert_eq!(server_of(&tls_name(&server(id))), Some(server(id)));
    }
}

#[test]
fn other_names_lead_to_no_server() {
    for name in [
        "weft.internal",
        "authority.weft.internal.example.com",
        "evilweft.internal",
        "a.b.c.node.weft.internal",
        "node.weft.internal",
        "SALES.coordinator.weft.internal",
        ".coordinator.weft.internal",
        "main.coordinator.weft.internal.",
    ] {
        assert_eq!(server_of(name), None, "{name}");
    }
}

#[test]
fn a_certificate_that_names_two_servers_or_none_is_refused() {
    let mesh = Mesh::new();
    let two = [
        "main.coordinator.weft.internal",
        "s1.sales.node.weft.internal",
    ];
    let (certificate, _) = mesh.certificate(&two);
    assert!(Peer::from_certificate(&der(&certificate)).is_err());
    let (certificate, _) = mesh.certificate(&["example.com"]);
    assert!(Peer::from_certificate(&der(&certificate)).is_err());
    assert!(Peer::from_certificate(b"no certificate").is_err());
    let (certificate, _) = mesh.certificate(&["example.com", two[0]]);
    let peer = Peer::from_certificate(&der(&certificate)).expect("one server");
    assert_eq!(peer.server, server("coordinator/main"));
}

#[test]
fn an_identity_is_refused_under_another_name_or_with_another_key() {
    let mesh = Mesh::new();
    let id = server("coordinator/main");
    let (certificate, key) = mesh.certificate(&[&tls_name(&id)]);
    let new = |id: &str, key: &str| {
        Identity::new(
            server(id),
            certificate.clone(),
            key.to_owned(),
            mesh.ca_pem.clone(),
        )
    };
    assert!(new("coordinator/main", &key).is_ok());
    assert!(new("coordinator/other", &key).is_err());
    let (_, another) = mesh.certificate(&["example.com"]);
    assert!(new("coordinator/main", &another).is_err());
}

#[test]
fn an_identity_survives_a_folder_and_its_key_is_private() {
    let folder = tempfile::tempdir().expect("folder");
    assert!(Identity::load(folder.path()).expect("readable").is_none());
    let identity = Mesh::new().identity("node/sales/s1");
    fs::write(folder.path().join("server.key"), "open to all").expect("written");
    identity.store(folder.path()).expect("stored");
    let loaded = Identity::load(folder.path())
        .expect("readable")
        .expect("there");
    assert_eq!(loaded.id(), identity.id());
    assert_eq!(loaded.thumbprint(), identity.thumbprint());
    assert_eq!(loaded.key_pem(), identity.key_pem());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("server.key"))
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    let files = fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(files, 4, "nothing is left half-written");
}

#[test]
fn an_identity_shows_no_key() {
    let identity = Mesh::new().identity("node/sales/s1");
    let shown = format!("{identity:?}");
    assert!(shown.contains("sales"));
    assert!(!shown.contains("PRIVATE") && !shown.contains("pem"));
}

#[test]
fn a_certificate_is_certified_by_its_own_ca_while_it_is_valid() {
    let (mesh, other) = (Mesh::new(), Mesh::new());
    let ca = |pem: &str| MeshCa::from_pem(pem).expect("a certificate");
    let identity = mesh.identity("node/sales/s1");
    let der = identity.certificate_der();
    let now = SystemTime::now();
    let peer = ca(&mesh.ca_pem).certified(&der, now).expect("certified");
    assert_eq!(
        peer,
        Peer::trusted(&identity.certificate_pem()).expect("read")
    );
    assert!(ca(&other.ca_pem).certified(&der, now).is_err());
    let year = Duration::from_secs(365 * 86_400);
    for at in [UNIX_EPOCH - year, UNIX_EPOCH, now + 3_000 * year] {
        assert!(ca(&mesh.ca_pem).certified(&der, at).is_err(), "{at:?}");
    }
    assert!(MeshCa::from_pem("no certificate").is_err());
}

#[test]
fn a_renewed_certificate_has_the_key_of_the_one_before() {
    let mesh = Mesh::new();
    let identity = mesh.identity("node/sales/s1");
    let peer = |identity: &Identity| Peer::trusted(&identity.certificate_pem()).expect("read");
    assert!(peer(&mesh.renewed(&identity)).has_key_of(&peer(&identity)));
    assert!(!peer(&mesh.identity("node/sales/s1")).has_key_of(&peer(&identity)));
}
