//! Ownership cannot be bypassed by a line of code: a tool that reaches for a port, or makes a proof by itself, does not compile.
//!
//! A copy of the crate gets one more tool, and the compiler is run on it. From outside the crate (`trybuild`, doc tests)
//! even `pub(crate)` is out of reach, so that nothing would be shown about a tool, which is inside.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// A line with the mark has to be refused, for the reason that the mark names; a line without one has to compile.
const TOOL: &str = r#"//! A tool that tries to get around the desk.

use crate::{
    desk::{Call, Desk, EmailOwns, OwnedContact, OwnedOrder},
    domain::{Contact, Customer, Order, OrderId},
    identity::{Caller, StaffMember},
};

async fn permitted(desk: &Desk, call: &Call, id: &OrderId) {
    let _ = desk.owned_order(call, id).await;
}

async fn ports(desk: &Desk, id: &OrderId) {
    let _ = desk.orders.find(id).await; // refused: private field
    let _ = &desk.helpdesk; // refused: private field
    let _ = &desk.crm; // refused: private field
    let _ = &desk.knowledge; // refused: private field
    let _ = &desk.changes; // refused: private field
    let _ = &desk.ledger; // refused: private field
    let _ = &desk.audit; // refused: private field
    let _ = &desk.locks; // refused: private field
    let _ = &desk.requests; // refused: private field
    let _ = &desk.mirrors; // refused: private field
    let _ = &desk.verifications; // refused: private field
}

fn proofs(caller: &Caller, customer: &Customer, order: Order, contact: Contact) {
    let _ = OwnedOrder::check(caller, EmailOwns::AllOrders, Some(order)); // refused: private function
    let _ = OwnedContact::check(customer, contact); // refused: private function
}

// A field that cannot be written cannot be given in a literal either; the compiler finds that only where all else is right.
fn forged(owned: &mut OwnedOrder, order: Order) {
    owned.0 = order; // refused: private field
}

fn forged_contact(owned: &mut OwnedContact, contact: Contact) {
    owned.0 = contact; // refused: private field
}

fn staff() -> StaffMember {
    StaffMember::new(String::new(), String::new()) // refused: private function
}

fn forged_staff(member: &mut StaffMember) {
    member.id = String::new(); // refused: private field
    member.reason = String::new(); // refused: private field
}
"#;

#[test]
fn a_tool_cannot_reach_a_port_or_make_a_proof() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Always the same place, so that the next run builds only what has changed.
    let copy = &Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let _ = fs::remove_dir_all(copy);
    copy_files(&root.join("src"), &copy.join("src"));
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if !["src", "target", ".git"].iter().any(|other| name == *other) {
            symlink(entry.path(), copy.join(name)).unwrap();
        }
    }
    fs::write(copy.join("src/tools/around_the_desk.rs"), TOOL).unwrap();
    let list = copy.join("src/tools/mod.rs");
    fs::write(&list, format!("{}\nmod around_the_desk;\n", fs::read_to_string(&list).unwrap())).unwrap();

    let expected: BTreeSet<(usize, String)> = TOOL
        .lines()
        .enumerate()
        .filter_map(|(n, line)| {
            let code = match line.split_once("// refused: ")?.1 {
                "private function" => "E0624",
                _ => "E0616",
            };
            Some((n + 1, code.to_owned()))
        })
        .collect();
    assert!(expected.len() > 15);
    assert_eq!(refusals(copy), expected);
}

/// The errors of the compiler in the added tool, as line and code; any other error is a failure.
fn refusals(copy: &Path) -> BTreeSet<(usize, String)> {
    // The dependencies as they are built for this test; the lock of that directory is free while tests run.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--lib", "--no-run", "--locked", "--offline", "--message-format=json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(copy).env("CARGO_TARGET_DIR", target).output().unwrap();
    assert!(!output.status.success(), "the tool compiles");
    let mut errors = BTreeSet::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let message = &message["message"];
        if message["level"] != "error" || message["spans"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let span = message["spans"].as_array().unwrap().iter().find(|span| span["is_primary"] == true).unwrap();
        let file = span["file_name"].as_str().unwrap();
        assert!(file.ends_with("around_the_desk.rs"), "{message}");
        let line = usize::try_from(span["line_start"].as_u64().unwrap()).unwrap();
        errors.insert((line, message["code"]["code"].as_str().unwrap().to_owned()));
    }
    assert!(!errors.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    errors
}

fn copy_files(from: &Path, to: &PathBuf) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.path().is_dir() {
            true => copy_files(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}
