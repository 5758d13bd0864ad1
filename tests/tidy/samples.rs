//! Each rule finds what it is there for, shown with a bad sample.

use crate::{Wanted, circles, documents, rules, rust, rust::Crate, table::Table};

/// By name, as the checks themselves.
pub const CHECKS: &[(&str, fn())] = &[
    ("a_forbidden_import_is_found_however_it_is_written", a_forbidden_import_is_found_however_it_is_written),
    ("a_table_that_names_what_is_no_room_is_refused", a_table_that_names_what_is_no_room_is_refused),
    (
        "a_circle_is_found_through_groups_re_exports_and_folders",
        a_circle_is_found_through_groups_re_exports_and_folders,
    ),
    ("what_only_looks_like_a_circle_is_none", what_only_looks_like_a_circle_is_none),
    ("rooms_stand_above_what_they_import", rooms_stand_above_what_they_import),
    ("comments_and_literals_are_not_read", comments_and_literals_are_not_read),
    ("a_library_out_of_its_room_is_found", a_library_out_of_its_room_is_found),
    ("long_files_and_files_without_a_head_are_found", long_files_and_files_without_a_head_are_found),
    ("what_is_left_for_later_is_found", what_is_left_for_later_is_found),
    ("a_file_that_the_package_lacks_is_found", a_file_that_the_package_lacks_is_found),
    ("a_path_that_is_not_there_is_found", a_path_that_is_not_there_is_found),
    (
        "the_command_line_chooses_checks_and_drops_none_by_mistake",
        the_command_line_chooses_checks_and_drops_none_by_mistake,
    ),
];

