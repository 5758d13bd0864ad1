//! What happens, while it happens: one line each on standard output, with references and no content.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, TrySendError, sync_channel},
    },
};

use super::output;
use crate::telemetry::live::Happening;

/// Lines that wait for a slow terminal. What happens meanwhile is counted: nobody who calls waits for it.
const WAITING_MAX: usize = 1024;

/// Shows what it is given, from a thread of its own.
pub(super) fn show() -> anyhow::Result<impl Fn(Happening) + Send + Sync + 'static> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let left_out = Arc::new(AtomicU64::new(0));
    let counted = left_out.clone();
    std::thread::Builder::new().name("live".to_owned()).spawn(move || print(&receiver, &left_out))?;
    Ok(move |happening| {
        if let Err(TrySendError::Full(_)) = sender.try_send(happening) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    })
}

fn print(happenings: &Receiver<Happening>, left_out: &AtomicU64) {
    let colours = colours();
    while let Ok(happening) = happenings.recv() {
        let mut text = line(&happening, colours);
        match left_out.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => text.push_str(&format!("         … and {lost} more\n")),
        }
        if output::raw(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// Whether lines have colours.
pub(super) fn colours() -> bool {
    // https://no-color.org
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !no_color
}

/// One line: what, which, how it ended, with what effect, on what.
pub(super) fn line(happening: &Happening, colours: bool) -> String {
    let Happening { what, name, outcome, effect, objects } = happening;
    // No escape but ours reaches the terminal, and one line stays one.
    let [name, outcome, effect, objects] =
        [name, outcome, effect, objects].map(|text| output::visible(text).replace('\n', "\\n"));
    // Decisions on events have the kind of the event in the place of a tool.
    let what = if what == "decision" && !name.contains('.') { "call" } else { what };
    let what = if what == "decision" { "event" } else { what };
    let effect = if effect == "none" { "" } else { &effect };
    let remark = match outcome.as_str() {
        "foreign" | "guest_unproven" => "  answered like one that does not exist",
        _ => "",
    };
    let colour = match outcome.as_str() {
        "allowed" | "staff" | "acknowledged" | "done" | "code_sent" | "code_right" => 32,
        "duplicate" | "skipped" | "handshake" | "retry" | "deferred" | "accepted" | "pending" | "discarded" => 33,
        _ => 31,
    };
    let outcome = painted(&format!("{outcome:<12}"), colour, colours);
    let effect = painted(&format!("{effect:<8}"), 36, colours);
    let shown = format!("{what:<7}  {name:<22}  {outcome}  {effect}  {objects}{remark}");
    format!("{}\n", shown.trim_end())
}

fn painted(text: &str, colour: u8, colours: bool) -> String {
    match colours && !text.trim().is_empty() {
        true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(name: &str, outcome: &str, effect: &str, objects: &str) -> Happening {
        let [what, name, outcome, effect, objects] = ["decision", name, outcome, effect, objects].map(str::to_owned);
        Happening { what, name, outcome, effect, objects }
    }

    #[test]
    fn a_line_is_a_line_and_has_colours_only_where_they_are_wanted() {
        let foreign = decision("lookup_order", "foreign", "none", "order:2001");
        let plain = line(&foreign, false);
        assert_eq!(
            plain.split_whitespace().take(4).collect::<Vec<_>>(),
            ["call", "lookup_order", "foreign", "order:2001"]
        );
        assert!(plain.ends_with("answered like one that does not exist\n") && !plain.contains('\u{1b}'), "{plain}");
        assert!(line(&foreign, true).contains("\u{1b}[31mforeign"));
        let event = line(&decision("conversation.escalated", "allowed", "created", "ticket:T-1"), true);
        assert!(event.starts_with("event  ") && event.contains("\u{1b}[36mcreated"), "{event}");
        let forged = line(&decision("x\u{1b}]0;t\u{7}\n", "allowed", "none", "order:\u{1b}[2J\n"), false);
        assert_eq!(forged.matches('\n').count(), 1, "{forged}");
        assert!(!forged.contains('\u{1b}'), "{forged}");
    }
}
