//! Every metric, from its declaration.

use super::markdown::{GENERATED, code, escape, paragraphs, table};
use crate::telemetry::metrics::{ALL, Kind, Label, Metric, Values};

const INTRODUCTION: &str = "What `/metrics` has, in the text format of Prometheus. Labels take few values by construction: \
    words of ours, and names from the configuration. Counters of known words begin at 0.";

const PROCESS: &str = "Besides these, `process_…` are memory, descriptors and processor time of the process, under the \
    names that Prometheus' own client libraries use.";

/// The page.
pub(super) fn page() -> String {
    let row = |metric: &Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = metric.unit().map(|unit| unit.as_str().to_owned()).unwrap_or_default();
        let labels = metric.labels.iter().map(label).collect::<Vec<_>>().join("; ");
        vec![code(metric.name), kind.to_owned(), unit, labels, escape(metric.meaning)]
    };
    let rows: Vec<Vec<String>> = ALL.iter().map(row).collect();
    let table = table(&["Metric", "Type", "Unit", "Labels", "Meaning"], &rows);
    let watch = "[Watch](../operate/watch.md) says which of them to look at, and from when on they are alarming.";
    let (introduction, process) = (paragraphs(INTRODUCTION), paragraphs(PROCESS));
    format!("# Metrics\n\n{GENERATED}\n\n{introduction}{watch}\n\n{table}{}\n", process.trim_end())
}

fn label(Label { name, values }: &Label) -> String {
    let values = match values {
        Values::Words(words) => words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", "),
        Values::Of(what) => escape(what),
    };
    format!("{}: {values}", code(name))
}
