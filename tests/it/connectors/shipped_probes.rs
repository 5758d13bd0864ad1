//! `connectors probe` on the shipped files, against fakes of their vendors; and that none is shipped without a fake.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use serde_json::Value;

use super::fakes::{self, Fake, Known, Trial};
use crate::support::{Vendor, command, stderr, stdout};

/// Runs `frontdesk connectors COMMAND NAME …` against the fake.
fn run(fake: &Fake, vendor: &Vendor, trial: &Trial, subcommand: &str, arguments: &[&str]) -> (Output, Value) {
    let here = tempfile::tempdir().unwrap();
    let filled = |text: &str| text.replace("{url}", &vendor.url);
    fs::write(here.path().join("frontdesk.toml"), filled(fake.config)).unwrap();
    let base = format!("{}{}", vendor.url, fake.base);
    let mut command = command(here.path());
    command.envs(fake.environment.iter().map(|(name, value)| (name, filled(value))));
    command.args(["connectors", subcommand, fake.connector, "--json", "--base-url", &base]).args(arguments);
    command.args(trial.settings.iter().flat_map(|setting| ["--setting", setting]));
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}{}", stdout(&output), stderr(&output)));
    (output, report)
}

/// Probes the operation in each of its trials: nothing is confused, and the record that is there is found.
fn passes(connector: &str, operation: &str) {
    let fake = fakes::find(connector).unwrap();
    let trials: Vec<&Trial> = fake.trials.iter().filter(|trial| trial.operation == operation).collect();
    assert!(!trials.is_empty(), "{connector} has no trial of {operation}");
    let vendor = fake.start();
    for trial in trials {
        let mut arguments = vec!["--operation", operation, "--wrong-credentials"];
        if let Known::Orders { own, foreign, absent, customer } = trial.known {
            arguments.extend(["--own", own, "--foreign", foreign, "--absent", absent, "--customer", customer]);
        }
        let (output, report) = run(fake, &vendor, trial, "probe", &arguments);
        let cases = report["cases"].as_array().unwrap();
        let confused: Vec<&Value> = cases.iter().filter(|case| case.get("confused").is_some()).collect();
        assert!(confused.is_empty(), "{connector} {:?}: {confused:#?}", trial.settings);
        assert!(output.status.success() && cases.len() >= 11, "{connector}: {}", stderr(&output));
        if let Known::Record { input, id } = trial.known {
            let (_, report) = run(fake, &vendor, trial, "try", &[operation, "--input", input]);
            let found = &report["result"]["id"];
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            assert_eq!(text, id, "{connector} {:?} {input}: {report:#}", trial.settings);
        }
    }
    let written = vendor.seen().into_iter().filter(|seen| ["PUT", "PATCH", "DELETE"].contains(&seen.method.as_str()));
    assert_eq!(written.count(), 0, "{connector}: nothing is written");
}

/// One test for each operation of a shipped file that is probed, and the list of them.
macro_rules! probed {
    ($($test:ident: $connector:literal $operation:literal,)*) => {
        const TESTED: &[(&str, &str)] = &[$(($connector, $operation)),*];
        $(
            #[test]
            fn $test() {
                passes($connector, $operation);
            }
        )*
    };
}

probed! {
    orders_of_adobe_commerce: "adobe-commerce" "orders.find",
    orders_of_bigcommerce: "bigcommerce" "orders.find",
    orders_of_commercetools: "commercetools" "orders.find",
    orders_of_generic: "generic" "orders.find",
    orders_of_medusa: "medusa" "orders.find",
    orders_of_prestashop: "prestashop" "orders.find",
    orders_of_shopify: "shopify" "orders.find",
    orders_of_shopware: "shopware" "orders.find",
    orders_of_woocommerce: "woocommerce" "orders.find",
    tickets_of_freshdesk: "freshdesk" "helpdesk.find_ticket",
    tickets_of_gorgias: "gorgias" "helpdesk.find_ticket",
    tickets_of_helpscout: "helpscout" "helpdesk.find_ticket",
    tickets_of_hubspot: "hubspot" "helpdesk.find_ticket",
    tickets_of_intercom: "intercom" "helpdesk.find_ticket",
    tickets_of_jira_service_management: "jira-service-management" "helpdesk.find_ticket",
    tickets_of_salesforce: "salesforce" "helpdesk.find_ticket",
    tickets_of_servicenow: "servicenow" "helpdesk.find_ticket",
    tickets_of_zendesk: "zendesk" "helpdesk.find_ticket",
    tickets_of_zoho_desk: "zoho-desk" "helpdesk.find_ticket",
    contacts_of_dynamics_365: "dynamics-365" "crm.find_contact",
    contacts_of_generic: "generic" "crm.find_contact",
    contacts_of_hubspot: "hubspot" "crm.find_contact",
    contacts_of_intercom: "intercom" "crm.find_contact",
    contacts_of_klaviyo: "klaviyo" "crm.find_contact",
    contacts_of_pipedrive: "pipedrive" "crm.find_contact",
    contacts_of_salesforce: "salesforce" "crm.find_contact",
    contacts_of_zoho_crm: "zoho-crm" "crm.find_contact",
}

#[test]
fn every_shipped_operation_that_can_be_probed_is_probed_against_a_fake() {
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors")).unwrap() {
        let file: toml::Table = fs::read_to_string(entry.unwrap().path()).unwrap().parse().unwrap();
        for operation in frontdesk::connectors::PROBED {
            let (port, name) = operation.split_once('.').unwrap();
            if file.get(port).and_then(|port| port.get(name)).is_some() {
                there.insert((file["name"].as_str().unwrap().to_owned(), operation.to_owned()));
            }
        }
    }
    let tested = TESTED.iter().map(|(connector, operation)| ((*connector).to_owned(), (*operation).to_owned()));
    let tested: BTreeSet<(String, String)> = tested.collect();
    assert_eq!(there, tested, "each needs a fake in tests/it/connectors/fakes, and a line in this file");
}
