//! What a file says about one thing, whatever else is wrong with it.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::file::File;
use super::overrides::Overlay;
use super::place::Place;
use super::problem::Problems;
use super::read::{FileValue, Node, Reader};
use super::surroundings::Surroundings;
use super::{Document, syntax};
use crate::secret::Secret;

/// How to reach a running gateway.
#[derive(Clone, Debug)]
pub struct AdminAccess {
    /// Where; `None` when the admin listener is switched off.
    pub listen: Option<SocketAddr>,
    /// What it asks for.
    pub token: Option<Secret<String>>,
}

impl Document {
    /// What `[admin]` says.
    ///
    /// Whoever asks a running gateway need not have a valid file at hand: it may be in the middle of an edit, and the shell need not
    /// hold the secrets that the service holds. A health check that failed then would have a well gateway restarted with a file
    /// that cannot start. The errors are those of `[admin]` alone, and a file that holds no table at all.
    pub fn admin_access(&self, surroundings: &Surroundings) -> Result<AdminAccess, Problems> {
        let overlay = Overlay::new(&self.text, surroundings.overrides());
        let (table, errors) = self.table(&overlay);
        let root = DeValue::Table(table);
        let node = Node {
            value: &root,
            place: Place::root(),
        };
        let mut reader = Reader::new(&overlay, &self.source, self.is_exposed, surroundings);
        let file = File::read(&node, &mut reader);
        let mut found = std::mem::take(&mut reader.problems);
        let Some(file) = file else {
            found.extend(syntax::problems(&self.text, &errors));
            return Err(self.report(&overlay, &reader.secrets, found));
        };
        let admin = &file.admin;
        let broken = [
            admin.is_broken.then_some(&admin.place),
            admin
                .value
                .listen
                .is_broken
                .then_some(&admin.value.listen.place),
            admin
                .value
                .token
                .is_broken
                .then_some(&admin.value.token.place),
        ];
        let broken: Vec<_> = broken
            .into_iter()
            .flatten()
            .map(|place| place.span.clone())
            .collect();
        if broken.is_empty() {
            let token = admin.value.token.value.0.as_ref();
            return Ok(AdminAccess {
                listen: admin.value.listen.value.0,
                token: token.map(|token| token.0.clone()),
            });
        }
        found.retain(|problem| {
            problem
                .span
                .as_ref()
                .is_some_and(|span| broken.contains(span))
        });
        Err(self.report(&overlay, &reader.secrets, found))
    }
}
