//! `list`: the named lists of ids that routes allow or deny.
//!
//! A list lives in its file. A running gateway looks at the file once a second, so nothing has to be told to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::Global;
use crate::route::list::{Id, ListFile, Source};

/// Each list's name and where its ids come from.
type Lists = BTreeMap<String, Vec<Source>>;

/// Commands below `list`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ListCommand {
    /// Print the ids of a list, or every list with its size
    Show {
        /// The list, as in `[lists.NAME]`
        name: Option<String>,
    },
    /// Add people to a list; a running gateway knows them within a second
    Add {
        #[command(flatten)]
        edit: EditArgs,
        /// Written behind each id as a comment
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Remove people from a list; exit code 1 when none of them was in it
    Remove(EditArgs),
}

/// Arguments of `list add` and `list remove`.
#[derive(Debug, clap::Args)]
pub(super) struct EditArgs {
    /// The list, as in `[lists.NAME]`; it needs a `file`
    name: String,
    /// `openid:...` or `unionid:...`
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(super) fn lists(command: ListCommand, global: &Global) -> anyhow::Result<ExitCode> {
    let path = global.config_path()?;
    let Some(lists) = super::check::lists(&path, global) else {
        return Ok(ExitCode::FAILURE);
    };
    match command {
        ListCommand::Show { name: None } => show_all(&lists, global),
        ListCommand::Show { name: Some(name) } => show(&lists, &name, global),
        ListCommand::Add { edit, note } => add(&lists, &edit, note.as_deref(), global),
        ListCommand::Remove(edit) => remove(&lists, &edit, global),
    }
}

/// One line a list.
fn show_all(lists: &Lists, global: &Global) -> anyhow::Result<ExitCode> {
    let mut entries = Vec::new();
    for (name, sources) in lists {
        let count = ids_of(sources)?.len();
        let file = file_of(sources).map(|file| file.display().to_string());
        if global.json {
            entries.push(json!({ "list": name, "ids": count, "file": file }));
        } else {
            let place = file.as_deref().unwrap_or("in the configuration");
            say!("{name}   {count} ids   {place}");
        }
    }
    if global.json {
        say!("{}", json!({ "lists": entries }));
    } else if lists.is_empty() {
        say!("no list");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(lists: &Lists, name: &str, global: &Global) -> anyhow::Result<ExitCode> {
    let sources = sources(lists, name)?;
    let ids: Vec<_> = ids_of(sources)?.iter().map(Id::reveal).collect();
    if global.json {
        let file = file_of(sources).map(|file| file.display().to_string());
        say!("{}", json!({ "list": name, "file": file, "ids": ids }));
    } else {
        ids.iter().for_each(|id| say!("{id}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn add(
    lists: &Lists,
    edit: &EditArgs,
    note: Option<&str>,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    if note.is_some_and(|note| note.chars().any(char::is_control)) {
        bail!("a note is one line of text");
    }
    let (ids, path) = (parsed(edit)?, editable(lists, &edit.name)?);
    let mut file = ListFile::open(path)?;
    let added = file.add(&ids, note);
    let count = file.ids().len();
    if added > 0 {
        save(file, path)?;
    }
    let name = &edit.name;
    if global.json {
        say!("{}", json!({ "list": name, "added": added, "ids": count }));
    } else {
        match ids.len() - added {
            0 => {}
            there => say!("{there} already in `{name}`"),
        }
        say!(
            "{added} added to `{name}`: {count} ids in {}",
            path.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(lists: &Lists, edit: &EditArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let (ids, path) = (parsed(edit)?, editable(lists, &edit.name)?);
    let name = &edit.name;
    let fixed = lists[name].iter().find_map(|source| match source {
        Source::Given(given) => ids.iter().find(|id| given.contains(id)),
        Source::File(_) => None,
    });
    if fixed.is_some() {
        bail!(
            "an id of `{name}` stands in the configuration itself\ntry: remove it from `ids` of [lists.{name}]"
        );
    }
    let mut file = ListFile::open(path)?;
    let removed = file.remove(&ids);
    let count = file.ids().len();
    if removed > 0 {
        save(file, path)?;
    }
    if global.json {
        say!(
            "{}",
            json!({ "list": name, "removed": removed, "ids": count })
        );
    } else {
        match ids.len() - removed {
            0 => {}
            missing => say!("{missing} not in `{name}`"),
        }
        say!(
            "{removed} removed from `{name}`: {count} ids in {}",
            path.display()
        );
    }
    Ok(match removed {
        0 => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn save(file: ListFile, path: &std::path::Path) -> anyhow::Result<()> {
    file.save().with_context(|| {
        let path = path.display();
        format!("list `{path}` cannot be written\ntry: as its owner, or as root")
    })
}

/// The ids of the command line. A bad one is not repeated: it may be somebody's.
fn parsed(edit: &EditArgs) -> anyhow::Result<Vec<Id>> {
    let mut ids = Vec::new();
    for (place, text) in edit.ids.iter().enumerate() {
        let number = place + 1;
        let id = Id::parse(text).with_context(|| {
            format!(
                "id {number} is neither openid:... nor unionid:...\ntry: openid:o6_bmasdasdsad6"
            )
        })?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn sources<'c>(lists: &'c Lists, name: &str) -> anyhow::Result<&'c [Source]> {
    let found = lists.get(name).map(Vec::as_slice);
    found.with_context(|| {
        let names: Vec<_> = lists.keys().map(String::as_str).collect();
        let known = match names.is_empty() {
            true => "the configuration has no [lists.*]".to_owned(),
            false => format!("lists are {}", names.join(", ")),
        };
        format!("no list is called `{name}`: {known}")
    })
}

/// The file in which a list can be changed.
fn editable<'c>(lists: &'c Lists, name: &str) -> anyhow::Result<&'c PathBuf> {
    file_of(sources(lists, name)?).with_context(|| {
        format!("list `{name}` stands in the configuration itself\ntry: change `ids` of [lists.{name}] there, or give it a `file`")
    })
}

fn file_of(sources: &[Source]) -> Option<&PathBuf> {
    sources.iter().find_map(|source| match source {
        Source::File(file) => Some(file),
        Source::Given(_) => None,
    })
}

fn ids_of(sources: &[Source]) -> anyhow::Result<Vec<Id>> {
    let mut ids = Vec::new();
    for source in sources {
        ids.extend(source.ids()?);
    }
    Ok(ids)
}
