//! What only the company can repair is told as that, without the vendor's words; what the customer gave is asked for again.

use serde_json::{Value, json};

use crate::support::{Answer, Era, Setup, Vendor, is_error, text};

/// What Freshdesk may say of one ticket: the field, and whether its value is the customer's.
const FIELDS: [(&str, bool); 4] =
    [("subject", true), ("description", true), ("type", false), ("custom_fields.cf_region", false)];

/// What a vendor says in words.
const WORDS: &str = "It should be one of these values: CANARY";

#[tokio::test]
async fn a_refusal_that_names_anything_of_the_company_is_the_companys_to_repair() {
    // Every set of them that is not empty, in the order of the tickets.
    let sets: Vec<Vec<(&str, bool)>> = (1..1 << FIELDS.len())
        .map(|set| {
            FIELDS.into_iter().enumerate().filter(|(n, _)| set & (1 << n) != 0).map(|(_, field)| field).collect()
        })
        .collect();
    let bodies: Vec<Value> = sets
        .iter()
        .map(|set| {
            let error =
                |(field, _): &(&str, bool)| json!({ "field": field, "message": WORDS, "code": "invalid_value" });
            json!({ "description": "Validation failed", "errors": set.iter().map(error).collect::<Vec<_>>() })
        })
        .collect();
    let vendor = Vendor::start(move |seen| {
        let subject = seen.json()["subject"].as_str().unwrap_or_default().to_owned();
        Answer::json(400, bodies[subject.parse::<usize>().unwrap()].clone())
    });
    let setup = Setup::ada()
        .environment("FRESHDESK_API_KEY", "an-example-key")
        .config("[limits]\ncustomer_per_minute = 0\n")
        .config(&format!(
            "[desk]\nhelpdesk = \"freshdesk\"\naccept_tickets = false\n[upstreams.freshdesk]\nbase_url = \"{}\"\n",
            vendor.url
        ));
    let server = setup.serve();
    for (n, set) in sets.iter().enumerate() {
        let arguments = json!({ "subject": n.to_string(), "description": "It does not start." });
        let answer = server.client().call(Era::Modern, "create_ticket", arguments).await;
        let said = text(&answer);
        let customers = set.iter().all(|(_, customers)| *customers);
        assert!(is_error(&answer), "{set:?}");
        assert_eq!(said.contains("only the company can repair"), !customers, "{set:?}: {said}");
        let asks = format!("did not accept {}", set[0].0);
        assert_eq!(said.contains("Ask the customer for a correct value"), customers, "{set:?}: {said}");
        assert_eq!(said.contains(&asks), customers, "{set:?}: {said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
    let (_, log) = server.terminate();
    assert!(!log.contains("CANARY"), "{log}");
}
