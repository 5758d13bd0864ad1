//! Questions, answered by a flag, at the terminal or by the default.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;

use crate::cli::output;

/// A question.
pub(super) struct Question<'a> {
    /// The flag that answers it.
    pub flag: &'a str,
    pub text: &'a str,
    /// None if there is no sensible default.
    pub default: Option<&'a str>,
}

/// Source of the answers.
pub(super) struct Asker {
    how: How,
    /// Unanswered questions with a default, by flag.
    left_open: Vec<String>,
    /// Unanswered questions without a default, by flag.
    missing: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Terminal,
    Defaults,
    FlagsAlone,
}

impl Asker {
    pub(super) fn new(yes: bool) -> Self {
        let how = match yes {
            true => How::Defaults,
            false if io::stdin().is_terminal() && io::stderr().is_terminal() => How::Terminal,
            false => How::FlagsAlone,
        };
        Self { how, left_open: Vec::new(), missing: Vec::new() }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.how == How::Terminal
    }

    /// The answer, parsed by `judge`. An unanswered question is recorded for [`Asker::finish`].
    pub(super) fn ask<T: Default>(
        &mut self,
        question: &Question<'_>,
        given: Option<&str>,
        judge: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        let Question { flag, default, .. } = question;
        let judged = |text: &str| judge(text).map_err(|why| anyhow::anyhow!("{flag}: {why}"));
        if let Some(given) = given {
            return judged(given);
        }
        match (self.how, default) {
            (How::Terminal, _) => return at_terminal(question, judge),
            (How::FlagsAlone, Some(_)) => self.left_open.push((*flag).to_owned()),
            (_, None) => self.missing.push((*flag).to_owned()),
            (How::Defaults, Some(_)) => {}
        }
        default.map_or_else(|| Ok(T::default()), judged)
    }

    /// Fails if questions were left unanswered, and names them.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match (self.left_open.as_slice(), self.missing.as_slice()) {
            ([], []) => Ok(()),
            ([], missing) => bail!("give also {}; nothing was written", missing.join(", ")),
            (open, missing) => {
                let also = if missing.is_empty() { String::new() } else { format!(", and {}", missing.join(", ")) };
                bail!(
                    "there is no terminal to ask at; give --yes for the defaults (of {}){also}; nothing was written",
                    open.join(", ")
                )
            }
        }
    }
}

/// Asks until the answer is valid.
fn at_terminal<T>(question: &Question<'_>, judge: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
    loop {
        let shown = question.default.filter(|text| !text.is_empty()).map(|text| format!(" [{text}]"));
        let mut prompt = io::stderr().lock();
        write!(prompt, "{}{}: ", question.text, shown.unwrap_or_default())?;
        prompt.flush()?;
        drop(prompt);
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            bail!("no answer came; nothing was written");
        }
        let answer = match (line.trim(), question.default) {
            ("", Some(default)) => default,
            ("", None) => continue,
            (answer, _) => answer,
        };
        match judge(answer) {
            Ok(answer) => return Ok(answer),
            Err(why) => output::remark(format_args!("  {why}")),
        }
    }
}
