//! `[lists.*]`: reads them once, so that a bad line is known before it matters.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::code::Code;
use crate::config::file::{File, ListFile};
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::suggest::choice;
use crate::config::surroundings;
use crate::config::values::Item;
use crate::route::list::{Error, Id, Ids, Source};

/// A list as it is now.
#[derive(Debug)]
struct List {
    name: String,
    sources: Vec<Source>,
    openids: usize,
    unionids: usize,
}

/// Every list of the file.
#[derive(Debug)]
pub(super) struct Lists {
    lists: Vec<List>,
    names: Vec<String>,
    is_partial: bool,
}

/// What a route's `allow` or `deny` names.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) ids: Option<Ids>,
    /// How many ids there are now.
    pub(super) size: usize,
    /// There are ids, and none is a unionid.
    pub(super) has_only_openids: bool,
    /// Some list is unknown or broken.
    pub(super) is_partial: bool,
}

pub(super) fn read(file: &File, reader: &mut Reader<'_>) -> Lists {
    let entries = &file.lists.value.entries;
    Lists {
        lists: entries
            .iter()
            .filter_map(|(name, item)| list(name, item, reader))
            .collect(),
        names: file.lists.value.names().map(str::to_owned).collect(),
        is_partial: file.lists.is_broken,
    }
}

fn list(name: &str, item: &Item<ListFile>, reader: &mut Reader<'_>) -> Option<List> {
    let file = &item.value;
    if !file.file.is_given && !file.ids.is_given {
        let what = "needs `file` or `ids`";
        reader.report(Problem::new(Code::MissingKey, &item.place, what));
        return None;
    }
    if file.file.is_broken() || file.ids.is_broken() {
        return None;
    }
    let mut ids = Vec::new();
    let mut is_whole = true;
    for item in file.ids.value.iter().flatten() {
        match Id::parse(&item.value) {
            Some(id) => ids.push(id),
            None => {
                let what = "must be \"openid:...\" or \"unionid:...\"";
                reader.report(Problem::new(Code::BadListEntry, &item.place, what));
                is_whole = false;
            }
        }
    }
    let mut sources = Vec::new();
    if file.ids.is_given {
        sources.push(Source::Given(ids.clone()));
    }
    if let Some(path) = &file.file.value {
        match read_file(item, &path.resolve(reader)) {
            Ok(more) => ids.extend(more),
            Err(problem) => {
                reader.report(*problem);
                is_whole = false;
            }
        }
        sources.push(Source::File(path.resolve(reader)));
    }
    let openids = ids.iter().filter(|id| matches!(id, Id::OpenId(_))).count();
    is_whole.then(|| List {
        name: name.to_owned(),
        sources,
        openids,
        unionids: ids.len() - openids,
    })
}

fn read_file(item: &Item<ListFile>, path: &Path) -> Result<Vec<Id>, Box<Problem>> {
    let place = &item.value.file.place;
    Source::File(path.to_owned()).ids().map_err(|error| {
        // The line itself is not quoted: it may be the id of a person.
        let (code, what) = match error {
            Error::Unreadable { file, source } => {
                let why = surroundings::explain(&file, &source);
                (Code::UnreadableFile, format!("cannot read {why}"))
            }
            Error::NotAnId { file, line } => {
                let file = file.display();
                let what =
                    format!("= \"{file}\": line {line} is neither openid:... nor unionid:...");
                (Code::BadListEntry, what)
            }
        };
        Box::new(Problem::new(code, place, what))
    })
}

impl Lists {
    /// Each list's name and sources.
    pub(super) fn into_sources(self) -> BTreeMap<String, Vec<Source>> {
        let lists = self.lists.into_iter();
        lists.map(|list| (list.name, list.sources)).collect()
    }

    /// The lists that a route names.
    pub(super) fn choose(&self, names: &[Item<String>], reader: &mut Reader<'_>) -> Chosen {
        let mut sources = Vec::new();
        let (mut openids, mut unionids) = (0, 0);
        let mut is_partial = false;
        for item in names {
            if let Some(list) = self.lists.iter().find(|list| list.name == item.value) {
                sources.extend(list.sources.iter().cloned());
                openids += list.openids;
                unionids += list.unionids;
                continue;
            }
            is_partial = true;
            if self.is_partial || self.names.contains(&item.value) {
                continue;
            }
            let what = format!("names \"{}\", which is not in `[lists]`", item.value);
            let hint = choice(&item.value, self.names.iter().map(String::as_str)).or_else(|| {
                let name = &item.value;
                Some(format!("add `[lists.{name}]` with `ids` or `file`"))
            });
            let problem = Problem::new(Code::UnknownList, &item.place, what);
            reader.report(problem.maybe_hint(hint));
        }
        Chosen {
            // Whatever was wrong with a file was found when it was read the first time.
            ids: Ids::open(sources).ok(),
            size: openids + unionids,
            has_only_openids: openids > 0 && unionids == 0,
            is_partial,
        }
    }
}