fn files(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

fn circles_in(all: &[(&str, &str)]) -> Vec<String> {
    circles::circles(&circles::graphs(&Crate::read(&files(all))))
}

const TABLE: &str = "# A\n\n## Rooms\n\n| Room | What it does | May import |\n|---|---|---|\n\
    | `domain/` | ids | nothing of ours |\n| `desk/` | orders | domain |\n| `store/` | tables | desk, domain |\n\
    | `store/deep/` | more | nothing of ours |\n| `app.rs`, `app/` | all | desk, store |\n\n\
    Everybody may import domain. And so on.\n\n## Else\n\n| `x/` | y | z |\n";

fn a_forbidden_import_is_found_however_it_is_written() {
    let table = Table::read(TABLE);
    assert_eq!(table.faults, [""; 0]);
    let faults = |file: &str, text: &str| {
        let files =
            files(&[("desk/mod.rs", ""), ("store/mod.rs", ""), ("domain/mod.rs", ""), ("lib.rs", ""), (file, text)]);
        rules::imports(&files, &Crate::read(&files), &table)
    };
    let found = ["src/desk/a.rs: desk must not import store"];
    for text in [
        "use crate::store::Store;",
        "use crate::{\n    domain::Id,\n    store::{self, Store},\n};",
        "fn f() { crate::store::run() }",
        "mod tests { use super::super::super::store::Store; }",
        "use super::super::store;",
    ] {
        assert_eq!(faults("desk/a.rs", text), found, "{text}");
    }
    assert_eq!(faults("desk/a.rs", "use crate::domain::Id;\nuse super::B;\nuse std::io;"), [""; 0]);
    assert_eq!(faults("store/a.rs", "use crate::desk::Desk;"), [""; 0]);
    let deep = ["src/store/deep/a.rs: store/deep must not import desk"];
    assert_eq!(faults("store/deep/a.rs", "use crate::desk::Desk;"), deep);
    assert_eq!(faults("attic/a.rs", ""), ["src/attic/a.rs: the table of ARCHITECTURE.md has no row for it"]);
}

fn a_table_that_names_what_is_no_room_is_refused() {
    let faults = |from: &str, to: &str| Table::read(&TABLE.replace(from, to)).faults;
    assert_eq!(faults("desk, domain", "dask, domain"), ["ARCHITECTURE.md: \"dask\" is no room"]);
    assert_eq!(faults("import domain.", "import everything."), ["ARCHITECTURE.md: \"everything\" is no room"]);
    assert!(faults("| orders |", "| orders | and more |")[0].contains("not three cells"));
    assert_eq!(faults("## Rooms", "## Halls").len(), 1);
}

fn a_circle_is_found_through_groups_re_exports_and_folders() {
    let lib = ("lib.rs", "mod room;");
    // Directly, through a group, by a full path and in the middle of code.
    for back in ["use super::a;", "use super::{c, a::{self, B}};", "use crate::room::a::B;", "fn f() { super::a::f() }"]
    {
        let found = circles_in(&[lib, ("room/mod.rs", ""), ("room/a.rs", "use super::b::C;"), ("room/b.rs", back)]);
        assert!(
            found.len() == 1 && found[0].starts_with("src/room: a imports room::b::C, b imports room::a"),
            "{found:?}"
        );
    }
    // What mod.rs brings in counts as the file that defines it, under another name, too.
    let through = circles_in(&[
        lib,
        ("room/mod.rs", "pub use a::Thing as Other;\nmod a;\nmod b;"),
        ("room/a.rs", "use super::b::f;"),
        ("room/b.rs", "use super::Other;"),
    ]);
    assert_eq!(through, ["src/room: a imports room::b::f, b imports room::Other"]);
    // A folder is one of the files of the folder around it.
    let nested = circles_in(&[
        lib,
        ("room/mod.rs", ""),
        ("room/a.rs", "use super::deep::x::X;"),
        ("room/deep/mod.rs", ""),
        ("room/deep/x.rs", ""),
        ("room/deep/y.rs", "use super::super::a::A;"),
    ]);
    assert_eq!(nested, ["src/room: a imports room::deep::x::X, deep imports room::a::A"]);
    // Three files, and rooms.
    let three = [("room/a.rs", "use super::b;"), ("room/b.rs", "use super::c;"), ("room/c.rs", "use super::a;")];
    assert_eq!(circles_in(&[&[lib, ("room/mod.rs", "")][..], &three].concat()).len(), 1);
    let rooms = [lib, ("room/mod.rs", "use crate::hall::X;"), ("hall/mod.rs", ""), ("hall/a.rs", "use crate::room;")];
    assert_eq!(circles_in(&rooms), ["src/: hall imports room, room imports hall::X"]);
}

fn what_only_looks_like_a_circle_is_none() {
    let found = circles_in(&[
        ("lib.rs", "mod room;"),
        // The parent may use its files, and they the parent.
        ("room/mod.rs", "mod a;\nuse a::A;\nstruct Parent;"),
        ("room/a.rs", "use super::{Parent, b::B};\nimpl A { fn f(&self) -> impl Sized + use<'_> {} }"),
        // Tests beside the code, comments, and names of other crates.
        ("room/b.rs", "// use super::a;\nuse a::x;\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}\n"),
    ]);
    assert_eq!(found, [""; 0]);
}

fn rooms_stand_above_what_they_import() {
    let lib = ("lib.rs", "");
    let rooms = ["low", "mid", "top"].map(str::to_owned);
    let all = [lib, ("top/mod.rs", "use crate::{low, mid};"), ("mid/mod.rs", "use crate::low;"), ("low/mod.rs", "")];
    let floors = circles::floors(&rooms, &circles::graphs(&Crate::read(&files(&all)))[""]);
    assert_eq!(floors, Some(vec![vec!["low".to_owned()], vec!["mid".to_owned()], vec!["top".to_owned()]]));
    let round = [lib, ("mid/mod.rs", "use crate::top;"), ("top/mod.rs", "use crate::mid;"), ("low/mod.rs", "")];
    assert_eq!(circles::floors(&rooms, &circles::graphs(&Crate::read(&files(&round)))[""]), None);
}

fn comments_and_literals_are_not_read() {
    let text = "a /* b /* c */ */ \"d \\\" e\" r#\"f \" g\"# 'h' '\\'' 'i: // j\n br\"k\" l::m";
    assert_eq!(rust::tokens(text), ["a", "i", ":", "l", "::", "m"]);
}

fn a_library_out_of_its_room_is_found() {
    let files = files(&[
        ("desk/a.rs", "use rusqlite::Row;"),
        ("desk/b.rs", "fn f(x: axum::Json) {}"),
        ("desk/c.rs", "// axum::Json\nuse clap;"),
        ("store/d.rs", "use rusqlite::Row;"),
    ]);
    let found = rules::libraries(&files, &Crate::read(&files));
    let wanted =
        ["desk/a.rs: rusqlite belongs to store", "desk/b.rs: axum belongs to http", "desk/c.rs: clap belongs to cli"];
    assert_eq!(found, wanted.map(|fault| format!("src/{fault}")));
}

fn long_files_and_files_without_a_head_are_found() {
    let long = "//! Head.\n".repeat(rules::LINES_MAX + 1);
    let just = "//! Head.\n".repeat(rules::LINES_MAX);
    let found = rules::headed_and_short(&files(&[("a.rs", &long), ("b.rs", "fn f() {}"), ("c.rs", &just)]));
    assert_eq!(found, ["a.rs has 401 lines; split it", "b.rs does not begin with a //! line"]);
}

fn what_is_left_for_later_is_found() {
    let words = ["TO", "FIX", "X"].map(|word| {
        word.to_owned()
            + if word == "X" {
                "XX"
            } else if word == "TO" {
                "DO"
            } else {
                "ME"
            }
    });
    for word in words.iter().chain([&"#[allow(dead_code)]".to_owned()]) {
        assert_eq!(rules::nothing_left(&files(&[("a.rs", &format!("//! A.\n// {word}: later"))])).len(), 1, "{word}");
    }
    assert_eq!(rules::nothing_left(&files(&[("a.rs", "//! Done.")])), [""; 0]);
}

fn a_file_that_the_package_lacks_is_found() {
    let patterns = rules::packaged(
        "[package]\ninclude = [\n  \"/src/**\",\n  \"/a/*.toml\",\n  \"/b/**/*.json\",\n  \"/C\",\n]\n",
    );
    let found = |name: &str| {
        let text = format!("const A: &str = include_str!(\n    \"{name}\"\n);");
        rules::not_packaged(&files(&[("store/open.rs", &text)]), &patterns).len()
    };
    for there in ["x.sql", "../y/x.sql", "../../a/x.toml", "../../b/c/x.json", "../../C"] {
        assert_eq!(found(there), 0, "{there}");
    }
    for gone in ["../../tests/x.sql", "../../a/b/x.toml", "../../b/c/x.toml", "../../D"] {
        assert_eq!(found(gone), 1, "{gone}");
    }
}

fn a_path_that_is_not_there_is_found() {
    let there = ["src/desk/orders.rs", "docs/x.md", "tests/it/main.rs", "README.md"].map(str::to_owned);
    let missing = |text: &str| {
        documents::paths(text).into_iter().filter(|path| !documents::exists(path, &there)).collect::<Vec<_>>()
    };
    let good = "`desk/orders.rs`, `orders.rs`, `src/desk/`, `desk/`, [x](docs/x.md#part), `tests/it/main.rs: a_test`, \
        `tools/call`, `/health`, `text/plain`, `a.b`, `Desk`, [away](https://example.com/x.rs)";
    assert_eq!(missing(good), [""; 0]);
    for bad in ["desk/retry.rs", "retry.rs", "mcp/", "docs/y.md", "tests/it/gone", "desk/orders"] {
        let wanted = if bad == "desk/orders" { Vec::new() } else { vec![bad.to_owned()] };
        assert_eq!(missing(&format!("as `{bad}` says")), wanted);
    }
    assert_eq!(missing("[x](docs/y.md#part)"), ["docs/y.md"]);
    assert_eq!(missing("`tests/it/gone.rs: a_test`"), ["tests/it/gone.rs"]);
    assert_eq!(missing("```sh\ncat `docs/y.md`\n```"), [""; 0]);
}

fn the_command_line_chooses_checks_and_drops_none_by_mistake() {
    let includes = |line: &str| Wanted::read(line.split_whitespace().map(str::to_owned)).includes("imports_run");
    for all in
        ["", "-q", "--test-threads 2", "--format terse --list", "--nocapture --color never", "imports", "x imports"]
    {
        assert!(includes(all), "{all}");
    }
    for none in ["exports", "--exact imports", "--skip run", "--ignored", "--exact x --skip y"] {
        assert!(!includes(none), "{none}");
    }
    assert!(includes("--exact imports_run") && includes("--skip circles"));
}
