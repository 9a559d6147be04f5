//! `config.toml` to settings. The only module that knows TOML.
//!
//! After [`Config::load`] nothing can be invalid: the rest of the program has no "is this set?" questions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use toml::de::{DeTable, DeValue};

use crate::{
    admin, gateway, identity, jwt, limit, listen, login, observe, pages, proxy, route, seal,
    session, store, wechat,
};

mod code;
mod file;
mod language;
mod mask;
mod origins;
mod overrides;
mod partial;
mod place;
mod problem;
mod read;
mod render;
mod resolve;
mod schema;
mod show;
mod suggest;
mod surroundings;
mod syntax;
mod table;
mod values;
mod watch;

pub use code::{Code, Severity};
pub use language::Language;
pub use origins::{Origins, ValueOrigin};
pub use partial::AdminAccess;
pub use problem::{Entry, Problem, Problems};
pub use show::Shown;
pub use surroundings::Surroundings;
pub use watch::Watch;

use file::File;
use overrides::Overlay;
use place::Place;
use read::{FileValue, Node, Reader};

/// One whole, valid configuration: one `Settings` per module.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub source: PathBuf,
    /// Which version of the file: see [`Document::fingerprint`].
    pub fingerprint: String,
    /// What each key names whose text lies elsewhere, such as `wechat.main.secret`: `env:NAME`, `file:/path` or `cred:NAME`.
    pub references: BTreeMap<String, String>,
    /// Where wxgate keeps what it makes itself.
    pub state_dir: PathBuf,
    /// Public listeners; at least one.
    pub listeners: Vec<listen::Settings>,
    /// The request path.
    pub gateway: gateway::Settings,
    /// Routes.
    pub routes: route::Settings,
    /// Every named list and where its ids come from, whether a route uses it or not.
    pub lists: BTreeMap<String, Vec<route::list::Source>>,
    /// Login.
    pub login: login::Settings,
    /// WeChat's apps and addresses.
    pub wechat: wechat::Settings,
    /// Sessions.
    pub sessions: session::Settings,
    /// Keys of sealed cookies.
    pub session_keys: seal::KeySource,
    /// Store.
    pub store: store::Settings,
    /// Subject and plain headers.
    pub identity: identity::Settings,
    /// Tokens.
    pub jwt: jwt::Settings,
    /// Upstreams.
    pub proxy: proxy::Settings,
    /// Pages.
    pub pages: pages::Settings,
    /// Rate limits.
    pub limits: limit::Settings,
    /// Logs.
    pub observe: observe::Settings,
    /// Admin listener.
    pub admin: admin::Settings,
    /// Readiness says no this long before listeners close.
    pub drain_delay: Duration,
    /// How long requests in flight may take to end.
    pub shutdown_grace: Duration,
    /// `wechat_api` points at loopback: a simulator, which `run` refuses without being told.
    pub uses_simulator: bool,
}

impl Config {
    /// Reads and checks a file; a valid one may come with warnings. Opens no socket and changes nothing on disk.
    pub fn load(path: &Path) -> Result<(Self, Problems), Problems> {
        let document = Document::read(path)?;
        document.check(&Surroundings::of_process())
    }

    /// Checks a text as if it had been read from `source`: relative paths count from its folder.
    pub fn parse(
        text: &str,
        source: &Path,
        surroundings: &Surroundings,
    ) -> Result<(Self, Problems), Problems> {
        Document::new(text.to_owned(), source).check(surroundings)
    }
}

impl Config {
    /// What reports about its routes need.
    pub fn report_facts<'c>(&'c self, routes: &'c route::Routes) -> route::report::Facts<'c> {
        let upstreams = &self.proxy.upstreams;
        let name = |index: usize| upstreams.get(index).map(|one| one.name.as_str());
        let forwarding = self.gateway.forwarding.iter();
        let files = self.gateway.verification_files.iter();
        route::report::Facts {
            source: self.source.display().to_string(),
            site: &self.gateway.site,
            routes,
            subject_needs_unionid: self.identity.subject == identity::SubjectForm::UnionId,
            verification_files: files.map(|(name, _)| name.as_str()).collect(),
            upstreams: forwarding
                .map(|one| one.as_ref().and_then(|one| name(one.upstream.0)))
                .map(|name| name.unwrap_or("none"))
                .collect(),
        }
    }
}

/// A configuration file as it was read.
#[derive(Clone, Debug)]
pub struct Document {
    source: PathBuf,
    text: String,
    /// Everybody on the machine can read the file.
    is_exposed: bool,
}

