//! All sessions of a door.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weft_governance::{Error, ErrorKind, code};

use super::{Handle, Place, Presented, Session, sign_in_first};
use crate::backend::{Backend, Credentials};
use crate::limits::Limits;
use crate::ticket::{Seal, fill};

/// Sign-ins that run at a time at most; the same credential never twice.
const LANES: usize = 64;

type Digest = [u8; 32];

/// Sessions by the digest of the credential that names them.
pub(crate) struct Sessions<B: Backend> {
    backend: Arc<B>,
    limits: Limits,
    key: hmac::Key,
    seal: Seal,
    open: Mutex<HashMap<Digest, Entry<B>>>,
    lanes: Vec<tokio::sync::Mutex<()>>,
}

struct Entry<B: Backend> {
    session: Arc<Session<B>>,
    used: Instant,
}

impl<B: Backend> fmt::Debug for Sessions<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("open", &self.lock().len())
            .finish_non_exhaustive()
    }
}

impl<B: Backend> Sessions<B> {
    /// No one is signed in yet.
    ///
    /// # Errors
    /// `Internal` if the machine has no randomness.
    pub(crate) fn new(backend: Arc<B>, limits: Limits) -> Result<Self, Error> {
        let mut key = [0; 32];
        fill(&mut key)?;
        Ok(Self {
            backend,
            limits,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            seal: Seal::generate()?,
            open: Mutex::new(HashMap::new()),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect(),
        })
    }

