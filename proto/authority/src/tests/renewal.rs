use std::time::{Duration, SystemTime};

use weft_governance::{ErrorKind, code};
use weft_wire::identity::{Peer, Renewal, hosts_of};

use super::*;

/// Certificates that live shorter than a test.
async fn short() -> Mesh {
    Mesh::start_with(|settings| settings.certificate_lifetime = Duration::from_secs(4)).await
}

async fn until(moment: SystemTime) {
    while SystemTime::now() < moment {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_for_the_same_server_hosts_and_key() {
    let mesh = Mesh::start().await;
    let node = mesh.identity("node/sales/s1");
    let before = node.certificate_der();
    let request = node.renewal_request().expect("a request");
    let certificate = mesh.client_of(&node).renew(&request).await;
    node.renew(certificate.expect("signed")).expect("fits");
    let after = node.certificate_der();
    assert_ne!(before, after);
    let peer = |der: &[u8]| Peer::from_certificate(der).expect("a server");
    assert_eq!(peer(&before), peer(&after));
    let hosts = hosts_of(&after).expect("readable");
    assert_eq!(hosts, ["localhost", "127.0.0.1"]);
    assert_eq!(hosts, hosts_of(&before).expect("readable"));
}

#[tokio::test]
async fn nobody_renews_anothers_certificate_or_changes_the_key() {
    let mesh = Mesh::start().await;
    let (node, other) = (
        mesh.identity("node/sales/s1"),
        mesh.identity("node/sales/s2"),
    );
    let request = other.renewal_request().expect("a request");
    let refused = mesh.client_of(&node).renew(&request).await;
    assert_eq!(
        refused.expect_err("another key").kind(),
        ErrorKind::InvalidInput
    );
    let malformed = mesh.client_of(&node).renew("no request").await;
    assert_eq!(malformed.expect_err("malformed").code(), code::PROTOCOL);
    let request = weft_wire::rpc::authority::RenewRequest {
        csr_pem: node.renewal_request().expect("a request"),
    };
    let stranger = mesh.stranger().await.renew(request).await;
    let status = stranger.expect_err("no certificate");
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    // What the authority signs for another is not taken.
    let certificate = mesh.client_of(&other);
    let request = other.renewal_request().expect("a request");
    let certificate = certificate.renew(&request).await.expect("signed");
    node.renew(certificate).expect_err("another server");
}

#[tokio::test]
async fn servers_go_on_when_the_first_certificates_of_both_sides_have_ended() {
    let mesh = short().await;
    let coordinator = mesh.identity("coordinator/main");
    let folder = tempfile::tempdir().expect("folder");
    coordinator.store(folder.path()).expect("kept");
    let (first, authority) = (coordinator.certificate_der(), mesh.client_of(&coordinator));
    let lease = authority.sign_in("ann", PASSWORD).await.expect("right");
    let (_, end) = coordinator.renewal_due();
    let _renewal = Renewal::start(&coordinator, &authority, folder.path());
    until(end + Duration::from_secs(1)).await;
    assert_ne!(coordinator.certificate_der(), first);
    // On a connection of its own, to the authority's renewed certificate; the lease has outlived both.
    let anew = mesh.client_of(&coordinator);
    let token = anew.exchange_lease(&lease, &server("node/sales/s1")).await;
    token.expect("the lease is the coordinator's still");
    // What was kept is what is used: it lets a server that starts again in.
    let kept = Identity::load(folder.path())
        .expect("readable")
        .expect("kept");
    mesh.client_of(&kept).keys().await.expect("served");
    let stale = Identity::new(
        coordinator.id().clone(),
        pem_of(&first),
        coordinator.key_pem().to_owned(),
        coordinator.ca_pem().to_owned(),
    )
    .expect("fits");
    let refused = mesh.client_of(&stale).keys().await;
    assert_eq!(refused.expect_err("the control").code(), code::CONNECT);
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
