//! Fakes of the vendors whose files are shipped and have an operation that `connectors probe` runs. Each is written from
//! what its vendor says in public, not from our file: how one authenticates, what is refused, and what records look like.

mod call;
mod commerce;
mod crm;
mod fields;
mod helpdesk;
mod shops;
mod suites;

use call::Call;

use crate::support::{Answer, Vendor};

/// Every fake; a shipped file that can be probed has to have one.
static ALL: [Fake; 23] = [
    commerce::ADOBE_COMMERCE,
    commerce::GENERIC,
    commerce::PRESTASHOP,
    commerce::SHOPWARE,
    commerce::WOOCOMMERCE,
    crm::DYNAMICS_365,
    crm::KLAVIYO,
    crm::PIPEDRIVE,
    crm::ZOHO_CRM,
    helpdesk::FRESHDESK,
    helpdesk::GORGIAS,
    helpdesk::HELPSCOUT,
    helpdesk::JIRA,
    helpdesk::SERVICENOW,
    helpdesk::ZENDESK,
    helpdesk::ZOHO_DESK,
    shops::BIGCOMMERCE,
    shops::COMMERCETOOLS,
    shops::MEDUSA,
    shops::SHOPIFY,
    suites::HUBSPOT,
    suites::INTERCOM,
    suites::SALESFORCE,
];

/// A vendor, and what is there.
pub struct Fake {
    pub connector: &'static str,
    /// The variables of its file; `{url}` is the vendor's address.
    pub environment: &'static [(&'static str, &'static str)],
    /// `frontdesk.toml`; `{url}` is the vendor's address.
    pub config: &'static str,
    /// Where the API begins below the vendor's address.
    pub base: &'static str,
    pub trials: &'static [Trial],
    answer: fn(&Call) -> Answer,
}

/// An operation, with the settings that it is tried with and what is there for it.
pub struct Trial {
    pub operation: &'static str,
    pub settings: &'static [&'static str],
    pub known: Known,
}

pub enum Known {
    /// Numbers of orders, and the customer's id.
    Orders { own: &'static str, foreign: &'static str, absent: &'static str, customer: &'static str },
    /// What is asked for, and the id of the record that this finds.
    Record { input: &'static str, id: &'static str },
}

impl Fake {
    pub fn start(&self) -> Vendor {
        let answer = self.answer;
        Vendor::start(move |seen| answer(&Call::new(seen)))
    }
}

pub fn find(connector: &str) -> Option<&'static Fake> {
    ALL.iter().find(|fake| fake.connector == connector)
}

const fn orders(settings: &'static [&'static str], numbers: [&'static str; 3], customer: &'static str) -> Trial {
    let [own, foreign, absent] = numbers;
    Trial { operation: "orders.find", settings, known: Known::Orders { own, foreign, absent, customer } }
}

/// The reference that the ticket which is there was made with.
const REFERENCE: &str = "01JDK3W8Q2V5T7N9R4X6Y8Z0AB";

const fn ticket(settings: &'static [&'static str], id: &'static str) -> Trial {
    let input = r#"{ "external_id": "01JDK3W8Q2V5T7N9R4X6Y8Z0AB" }"#;
    Trial { operation: "helpdesk.find_ticket", settings, known: Known::Record { input, id } }
}

/// The contact with the address ada@example.com.
const fn contact(settings: &'static [&'static str], id: &'static str) -> Trial {
    let input = r#"{ "customer": { "id": "42", "system": "shop", "email": "ada@example.com" } }"#;
    Trial { operation: "crm.find_contact", settings, known: Known::Record { input, id } }
}
