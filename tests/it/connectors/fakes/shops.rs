//! Hosted shops, and Medusa.

use serde_json::{Value, json};

use super::{Fake, call::Call, fields::Fields, orders};
use crate::support::Answer;

/// BigCommerce, orders V2: XML unless JSON is asked for; consignments are an address unless they are included.
pub const BIGCOMMERCE: Fake = Fake {
    connector: "bigcommerce",
    environment: &[("BIGCOMMERCE_ACCESS_TOKEN", "store-token")],
    config: "",
    base: "/stores/abc123xyz",
    trials: &[orders(&[], ["218", "219", "220"], "11")],
    answer: bigcommerce,
};

fn bigcommerce(call: &Call) -> Answer {
    if call.header("x-auth-token") != "store-token" {
        let kind = "https://developer.bigcommerce.com/api-docs/getting-started/api-status-codes";
        return Answer::json(401, json!({ "status": 401, "title": "Unauthorized", "type": kind }));
    }
    if call.header("accept") != "application/json" {
        return Answer::text(200, "<?xml version=\"1.0\"?><order><id>218</id></order>");
    }
    let order = |id: u32, customer: u32, email: &str| {
        let address = json!({ "first_name": "Jane", "city": "Austin", "country": "United States", "country_iso2": "US", "email": email });
        let item = json!({
            "id": 1, "name": "Chemex", "sku": "CHX", "quantity": 2, "quantity_shipped": 0, "price_inc_tax": "49.5000",
            "price_ex_tax": "49.5000", "base_price": "49.5000", "total_inc_tax": "99.0000",
        });
        let url = format!("https://api.bigcommerce.com/stores/abc123xyz/v2/orders/{id}/consignments");
        let shipping = json!({ "id": 7, "shipping_address": address, "line_items": [item] });
        let consignments = match call
            .parameter("include")
            .is_some_and(|parts| parts.contains("consignments.line_items"))
        {
            true => {
                json!([{ "downloads": [], "pickups": [], "shipping": [shipping], "email": { "gift_certificates": [] } }])
            }
            false => json!({ "url": url, "resource": format!("/orders/{id}/consignments") }),
        };
        json!({
            "id": id, "customer_id": customer, "date_created": "Tue, 05 Mar 2019 21:40:11 +0000",
            "date_shipped": "", "status_id": 11, "status": "Awaiting Fulfillment", "currency_code": "USD",
            "subtotal_ex_tax": "99.0000", "subtotal_inc_tax": "99.0000", "base_shipping_cost": "0.0000",
            "shipping_cost_ex_tax": "10.0000", "shipping_cost_inc_tax": "10.0000", "total_ex_tax": "109.0000",
            "total_inc_tax": "109.0000", "total_tax": "0.0000", "refunded_amount": "0.0000", "items_total": 2,
            "billing_address": address, "consignments": consignments, "is_deleted": false, "customer_message": "",
        })
    };
    match call.after("GET /stores/abc123xyz/v2/orders/") {
        Some("218") => Answer::json(200, order(218, 11, "jane@example.com")),
        Some("219") => Answer::json(200, order(219, 0, "guest@example.com")),
        _ => Answer::json(404, json!([{ "status": 404, "message": "The requested resource was not found." }])),
    }
}

/// commercetools: an order by its number, and errors with codes.
pub const COMMERCETOOLS: Fake = Fake {
    connector: "commercetools",
    environment: &[
        ("COMMERCETOOLS_TOKEN_URL", "{url}/oauth/token"),
        ("COMMERCETOOLS_CLIENT_ID", "client"),
        ("COMMERCETOOLS_CLIENT_SECRET", "secret"),
    ],
    config: "",
    base: "/acme",
    trials: &[orders(&[], ["A-1001", "A-2001", "A-9"], "c2d5b1f0-7a4e-4a5e-9f57-6b1a9d3c0f11")],
    answer: commercetools,
};

