//! What a draft proposes: address, authentication, operations; and which words of a description mean what.

use super::shape::Shape;

/// A proposal, before it is written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) title: Option<String>,
    pub(super) base_url: Option<BaseUrl>,
    pub(super) auth: AuthPlan,
    pub(super) operations: Vec<Proposal>,
}

/// An address, and what of it is one of several that the description allows.
#[derive(Debug, Default, Clone)]
pub(super) struct BaseUrl {
    pub(super) url: String,
    pub(super) chosen: Vec<String>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) enum AuthPlan {
    #[default]
    Unknown,
    Bearer,
    Basic,
    ApiKey(String),
    ClientCredentials(String),
    /// One that needs somebody's decision.
    Other(String),
}

/// One request of an operation.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    /// As `orders.find`.
    pub(super) operation: &'static str,
    pub(super) method: String,
    pub(super) path: String,
    /// Names in the path, each with an expression or a hole.
    pub(super) params: Vec<(String, Fill)>,
    pub(super) query: Vec<(String, Fill)>,
    pub(super) body: Vec<(String, Fill)>,
    /// The body is a list of one such object.
    pub(super) body_is_list: bool,
    pub(super) safe: bool,
    /// The body as a whole, as for GraphQL.
    pub(super) raw_body: Option<String>,
    pub(super) reply: Reply,
    /// What it comes from, for people.
    pub(super) from: String,
    pub(super) alternatives: Vec<String>,
}

/// The value of a member that is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fill {
    Expression(String),
    Object(Vec<(String, Fill)>),
    /// What has to be decided.
    Hole(String),
}

/// Where the record is in a reply.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    /// Path to the record or the list of them, as `.orders`.
    pub(super) at: String,
    pub(super) list: bool,
    pub(super) record: Shape,
}

impl Plan {
    pub(super) fn blank() -> Self {
        let find = Proposal {
            operation: "orders.find",
            method: "GET".to_owned(),
            path: "/orders/{number}".to_owned(),
            params: Vec::new(),
            query: Vec::new(),
            body: Vec::new(),
            body_is_list: false,
            safe: false,
            raw_body: None,
            reply: Reply::default(),
            from: "nothing: see the vendor's documentation for how one order is read by its number".to_owned(),
            alternatives: Vec::new(),
        };
        Self { operations: vec![find], ..Self::default() }
    }
}

/// A member of our output, and the names that vendors give it, the likeliest first. A dot leads into an object.
pub(super) type Names = &'static [(&'static str, &'static [&'static str])];

pub(super) const ORDER: Names = &[
    ("id", &["order_number", "number", "display_id", "increment_id", "name", "reference", "id"]),
    ("customer", &["customer_id", "customer.id", "user_id", "buyer_id", "buyer.id", "account_id"]),
    (
        "email",
        &[
            "email",
            "customer_email",
            "contact_email",
            "billing_address.email",
            "billing.email",
            "customer.email",
            "buyer.email",
        ],
    ),
    ("status", &["status", "state", "order_status", "order_state", "fulfillment_status", "display_fulfillment_status"]),
    (
        "placed_at",
        &["placed_at", "ordered_at", "created_at", "date_created_gmt", "date_created", "created", "order_date"],
    ),
    ("estimated_delivery", &["estimated_delivery", "expected_delivery", "delivery_date", "estimated_delivery_at"]),
    (
        "currency",
        &[
            "currency_code",
            "currency",
            "currency_iso_code",
            "total_price.currency_code",
            "total_price.currency",
            "total.currency_code",
            "total.currency",
        ],
    ),
    ("total", &["total_inc_tax", "grand_total", "total_price", "total", "order_total", "amount_total"]),
    ("tax", &["tax_total", "total_tax", "tax"]),
    ("shipping", &["shipping_total", "shipping_cost_inc_tax", "shipping_amount"]),
];
pub(super) const ITEMS: &[&str] = &["line_items", "items", "products", "lines", "order_lines"];
pub(super) const ITEM: Names = &[
    ("name", &["name", "title", "product_name", "product_title", "product.name"]),
    ("quantity", &["quantity", "qty", "qty_ordered"]),
    ("sku", &["sku", "variant_sku", "variant.sku"]),
    ("unit_price", &["unit_price", "price_inc_tax", "price", "unit_amount"]),
];
pub(super) const SHIP_TO: &[&str] = &["shipping_address", "ship_to", "delivery_address", "shipping"];
pub(super) const PLACE: Names =
    &[("city", &["city", "locality"]), ("country", &["country_code", "country", "country_iso2"])];
