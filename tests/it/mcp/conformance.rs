//! The official conformance suite. What it may fail is listed with its reason in `tests/clients/conformance-*.yml`.

use std::path::Path;

use crate::support::{Clients, Era, Server, Setup, stdout};

/// The scenarios that ask nothing of a server but the protocol, and therefore must pass.
fn generic(era: Era) -> &'static [&'static str] {
    match era {
        Era::Legacy => &[
            "server-initialize",
            "ping",
            "completion-complete",
            "tools-list",
            "resources-list",
            "prompts-list",
            "dns-rebinding-protection",
        ],
        Era::Modern => &[
            "tools-list",
            "sep-2164-resource-not-found",
            "dns-rebinding-protection",
            "server-sse-multiple-streams",
            "input-required-result-unsupported-methods",
            "resources-list",
            "completion-complete",
            "http-header-validation",
        ],
    }
}

#[test]
fn every_generic_scenario_passes_in_both_revisions() {
    let Some(clients) = Clients::find("the conformance suite") else { return };
    passes(&clients, &Setup::ada().serve(), None);
}

#[test]
fn the_same_with_agents_that_have_to_authenticate() {
    let Some(clients) = Clients::find("the conformance suite with a token") else { return };
    let setup = Setup::ada().config("[agents]\nauthentication = \"required\"\n");
    let token = setup.token(&["conformance"]);
    passes(&clients, &setup.serve(), Some(&token));
}

fn passes(clients: &Clients, server: &Server, token: Option<&str>) {
    for era in Era::BOTH {
        let revision = era.version();
        let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/clients/conformance-{revision}.yml"));
        let baseline = baseline.to_str().unwrap();
        let arguments = ["server", "--url", &server.url, "--requirements", revision, "--expected-failures", baseline];
        let output = match token {
            Some(token) => clients.package_with_token("conformance", &arguments, token),
            None => clients.package("conformance", &arguments),
        };
        let report = stdout(&output);
        let summary = report.split("=== SUMMARY ===").last().unwrap_or_default();
        assert!(output.status.success(), "{revision}: {summary}");
        for scenario in generic(era) {
            assert!(summary.contains(&format!("✓ {scenario}: ")), "{revision}: {scenario}: {summary}");
        }
        if era == Era::Modern {
            assert!(summary.contains("server-stateless: 24 passed"), "{summary}");
            // All but that of prompts, which there are none of.
            assert!(summary.contains("caching: 7 passed, 1 failed"), "{summary}");
        }
    }
}
