//! The available vendor files: shipped ones, overridden by the user's own.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{compile_error::CompileError, draft, file::VendorFile, lines};

/// Shipped vendors. A new one is one file and one line here.
const SHIPPED: &[(&str, &str)] = &[
    ("adobe-commerce", include_str!("../../connectors/adobe-commerce.toml")),
    ("bigcommerce", include_str!("../../connectors/bigcommerce.toml")),
    ("botpress", include_str!("../../connectors/botpress.toml")),
    ("chatwoot", include_str!("../../connectors/chatwoot.toml")),
    ("commercetools", include_str!("../../connectors/commercetools.toml")),
    ("contentful", include_str!("../../connectors/contentful.toml")),
    ("directus", include_str!("../../connectors/directus.toml")),
    ("dynamics-365", include_str!("../../connectors/dynamics-365.toml")),
    ("freshdesk", include_str!("../../connectors/freshdesk.toml")),
    ("front", include_str!("../../connectors/front.toml")),
    ("generic", include_str!("../../connectors/generic.toml")),
    ("ghost", include_str!("../../connectors/ghost.toml")),
    ("gorgias", include_str!("../../connectors/gorgias.toml")),
    ("helpscout", include_str!("../../connectors/helpscout.toml")),
    ("http-codes", include_str!("../../connectors/http-codes.toml")),
    ("hubspot", include_str!("../../connectors/hubspot.toml")),
    ("intercom", include_str!("../../connectors/intercom.toml")),
    ("jira-service-management", include_str!("../../connectors/jira-service-management.toml")),
    ("klaviyo", include_str!("../../connectors/klaviyo.toml")),
    ("medusa", include_str!("../../connectors/medusa.toml")),
    ("notion", include_str!("../../connectors/notion.toml")),
    ("payload", include_str!("../../connectors/payload.toml")),
    ("pipedrive", include_str!("../../connectors/pipedrive.toml")),
    ("prestashop", include_str!("../../connectors/prestashop.toml")),
    ("rocketchat", include_str!("../../connectors/rocketchat.toml")),
    ("salesforce", include_str!("../../connectors/salesforce.toml")),
    ("sanity", include_str!("../../connectors/sanity.toml")),
    ("servicenow", include_str!("../../connectors/servicenow.toml")),
    ("shopify", include_str!("../../connectors/shopify.toml")),
    ("shopware", include_str!("../../connectors/shopware.toml")),
    ("standard-webhooks", include_str!("../../connectors/standard-webhooks.toml")),
    ("storyblok", include_str!("../../connectors/storyblok.toml")),
    ("strapi", include_str!("../../connectors/strapi.toml")),
    ("twilio-verify", include_str!("../../connectors/twilio-verify.toml")),
    ("voiceflow", include_str!("../../connectors/voiceflow.toml")),
    ("woocommerce", include_str!("../../connectors/woocommerce.toml")),
    ("wordpress", include_str!("../../connectors/wordpress.toml")),
    ("zendesk", include_str!("../../connectors/zendesk.toml")),
    ("zoho-crm", include_str!("../../connectors/zoho-crm.toml")),
    ("zoho-desk", include_str!("../../connectors/zoho-desk.toml")),
];

/// Longest vendor file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Vendor files by name, parsed on demand.
#[derive(Debug, Clone)]
pub struct Library {
    files: BTreeMap<String, Entry>,
    /// GraphQL documents beside the user's own files, by file name.
    queries: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct Entry {
    text: String,
    origin: Origin,
}

/// Origin of a vendor file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Shipped,
    /// A user's own file, which may replace a shipped one of the same name.
    File(PathBuf),
}

/// Why a vendor file cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("failed to read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("there is no connector {name}; there are {known}. A file of your own goes into connectors.directory")]
    Unknown { name: String, known: String },
    #[error("{file}: {why}")]
    File { file: String, why: String },
    #[error(
        "{file} is not finished: {left}. Fill in what is marked and remove the marks; frontdesk connectors try runs a draft"
    )]
    Unfinished { file: String, left: String },
}