impl Document {
    /// Reads a file. The only error is that it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let of_file = |problem| Problems::new(path, &Overlay::new("", &[]), &[], vec![problem]);
        let bytes = std::fs::read(path).map_err(|error| {
            let what = format!("cannot read {}", surroundings::explain(path, &error));
            let problem = Problem::of_file(Code::UnreadableConfig, what);
            let hint = (error.kind() == std::io::ErrorKind::NotFound)
                .then(|| "`wxgate init` writes one; `-c FILE` names another".to_owned());
            of_file(problem.maybe_hint(hint))
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let read = error.as_bytes().get(..error.utf8_error().valid_up_to());
            let lines = read
                .unwrap_or_default()
                .iter()
                .filter(|byte| **byte == b'\n');
            let line = lines.count() + 1;
            let what = format!("`{}` is not UTF-8 (line {line})", path.display());
            let hint = "save it as UTF-8: in GBK or UTF-16 Chinese text is other bytes";
            of_file(Problem::of_file(Code::UnreadableConfig, what).hint(hint))
        })?;
        let is_exposed = std::fs::metadata(path).is_ok_and(|found| found.mode() & 0o004 != 0);
        Ok(Self {
            is_exposed,
            ..Self::new(text, path)
        })
    }

    /// A text as if it had been read from `source`, by a file that only its owner can read.
    pub fn new(text: String, source: &Path) -> Self {
        Self {
            text,
            source: source.to_path_buf(),
            is_exposed: false,
        }
    }

    /// The first 12 hex digits of the text's SHA-256: which version of the file this is.
    pub fn fingerprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.text.as_bytes());
        HEXLOWER.encode(hash.as_ref().get(..6).unwrap_or_default())
    }

    /// Checks everything.
    pub fn check(&self, surroundings: &Surroundings) -> Result<(Config, Problems), Problems> {
        self.resolve(surroundings)
            .map(|resolved| (resolved.config, resolved.warnings))
    }

    /// Every key with its effective value, and where each came from; secrets are hidden.
    pub fn show(&self, surroundings: &Surroundings) -> Result<(Shown, Origins), Problems> {
        let resolved = self.resolve(surroundings)?;
        let mut shown = resolved.file.show();
        resolve::show_effective(&resolved.config, &mut shown);
        Ok((shown, resolved.origins))
    }

    fn resolve(&self, surroundings: &Surroundings) -> Result<Resolved, Problems> {
        let overlay = Overlay::new(&self.text, surroundings.overrides());
        let (table, errors) = self.table(&overlay);
        let origins = Origins::of(&table, &self.source, &overlay);
        let root = DeValue::Table(table);
        let node = Node {
            value: &root,
            place: Place::root(),
        };
        let mut reader = Reader::new(&overlay, &self.source, self.is_exposed, surroundings);
        let file = File::read(&node, &mut reader);
        let Some(file) = file.filter(|_| errors.is_empty()) else {
            let found = std::mem::take(&mut reader.problems);
            let mut problems = syntax::problems(&self.text, &errors);
            problems.extend(syntax::trustworthy(&self.text, &errors, found));
            return Err(self.report(&overlay, &reader.secrets, problems));
        };
        if let Some(problem) = resolve::unknown_version(&file) {
            return Err(self.report(&overlay, &reader.secrets, vec![problem]));
        }
        let config = resolve::resolve(&file, self, &mut reader);
        let problems = self.report(&overlay, &reader.secrets, reader.problems);
        match config {
            Some(config) if problems.count(Severity::Error) == 0 => Ok(Resolved {
                config,
                file,
                origins,
                warnings: problems,
            }),
            Some(_) | None => Err(problems),
        }
    }

    /// The file as a table with the overrides in it, as far as it can be read, and what could not.
    fn table<'t>(&'t self, overlay: &'t Overlay) -> (DeTable<'t>, Vec<toml::de::Error>) {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        let mut table = table.into_inner();
        overlay.apply(&mut table);
        (table, errors)
    }

    fn report(
        &self,
        overlay: &Overlay,
        secrets: &[Range<usize>],
        problems: Vec<Problem>,
    ) -> Problems {
        Problems::new(&self.source, overlay, secrets, problems)
    }
}

/// A valid file in all its forms.
struct Resolved {
    config: Config,
    file: File,
    origins: Origins,
    warnings: Problems,
}

/// The JSON Schema (draft 2020-12) of the file, for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = File::schema();
    if let Some(schema) = schema.as_object_mut() {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), draft.into());
        schema.insert("title".to_owned(), "wxgate config.toml".into());
    }
    schema
}