fn commercetools(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, message: &str| {
        let errors = json!([{ "code": code, "message": message }]);
        Answer::json(status, json!({ "statusCode": status, "message": message, "errors": errors }))
    };
    if call.route == "POST /oauth/token" {
        return call.token("client_credentials", false, json!({ "scope": "view_orders:acme", "expires_in": 172_800 }));
    }
    if !call.has_token() {
        return fault(401, "invalid_token", "invalid_token");
    }
    let Some(number) = call.after("GET /acme/orders/order-number=") else {
        return fault(404, "ResourceNotFound", "The requested URL was not found.");
    };
    let (owner, id) = match number {
        "A-1001" => ("customerId", "c2d5b1f0-7a4e-4a5e-9f57-6b1a9d3c0f11"),
        "A-2001" => ("anonymousId", "5a0f4f62-8d34-4a05-9f0c-3c3d9a4a7f10"),
        _ => return fault(404, "ResourceNotFound", &format!("The Resource with key '{number}' was not found.")),
    };
    let money = |cents: u32| json!({ "type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2 });
    let mut order = json!({
        "type": "Order", "id": "8f1c9f7e-0000-4a5e-9f57-6b1a9d3c0f11", "version": 3, "orderNumber": number,
        "customerEmail": format!("{owner}@example.com"), "createdAt": "2026-11-02T09:11:12.345Z",
        "lastModifiedAt": "2026-11-02T09:11:12.345Z", "orderState": "Open", "shipmentState": "Shipped",
        "paymentState": "Paid", "totalPrice": money(5500), "taxedPrice": {
            "totalNet": money(4622), "totalGross": money(5500), "totalTax": money(878), "taxPortions": [],
        },
        "shippingInfo": { "shippingMethodName": "DHL", "price": money(500), "deliveries": [] },
        "lineItems": [{
            "id": "li-1", "productId": "p-1", "name": { "en": "Desk lamp", "de": "Schreibtischlampe" }, "quantity": 1,
            "variant": { "id": 1, "sku": "LAMP-1" }, "price": { "id": "pr-1", "value": money(5000) },
            "totalPrice": money(5000), "state": [],
        }],
        "customLineItems": [], "shippingAddress": { "city": "Berlin", "country": "DE" }, "origin": "Customer",
    });
    order[owner] = json!(id);
    Answer::json(200, order)
}

/// Medusa 2: the search is over texts of all kinds, a parameter that is not known is refused.
pub const MEDUSA: Fake = Fake {
    connector: "medusa",
    environment: &[("MEDUSA_API_KEY", "sk_1")],
    config: "",
    base: "",
    trials: &[orders(&[], ["1001", "2001", "100"], "cus_01JDA")],
    answer: medusa,
};

fn medusa(call: &Call) -> Answer {
    if !call.is_basic("sk_1", "") {
        return Answer::json(401, json!({ "message": "Unauthorized" }));
    }
    if call.route != "GET /admin/orders" {
        return Answer::text(404, "<!DOCTYPE html><pre>Cannot GET</pre>").with("content-type", "text/html");
    }
    let known = ["q", "fields", "limit", "offset", "order", "id", "status", "region_id", "customer_id", "created_at"];
    if let Some(name) = call.unknown(&known) {
        let said = format!("Invalid request: Unrecognized fields: '{name}'");
        return Answer::json(400, json!({ "type": "invalid_data", "message": said }));
    }
    let order = |number: u32, customer: &str, has_account: bool, email: &str| {
        json!({
            "id": format!("order_01JDO{number}"), "display_id": number, "custom_display_id": null, "email": email,
            "status": "pending", "payment_status": "captured", "fulfillment_status": "not_fulfilled",
            "created_at": "2026-11-02T09:11:12.345Z", "customer_id": customer, "currency_code": "eur",
            "customer": { "id": customer, "has_account": has_account, "email": email }, "item_total": 40,
            "item_tax_total": 0, "shipping_total": 10, "shipping_tax_total": 0, "tax_total": 0, "total": 50,
            "credit_line_total": 0, "fulfillments": [], "payment_collections": [], "items": [{
                "title": "Medusa Sweatshirt", "variant_sku": "SWEATSHIRT-S", "quantity": 1, "unit_price": 40,
            }],
            "shipping_address": { "city": "Copenhagen", "country_code": "dk" },
        })
    };
    let all = [
        order(1001, "cus_01JDA", true, "ada@example.com"),
        order(2001, "cus_01JDB", false, "bob.1001@example.com"),
        order(21001, "cus_01JDC", true, "eve@example.com"),
    ];
    let q = call.parameter("q").unwrap_or_default().to_lowercase();
    let hit = |order: &&Value| {
        let number = order["display_id"].to_string();
        [number.as_str(), order["email"].as_str().unwrap()].iter().any(|text| text.contains(&q))
    };
    let found: Value = all.iter().filter(hit).cloned().collect();
    let count = found.as_array().unwrap().len();
    let shown = Fields::dotted(call.parameter("fields").unwrap_or("id,display_id,status,email")).of(&found);
    Answer::json(200, json!({ "orders": shown, "count": count, "offset": 0, "limit": 50 }))
}

/// Shopify's Admin API: the search finds names that begin alike, errors of a query have status 200.
pub const SHOPIFY: Fake = Fake {
    connector: "shopify",
    environment: &[("SHOPIFY_ACCESS_TOKEN", "shpat_x")],
    config: "",
    base: "/admin/api/2026-10",
    trials: &[orders(&[], ["1001", "2001", "100"], "544365967")],
    answer: shopify,
};

fn shopify(call: &Call) -> Answer {
    if call.header("x-shopify-access-token") != "shpat_x" {
        let said = "[API] Invalid API key or access token (unrecognized login or wrong password)";
        return Answer::json(401, json!({ "errors": said }));
    }
    if call.route != "POST /admin/api/2026-10/graphql.json" {
        return Answer::json(404, json!({ "errors": "Not Found" }));
    }
    let order = |name: &str, customer: &str, email: &str| {
        let money = |amount: &str| json!({ "shopMoney": { "amount": amount } });
        json!({
            "name": name, "email": email, "createdAt": "2026-06-03T17:58:27Z", "cancelledAt": null,
            "currencyCode": "USD", "displayFinancialStatus": "PAID", "displayFulfillmentStatus": "UNFULFILLED",
            "returnStatus": "NO_RETURN", "currentSubtotalLineItemsQuantity": 1,
            "customer": { "id": format!("gid://shopify/Customer/{customer}") },
            "shippingAddress": { "city": "Ottawa", "countryCodeV2": "CA" }, "subtotalPriceSet": money("10.0"),
            "totalTaxSet": money("0.0"), "totalPriceSet": money("10.0"), "shippingLine": null,
            "lineItems": { "nodes": [] }, "fulfillments": [], "refunds": [],
        })
    };
    let all = [
        order("#1001", "544365967", "bob@example.com"),
        order("#1001-A", "1", "eve@example.com"),
        order("#2001", "207119551", "ann@example.com"),
    ];
    let sent = call.json();
    let Some(wanted) = sent["variables"]["query"].as_str().and_then(|query| query.strip_prefix("name:")) else {
        let said = "Variable $query of type String! was provided invalid value";
        return Answer::json(
            200,
            json!({ "errors": [{ "message": said, "extensions": { "code": "INVALID_VARIABLE" } }] }),
        );
    };
    let wanted = wanted.trim_matches('"').trim_start_matches('#');
    let hit = |order: &&Value| order["name"].as_str().unwrap().trim_start_matches('#').starts_with(wanted);
    let nodes: Vec<&Value> = all.iter().filter(hit).collect();
    Answer::json(200, json!({ "data": { "orders": { "nodes": nodes } } }))
}
