//! Who is here.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use weft_governance::Principal;

/// Entries after which those that have ended are looked for.
const FEW: usize = 64;

/// The open sessions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    all: Vec<Weak<Attendance>>,
    /// With so many, those that have ended are taken out.
    tidied_at: usize,
}

/// One open session. It is open for as long as this is held.
#[derive(Debug)]
pub struct Attendance {
    /// The session; it opens nothing.
    pub id: String,
    /// Whose it is.
    pub principal: String,
    /// Since when.
    pub opened_at: SystemTime,
    /// When it ends by itself.
    pub expires_at: SystemTime,
}

impl Roster {
    /// Notes a session that opens now.
    pub(super) fn enter(
        &self,
        id: &str,
        principal: &str,
        expires_at: SystemTime,
    ) -> Arc<Attendance> {
        let attendance = Arc::new(Attendance {
            id: id.to_owned(),
            principal: principal.to_owned(),
            opened_at: SystemTime::now(),
            expires_at,
        });
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.all.len() >= entries.tidied_at.max(FEW) {
            entries.all.retain(|entry| entry.strong_count() > 0);
            entries.tidied_at = 2 * entries.all.len();
        }
        entries.all.push(Arc::downgrade(&attendance));
        attendance
    }

    /// Those of `asker`, or all for whoever runs the mesh.
    pub fn shown_to(&self, asker: &Principal) -> Vec<Arc<Attendance>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = entries.all.iter().filter_map(Weak::upgrade);
        open.filter(|it| it.principal == asker.subject || asker.is_admin())
            .collect()
    }
}