impl Library {
    /// The shipped files only.
    pub fn shipped() -> Self {
        let entry = |text: &str| Entry { text: text.to_owned(), origin: Origin::Shipped };
        let files = SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), entry(text))).collect();
        Self { files, queries: BTreeMap::new() }
    }

    /// The shipped files, overridden by every `NAME.toml` of a directory. These may name a `NAME.graphql` beside them;
    /// shipped ones hold their queries, so that a copy is whole.
    pub fn with_directory(directory: Option<&Path>) -> Result<Self, LibraryError> {
        let mut library = Self::shipped();
        let Some(directory) = directory else { return Ok(library) };
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| LibraryError::Read { path, source }
        };
        for entry in fs::read_dir(directory).map_err(failed(directory))? {
            let path = entry.map_err(failed(directory))?.path();
            let is_query = match path.extension().and_then(|extension| extension.to_str()) {
                Some("toml") => false,
                Some("graphql") => true,
                _ => continue,
            };
            let name = if is_query { path.file_name() } else { path.file_stem() };
            let Some(name) = name.and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            if fs::metadata(&path).map_err(failed(&path))?.len() > FILE_BYTES_MAX {
                return Err(LibraryError::TooLong { path });
            }
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            if is_query {
                library.queries.insert(name, text);
                continue;
            }
            // The shell creates an empty file before `connectors show NAME --file > NAME.toml` runs.
            if text.trim().is_empty() {
                continue;
            }
            library.files.insert(name, Entry { text, origin: Origin::File(path) });
        }
        Ok(library)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn text(&self, name: &str) -> Result<&str, LibraryError> {
        self.entry(name).map(|entry| entry.text.as_str())
    }

    pub fn origin(&self, name: &str) -> Result<&Origin, LibraryError> {
        self.entry(name).map(|entry| &entry.origin)
    }

    /// Parses a file and checks that its `name` equals the file name.
    pub fn parse(&self, name: &str) -> Result<VendorFile, LibraryError> {
        let entry = self.entry(name)?;
        let failed = |why| LibraryError::File { file: entry.origin.describe(name), why };
        let mut file = VendorFile::parse(&entry.text).map_err(failed)?;
        if entry.origin != Origin::Shipped {
            file.queries = self.queries.clone();
        }
        match file.name == name {
            true => Ok(file),
            false => {
                Err(failed(format!("name: is {:?}, and the file is named {name}.toml; they must agree", file.name)))
            }
        }
    }

    /// File and line of a fault.
    pub(super) fn place(&self, name: &str, fault: &CompileError) -> String {
        self.line(name, fault.key(), fault.line())
    }

    /// File and line of a key; `within` is a line of its text.
    pub(super) fn line(&self, name: &str, key: &str, within: Option<usize>) -> String {
        let Some(entry) = self.files.get(name) else { return name.to_owned() };
        let file = entry.origin.describe(name);
        match lines::line(&entry.text, key, within) {
            Some(line) => format!("{file}: line {line}"),
            None => file,
        }
    }

    /// Checks that nothing is left to fill in.
    pub(super) fn finished(&self, name: &str) -> Result<(), LibraryError> {
        let holes = draft::holes(self.text(name)?);
        let Some(first) = holes.first() else { return Ok(()) };
        let others: Vec<String> = holes[1..].iter().map(|hole| hole.line.to_string()).collect();
        let others = match others.len() {
            0 => String::new(),
            1 => format!(", and line {}", others[0]),
            _ => format!(", and lines {}", others.join(", ")),
        };
        let left = format!("line {} ({}){others}", first.line, first.what);
        Err(LibraryError::Unfinished { file: self.file(name), left })
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.files.get(name).map_or_else(|| name.to_owned(), |entry| entry.origin.describe(name))
    }

    fn entry(&self, name: &str) -> Result<&Entry, LibraryError> {
        self.files.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            LibraryError::Unknown { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

impl Origin {
    fn describe(&self, name: &str) -> String {
        match self {
            Self::Shipped => format!("connectors/{name}.toml (shipped)"),
            Self::File(path) => path.display().to_string(),
        }
    }
}
