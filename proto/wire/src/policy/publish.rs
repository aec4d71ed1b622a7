//! A person hands a policy to the authority, and servers fetch it there.

use weft_governance::Error;

use super::bundle::PolicyBundle;
use crate::authority::Authority;
use crate::person::{Desk, Proof};
use crate::rpc::authority::{CurrentPolicyRequest, CurrentPolicyResponse, PublishPolicyRequest};
use crate::status::from_status;

impl Desk {
    /// Has the authority hand out `bundle` from now on.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, `WEFT-NOT-GRANTED` unless an administrator of the mesh asks, or
    /// `WEFT-POLICY` if the bundle is malformed or not newer.
    pub async fn publish_policy(&self, proof: &Proof, bundle: PolicyBundle) -> Result<(), Error> {
        let request = PublishPolicyRequest {
            credential: Some(proof.into()),
            bundle: Some(bundle.into()),
        };
        let answer = self.client().publish_policy(request).await;
        answer.map(|_| ()).map_err(|status| from_status(&status))
    }
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
