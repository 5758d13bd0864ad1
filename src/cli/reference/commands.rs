//! Every command, from what the command line itself is made of.

use clap::{Arg, Command};

use super::markdown::{GENERATED, code, escape, paragraphs, table};

const INTRODUCTION: &str = "Every command explains itself with `--help`. Results go to standard output, everything else to \
    standard error. Times are RFC 3339, a day (`2026-11-24`, in UTC) or how long ago (`15m`, `1h`, `2d`).";

const STATUS: &str = "The exit status is 0 when it is done, 1 when it failed, and 2 when the command line is wrong.";

/// The page.
pub(super) fn page(mut cli: Command) -> String {
    cli.build();
    let mut page = format!("# Command line\n\n{GENERATED}\n\n{}{}", paragraphs(INTRODUCTION), paragraphs(STATUS));
    let commands: Vec<Vec<String>> = subcommands(&cli)
        .map(|command| {
            let name = command.get_name();
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            vec![format!("[{}](#{})", code(name), format_args!("frontdesk-{name}")), escape(&about)]
        })
        .collect();
    page.push_str(&table(&["Command", "What it does"], &commands));
    for command in subcommands(&cli) {
        describe(&mut page, "##", command);
    }
    format!("{}\n", page.trim_end())
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

fn describe(page: &mut String, level: &str, command: &Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    page.push_str(&format!("{level} {name}\n\n"));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let whole = |paragraph: &str| match paragraph.ends_with(['.', ':']) {
        true => paragraph.to_owned(),
        false => format!("{paragraph}."),
    };
    page.push_str(&paragraphs(&about.split("\n\n").map(whole).collect::<Vec<_>>().join("\n\n")));
    let is_group = subcommands(command).next().is_some();
    if !is_group {
        let usage = command.clone().render_usage().to_string();
        page.push_str(&format!("```text\n{}\n```\n\n", usage.trim_start_matches("Usage: ").trim()));
        let rows: Vec<Vec<String>> = command.get_arguments().filter(|arg| !is_everywhere(arg)).map(row).collect();
        if !rows.is_empty() {
            page.push_str(&table(&["Argument", "Default", "Meaning"], &rows));
        }
    }
    for command in subcommands(command) {
        describe(page, "###", command);
    }
}

/// `--help` and `--version`.
fn is_everywhere(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version") || arg.is_hide_set()
}

fn row(arg: &Arg) -> Vec<String> {
    let takes_value = arg.get_action().takes_values();
    let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let value = if takes_value { format!("<{}>", names.join("> <")) } else { String::new() };
    let flag = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long} {value}"),
        (None, Some(short)) => format!("-{short} {value}"),
        (None, None) => value,
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    // Where the default is not a word but depends, the help says so at its end.
    let (help, told) = match help.trim_end().strip_suffix(']').and_then(|help| help.rsplit_once("[default: ")) {
        Some((help, told)) => (help.trim_end().to_owned(), Some(escape(told))),
        None => (help, None),
    };
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| code(&value.to_string_lossy())).collect();
    let default = match (told, takes_value && !defaults.is_empty(), arg.is_required_set()) {
        (Some(told), ..) => told,
        (None, true, _) => defaults.join(", "),
        (None, false, true) => "required".to_owned(),
        (None, false, false) => String::new(),
    };
    let words: Vec<String> = match takes_value {
        true => arg.get_possible_values().iter().map(|value| code(value.get_name())).collect(),
        false => Vec::new(),
    };
    let mut meaning = escape(&help);
    let mut add = |more: String| {
        let end = if meaning.ends_with(['.', '!']) { "" } else { "." };
        meaning.push_str(&format!("{end} {more}"));
    };
    if !words.is_empty() {
        add(format!("One of {}.", words.join(", ")));
    }
    if let Some(variable) = arg.get_env() {
        add(format!("Also the environment variable {}.", code(&variable.to_string_lossy())));
    }
    vec![code(flag.trim()), default, meaning]
}
