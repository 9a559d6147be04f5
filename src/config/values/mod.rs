//! Values as people write them: durations, sizes, addresses, words, lists, secrets.

mod addresses;
mod checks;
mod lists;
mod scalars;
mod secrets;
mod texts;
mod words;

pub(super) use addresses::{HostText, Network, Origin, WebUrl};
pub(super) use checks::{Request, Statuses};
pub(super) use lists::{Item, Named};
pub(super) use scalars::{Fraction, OrNone, Whole};
pub(super) use secrets::{Keys, Sensitive};
pub(super) use texts::{Accent, FilePath, Positive, Size, TextValue};
pub(super) use words::{Alphabet, words};
