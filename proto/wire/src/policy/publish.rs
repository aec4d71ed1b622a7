//! A person hands a policy to the authority, and servers fetch it there.

use weft_governance::Error;

use super::bundle::PolicyBundle;
use crate::authority::Authority;
use crate::join::person;
use crate::rpc::authority::authority_client::AuthorityClient;
use crate::rpc::authority::{
    CurrentPolicyRequest, CurrentPolicyResponse, Password, PublishPolicyRequest,
};
use crate::status::from_status;

/// Has the authority hand out `bundle` from now on.
///
/// # Errors
/// `WEFT-UNAUTHENTICATED`, `WEFT-NOT-GRANTED` unless `user` is an administrator of the mesh, or
/// `WEFT-POLICY` if the bundle is malformed or not newer.
pub async fn publish_policy(
    authority_url: &str,
    ca_pem: &str,
    user: &str,
    password: &str,
    bundle: PolicyBundle,
) -> Result<(), Error> {
    let password = Password {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    let request = PublishPolicyRequest {
        password: Some(password),
        bundle: Some(bundle.into()),
    };
    AuthorityClient::new(person(authority_url, ca_pem)?)
        .publish_policy(request)
        .await
        .map(|_| ())
        .map_err(|status| from_status(&status))
}

impl Authority {
    /// The policy that the authority hands out, if its version is above `known`. Nothing about it is
    /// checked but its size.
    ///
    /// # Errors
    /// If the authority is away, or what it hands out is too large.
    pub async fn current_policy(&self, known: u64) -> Result<Option<PolicyBundle>, Error> {
        let request = CurrentPolicyRequest {
            known_version: known,
        };
        let answer = self
            .client()
            .current_policy(request)
            .await
            .map_err(|status| from_status(&status))?;
        let CurrentPolicyResponse { bundle } = answer.into_inner();
        bundle.map(PolicyBundle::try_from).transpose()
    }
}
