//! What a file says about one thing, whatever else is wrong with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::de::DeValue;

use super::file::File;
use super::overrides::Overlay;
use super::place::Place;
use super::problem::Problems;
use super::read::{FileValue, Node, Reader};
use super::surroundings::Surroundings;
use super::{Document, resolve, syntax};
use crate::route::list::Source;
use crate::secret::Secret;

/// How to reach a running gateway.
#[derive(Clone, Debug)]
pub struct AdminAccess {
    /// Where; `None` when the admin listener is switched off.
    pub listen: Option<SocketAddr>,
    /// What it asks for.
    pub token: Option<Secret<String>>,
}

/// Whoever asks a running gateway, or changes a list, need not have a valid file at hand: it may be in the middle of an edit, and the
/// shell need not hold the secrets that the service holds. The errors are those of the section alone, and what TOML cannot read there.
impl Document {
    /// What `[admin]` says. A health check that failed for other sections would have a well gateway restarted with a file that
    /// cannot start.
    pub fn admin_access(&self, surroundings: &Surroundings) -> Result<AdminAccess, Problems> {
        self.section("admin", surroundings, |file, _| {
            let admin = &file.admin.value;
            let is_broken = file.admin.is_broken || admin.listen.is_broken || admin.token.is_broken;
            let token = admin.token.value.0.as_ref();
            (!is_broken).then(|| AdminAccess {
                listen: admin.listen.value.0,
                token: token.map(|token| token.0.clone()),
            })
        })
    }

    /// What `[lists]` says: each list's name and where its ids come from.
    pub fn lists(
        &self,
        surroundings: &Surroundings,
    ) -> Result<BTreeMap<String, Vec<Source>>, Problems> {
        self.section("lists", surroundings, |file, reader| {
            let lists = resolve::lists(file, reader);
            let is_broken = reader.problems.iter().any(|problem| problem.is_in("lists"));
            (!is_broken).then_some(lists)
        })
    }

    /// What `read` makes of the file, or the problems of that section.
    fn section<T>(
        &self,
        name: &str,
        surroundings: &Surroundings,
        read: impl FnOnce(&File, &mut Reader<'_>) -> Option<T>,
    ) -> Result<T, Problems> {
        let overlay = Overlay::new(&self.text, surroundings.overrides());
        let (table, errors) = self.table(&overlay);
        let syntax = syntax::problems(&self.text, &errors);
        // What TOML cannot read is not in the table, and a default in its place would be believed.
        let is_lost = !table.contains_key(name) && syntax::has_heading(&self.text, name);
        let is_unreadable = is_lost || syntax.iter().any(|problem| problem.is_in(name));
        let root = DeValue::Table(table);
        let node = Node {
            value: &root,
            place: Place::root(),
        };
        let mut reader = Reader::new(&overlay, &self.source, self.is_exposed, surroundings);
        let file = File::read(&node, &mut reader);
        let Some(file) = file.filter(|_| !is_unreadable) else {
            return Err(self.report(&overlay, &reader.secrets, syntax));
        };
        read(&file, &mut reader).ok_or_else(|| {
            let mut problems = std::mem::take(&mut reader.problems);
            problems.retain(|problem| problem.is_in(name));
            self.report(&overlay, &reader.secrets, problems)
        })
    }
}