    /// Signs in and returns the session with the bearer that names it from now on. The bearer of a
    /// session of one's own stays what it is; a password or a token gets a new one.
    pub(crate) async fn sign_in(
        &self,
        presented: Presented,
        place: Place,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<(Arc<Session<B>>, String), Error> {
        if let Some(bearer) = presented.bearer().map(str::to_owned) {
            let session = self.authenticate(presented, None, from, now).await?;
            let bearer = self.offer(&session)?.unwrap_or(bearer);
            return Ok((session, bearer));
        }
        let Some(credentials) = presented.into_credentials() else {
            return Err(sign_in_first());
        };
        let mut secret = [0; 32];
        fill(&mut secret)?;
        let bearer = URL_SAFE_NO_PAD.encode(secret);
        let digest = self.digest(&Presented::Session(bearer.clone().into()));
        let _lane = self.lane(&digest).await;
        let session = self.open(digest, credentials, place, now).await?;
        Ok((session, bearer))
    }

    /// A bearer for a session of the client's own, if it is in a shared one.
    pub(crate) fn offer(&self, session: &Session<B>) -> Result<Option<String>, Error> {
        let shared = session.is_shared();
        shared.then(|| self.seal.promise(session.id())).transpose()
    }

    /// The session called `id`, if it may be used by who is in `session`: nobody but its owner.
    pub(crate) fn of_same_owner(
        &self,
        id: &Handle,
        session: &Arc<Session<B>>,
        now: SystemTime,
    ) -> Option<Arc<Session<B>>> {
        if session.id() == id {
            return Some(Arc::clone(session));
        }
        let found = self.named(id)?;
        let fits = found.is_of_owner_of(session) && !found.is_over(now);
        (fits && self.backend.check(found.inner()).is_ok()).then_some(found)
    }

    /// The session of a call. A token or password is verified by the backend at its first call and
    /// remembered until the session ends. A `cookie` with the bearer of a session beside the one that
    /// is presented leads to that; it lets nobody in by itself. `from` is where the call comes from.
    pub(crate) async fn authenticate(
        &self,
        presented: Presented,
        cookie: Option<&str>,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Arc<Session<B>>, Error> {
        let session = self.presented(presented, now).await?;
        let session = match cookie.filter(|_| session.is_shared()) {
            Some(cookie) if self.seal.promised(cookie).as_ref() == Some(session.id()) => {
                let own = Presented::Session(cookie.to_owned().into());
                self.presented(own, now).await?
            }
            _ => session,
        };
        match session.is_open_to(from) {
            true => Ok(session),
            false => Err(sign_in_first()),
        }
    }

    async fn presented(
        &self,
        presented: Presented,
        now: SystemTime,
    ) -> Result<Arc<Session<B>>, Error> {
        let digest = self.digest(&presented);
        if let Some(session) = self.find(&digest) {
            if let Err(ended) = self.backend.check(session.inner()) {
                self.close(&session).await;
                return Err(ended);
            }
            if !session.is_over(now) {
                return Ok(session);
            }
            self.close(&session).await;
            if matches!(presented, Presented::Session(_)) {
                return Err(expired());
            }
        }
        if let Presented::Session(bearer) = &presented {
            let beside = self.seal.promised(bearer).ok_or_else(sign_in_first)?;
            let _lane = self.lane(&digest).await;
            return match self.find(&digest) {
                Some(session) => Ok(session),
                None => self.open_beside(digest, &beside, now).await,
            };
        }
        let Some(credentials) = presented.into_credentials() else {
            return Err(sign_in_first());
        };
        let _lane = self.lane(&digest).await;
        match self.find(&digest) {
            Some(session) => Ok(session),
            None => self.open(digest, credentials, Place::Shared, now).await,
        }
    }

    /// Whether `bearer` by itself names `session`.
    pub(crate) fn is_named(&self, session: &Arc<Session<B>>, bearer: &str) -> bool {
        let digest = self.digest(&Presented::Session(bearer.to_owned().into()));
        let open = self.lock();
        let named = open.get(&digest).map(|entry| &entry.session);
        named.is_some_and(|named| Arc::ptr_eq(named, session))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Ends a session, those beside it, and everything that they hold.
    pub(crate) async fn close(&self, session: &Arc<Session<B>>) {
        let beside = Place::Beside(*session.id());
        let ended: Vec<_> = {
            let mut open = self.lock();
            let ends = |_: &Digest, entry: &mut Entry<B>| {
                Arc::ptr_eq(&entry.session, session) || entry.session.place == beside
            };
            open.extract_if(ends)
                .map(|(_, entry)| entry.session)
                .collect()
        };
        for session in ended {
            session.cancel_all();
            self.backend.sign_out(Arc::clone(session.inner())).await;
        }
    }

    /// Ends every session that may not go on or whose time is over, and drops handles that were not used for long.
    pub(crate) async fn sweep(&self, now: SystemTime, instant: Instant) {
        let all: Vec<_> = self
            .lock()
            .values()
            .map(|entry| Arc::clone(&entry.session))
            .collect();
        for session in all {
            if session.is_over(now) || self.backend.check(session.inner()).is_err() {
                self.close(&session).await;
            } else {
                session.prune(instant);
            }
        }
    }

    async fn open(
        &self,
        digest: Digest,
        credentials: Credentials,
        place: Place,
        now: SystemTime,
    ) -> Result<Arc<Session<B>>, Error> {
        self.make_room(now).await?;
        let user = match &credentials {
            Credentials::Password { user, password: _ } => Some(user.clone()),
            Credentials::Token(_) => None,
        };
        let opened = self.backend.sign_in(credentials).await;
        let opened = opened.map_err(|error| match (&user, error.code()) {
            // Whoever tries tokens is not told which of them had the form of one.
            (None, code::UNAUTHENTICATED) => sign_in_first(),
            _ => error,
        })?;
        if opened.expires_at <= now {
            self.backend.sign_out(Arc::new(opened.session)).await;
            return Err(expired());
        }
        let owner = self.backend.owner(&opened.session).or(user);
        let session = Session::new(
            opened.session,
            opened.expires_at,
            owner,
            place,
            &self.limits,
        )?;
        Ok(self.keep(digest, session).await)
    }

    /// Opens a session beside a shared one, as its bearer was promised to.
    async fn open_beside(
        &self,
        digest: Digest,
        beside: &Handle,
        now: SystemTime,
    ) -> Result<Arc<Session<B>>, Error> {
        let shared = self
            .named(beside)
            .filter(|session| session.is_shared())
            .ok_or_else(sign_in_first)?;
        if let Err(ended) = self.backend.check(shared.inner()) {
            self.close(&shared).await;
            return Err(ended);
        }
        if shared.is_over(now) {
            self.close(&shared).await;
            return Err(expired());
        }
        self.make_room(now).await?;
        let session = Session::new(
            self.backend.beside(shared.inner()),
            shared.expires_at,
            shared.owner.clone(),
            Place::Beside(*beside),
            &self.limits,
        )?;
        Ok(self.keep(digest, session).await)
    }

    async fn make_room(&self, now: SystemTime) -> Result<(), Error> {
        if self.lock().len() >= self.limits.sessions {
            self.sweep(now, Instant::now()).await;
        }
        if self.lock().len() >= self.limits.sessions {
            return Err(full(self.limits.sessions));
        }
        Ok(())
    }

    async fn keep(&self, digest: Digest, session: Session<B>) -> Arc<Session<B>> {
        let session = Arc::new(session);
        let displaced = self.displaced_by(&session);
        let entry = Entry {
            session: Arc::clone(&session),
            used: Instant::now(),
        };
        self.lock().insert(digest, entry);
        if let Some(displaced) = displaced {
            self.close(&displaced).await;
        }
        session
    }

    /// The session of the same owner that was idle longest, if the owner has as many as allowed; a
    /// shared one, with which those beside it end, only if there is no other.
    fn displaced_by(&self, session: &Session<B>) -> Option<Arc<Session<B>>> {
        let owner = session.owner.as_ref()?;
        let open = self.lock();
        let own = || {
            open.values()
                .filter(|entry| entry.session.owner.as_ref() == Some(owner))
        };
        if own().count() < self.limits.sessions_per_principal.max(1) {
            return None;
        }
        own()
            .min_by_key(|entry| (entry.session.is_shared(), entry.used))
            .map(|entry| Arc::clone(&entry.session))
    }

    fn named(&self, id: &Handle) -> Option<Arc<Session<B>>> {
        let open = self.lock();
        let mut sessions = open.values().map(|entry| &entry.session);
        sessions.find(|session| session.id() == id).map(Arc::clone)
    }

    fn find(&self, digest: &Digest) -> Option<Arc<Session<B>>> {
        let mut open = self.lock();
        let entry = open.get_mut(digest)?;
        entry.used = Instant::now();
        Some(Arc::clone(&entry.session))
    }

    fn digest(&self, presented: &Presented) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in presented.parts() {
            context.update(&part.len().to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut digest = [0; 32];
        digest
            .iter_mut()
            .zip(context.sign().as_ref())
            .for_each(|(to, from)| *to = *from);
        digest
    }

    /// Waits until no other sign-in with the same credential runs.
    async fn lane(&self, digest: &Digest) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let [first, ..] = digest;
        let lane = self.lanes.get(usize::from(*first) % LANES)?;
        Some(lane.lock().await)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Entry<B>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expired() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::LEASE_EXPIRED,
        "the session has ended",
    )
    .with_hint("Sign in again.")
}

fn full(limit: usize) -> Error {
    let message = format!("the server has {limit} sessions, as many as it allows");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Try again later, or close sessions that are no longer used.")
}
