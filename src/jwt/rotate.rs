//! The next key begins to sign: by time, or because an operator wants it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::keys::{self, Ring};
use super::{Current, Error, Minter, Rotating};

/// What came of an operator's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// Another key signs from now on; its `kid`.
    Done(String),
    /// Applications may not have seen the next key yet: it can sign in so long.
    TooEarly(Duration),
    /// The keys are the operator's own, or a shared secret: they change with the configuration.
    Given,
}

impl Minter {
    /// Moves keys along when it is time. Blocking file access. Says whether anything changed; a failure keeps what was.
    ///
    /// Only keys of [`KeySource::Automatic`](super::KeySource::Automatic) move.
    pub fn rotate(&self, now: SystemTime) -> Result<bool, Error> {
        let Some(rotating) = &self.rotating else {
            return Ok(false);
        };
        let mut rotating = rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ring) = rotating.ring.moved_along(rotating.every, now)? else {
            return Ok(false);
        };
        self.take(&mut rotating, ring)?;
        Ok(true)
    }

    /// Lets the next key sign now. Blocking file access; a failure keeps what was.
    ///
    /// `forgets_previous` publishes no key any more that signed before, for one that somebody else may have: applications refuse
    /// its tokens as soon as they fetch the key set again, after five minutes at most.
    pub fn rotate_now(&self, now: SystemTime, forgets_previous: bool) -> Result<Rotated, Error> {
        let Some(rotating) = &self.rotating else {
            return Ok(Rotated::Given);
        };
        let mut rotating = rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let too_early = rotating.ring.too_early_by(now);
        if !too_early.is_zero() {
            return Ok(Rotated::TooEarly(too_early));
        }
        let mut ring = rotating.ring.advanced(now)?;
        if forgets_previous {
            ring.forget_previous();
        }
        let kid = ring.signing_since().map(|(kid, _)| kid);
        self.take(&mut rotating, ring)?;
        Ok(Rotated::Done(kid.unwrap_or_default()))
    }

    fn take(&self, rotating: &mut Rotating, ring: Ring) -> Result<(), Error> {
        keys::save(&rotating.file, &ring)?;
        let key = ring.signing_key();
        let generation = key.generation();
        let jwks = ring.publish();
        self.current.store(Arc::new(Current { key, jwks }));
        self.generation.store(generation, Ordering::Release);
        rotating.ring = ring;
        Ok(())
    }
}
