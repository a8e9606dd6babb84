//! The one lock of the shell: the standard library's, or loom's in the unit tests of this crate.
//!
//! Loom then walks every order in which threads can enter the critical sections.
//! Integration tests, doctests and users get the standard library's.

use std::sync::PoisonError;

#[cfg(test)]
use loom::sync as imp;
#[cfg(not(test))]
use std::sync as imp;

/// A mutex that does not poison.
///
/// Nothing panics under it but a key that should not. Refusing every call from then on, the end of
/// running items included, would turn that into a deadlock.
pub(crate) struct Lock<T>(imp::Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> imp::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