pub(super) const TICKET: Names = &[
    ("id", &["id", "ticket_id"]),
    ("number", &["number", "display_id", "ticket_number", "reference"]),
    ("status", &["status", "state", "ticket_state"]),
];
pub(super) const CONTACT: Names = &[("id", &["id"]), ("email", &["email", "email_address", "primary_email"])];
pub(super) const ID: Names = &[("id", &["id", "comment_id", "note_id"])];

/// What of our inputs a member of a request takes: names of vendors, in lower case without `_`.
pub(super) fn input(operation: &str, member: &str) -> Option<&'static str> {
    let name: String = member.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let name = name.as_str();
    let any = |names: &[&str]| names.contains(&name);
    match operation {
        "orders.find"
            if any(&["id", "orderid", "number", "ordernumber", "name", "q", "search", "query", "displayid"]) =>
        {
            Some(".number")
        }
        "helpdesk.create_ticket" => match name {
            _ if any(&["subject", "title", "summary"]) => Some(".subject"),
            _ if any(&["body", "description", "comment", "message", "text", "content"]) => Some(".description"),
            "htmlbody" => Some("(\"\\(.description)\" | @html)"),
            "priority" => Some(".priority"),
            "tags" => Some(".tags"),
            _ if any(&["externalid", "reference"]) => Some(".external_id"),
            _ if any(&["email", "requesteremail", "customeremail", "from"]) => Some(".requester.email"),
            _ if any(&["name", "requestername"]) => Some(".requester.name"),
            _ => None,
        },
        "helpdesk.find_ticket" if any(&["externalid", "reference", "externalids"]) => Some(".external_id"),
        "helpdesk.add_comment" => match name {
            _ if any(&["body", "comment", "message", "text", "content", "note"]) => Some(".text"),
            _ if any(&["public", "ispublic", "visible"]) => Some("false"),
            _ if any(&["private", "internal", "isprivate"]) => Some("true"),
            _ if any(&["id", "ticketid", "conversationid", "requestid", "caseid"]) => Some(".ticket_id"),
            _ => None,
        },
        "crm.find_contact" | "crm.upsert_contact" => match name {
            _ if any(&["email", "emailaddress", "emailin", "q", "query", "search", "handle"]) => {
                Some(".customer.email")
            }
            _ if any(&["id", "contactid", "customerid", "personid"]) && operation == "crm.upsert_contact" => {
                Some(".contact_id")
            }
            "phone" => Some(".fields.phone"),
            _ if any(&["name", "fullname"]) => Some(".customer.name"),
            _ => None,
        },
        "codes.send" => match name {
            _ if any(&["to", "recipient", "phone", "phonenumber", "email", "emailaddress"]) => Some(".to"),
            _ if any(&["body", "text", "message", "content", "plaintext"]) => Some(".text"),
            _ if any(&["code", "customcode"]) => Some(".code"),
            "subject" => Some(".subject"),
            "channel" => Some(".channel"),
            _ if any(&["language", "locale", "lang"]) => Some(".language"),
            _ => None,
        },
        "crm.log_activity" => match name {
            _ if any(&["body", "comment", "text", "content", "note"]) => Some(".text"),
            _ if any(&["id", "contactid", "customerid", "personid"]) => Some(".contact_id"),
            _ => None,
        },
        _ => None,
    }
}
