//! Holds the picture of ARCHITECTURE.md: who may import whom, without circles, which libraries stay in which room, how
//! long files are, and whether the paths that documents name are there. Its last lines are the picture in numbers.

mod circles;
mod documents;
mod rules;
mod rust;
mod samples;
mod table;

use std::{
    fs,
    io::{self, Write},
    panic,
    path::Path,
    process::ExitCode,
};

use rust::Crate;
use table::Table;

/// The checks by name. It has no harness of the test library, which would keep the picture to itself.
const CHECKS: &[(&str, fn())] = &[
    ("imports_run_the_right_way", imports_run_the_right_way),
    ("nothing_is_imported_in_a_circle", nothing_is_imported_in_a_circle),
    ("libraries_stay_in_their_room", libraries_stay_in_their_room),
    ("files_say_what_they_are_for_and_stay_short", files_say_what_they_are_for_and_stay_short),
    ("nothing_is_left_for_later", nothing_is_left_for_later),
    ("paths_in_documents_are_there", paths_in_documents_are_there),
    ("the_package_holds_what_sources_include", the_package_holds_what_sources_include),
];

const DOCUMENTS: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

fn main() -> io::Result<ExitCode> {
    let wanted = Wanted::read(std::env::args().skip(1));
    let checks: Vec<_> = CHECKS.iter().chain(samples::CHECKS).filter(|(name, _)| wanted.includes(name)).collect();
    let mut out = io::stdout().lock();
    if wanted.list {
        for (name, _) in checks {
            writeln!(out, "{name}: test")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = 0;
    for (name, check) in &checks {
        let good = panic::catch_unwind(check).is_ok();
        failed += u32::from(!good);
        writeln!(out, "test {name} ... {}", if good { "ok" } else { "FAILED" })?;
    }
    if !checks.is_empty() {
        picture(&mut out)?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Which checks the command line asks for, in the words of the test library's harness.
#[derive(Default)]
struct Wanted {
    list: bool,
    exact: bool,
    ignored: bool,
    names: Vec<String>,
    skipped: Vec<String>,
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => wanted.list = true,
                "--exact" => wanted.exact = true,
                "--ignored" => wanted.ignored = true,
                "--skip" => wanted.skipped.extend(arguments.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => {
                    drop(arguments.next());
                }
                flag if flag.starts_with('-') => {}
                _ => wanted.names.push(argument),
            }
        }
        wanted
    }

    fn includes(&self, name: &str) -> bool {
        let fits = |text: &String| if self.exact { name == text } else { name.contains(text.as_str()) };
        !self.ignored && (self.names.is_empty() || self.names.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

/// Rooms, floors and circles.
fn picture(out: &mut impl Write) -> io::Result<()> {
    let krate = Crate::read(&below("src"));
    let graphs = circles::graphs(&krate);
    let rooms = Table::read(&read("ARCHITECTURE.md")).rooms();
    let circles = circles::circles(&graphs).len();
    let floors = circles::floors(&rooms, &graphs[""]).unwrap_or_default();
    writeln!(
        out,
        "\n{} rooms on {} floors, {circles} circles in {} files",
        rooms.len(),
        floors.len(),
        krate.modules.len()
    )?;
    for (n, floor) in floors.iter().enumerate().rev() {
        writeln!(out, "{:>4}  {}", n + 1, floor.join("  "))?;
    }
    writeln!(out)
}

fn imports_run_the_right_way() {
    let files = below("src");
    let table = Table::read(&read("ARCHITECTURE.md"));
    let wrong = rules::imports(&files, &Crate::read(&files), &table);
    none([table.faults, wrong].concat());
}

fn nothing_is_imported_in_a_circle() {
    none(circles::circles(&circles::graphs(&Crate::read(&below("src")))));
}

fn libraries_stay_in_their_room() {
    let files = below("src");
    none(rules::libraries(&files, &Crate::read(&files)));
}

fn files_say_what_they_are_for_and_stay_short() {
    for folder in ["src", "tests", "benches"] {
        none(rules::headed_and_short(&below(folder)));
    }
}

fn nothing_is_left_for_later() {
    none(rules::nothing_left(&below("src")));
}

fn paths_in_documents_are_there() {
    let mut files = Vec::new();
    walk(root(), &mut files);
    let mut faults = Vec::new();
    for document in DOCUMENTS {
        let missing = documents::paths(&read(document)).into_iter().filter(|path| !documents::exists(path, &files));
        faults.extend(missing.map(|path| format!("{document} names {path}, which is not there")));
    }
    none(faults);
}

fn the_package_holds_what_sources_include() {
    none(rules::not_packaged(&below("src"), &rules::packaged(&read("Cargo.toml"))));
}

/// Fails with all faults, one a line.
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file} cannot be read: {error}"))
}

/// Every Rust file below a folder, as its path there and its text, in the order of the alphabet.
fn below(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    files.retain(|file| file.ends_with(".rs"));
    files
        .into_iter()
        .map(|file| {
            let text = read(&file);
            let file = file.strip_prefix(&format!("{folder}/")).map(str::to_owned).unwrap_or(file);
            (file, text)
        })
        .collect()
}

/// The paths of all files from the root, without what is built and the history.
fn walk(folder: &Path, files: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{} cannot be read: {error}", folder.display()));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        if name == "target" || name == ".git" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else if let Ok(file) = path.strip_prefix(root()) {
            files.push(file.to_string_lossy().into_owned());
        }
    }
}
