//! Shops that a company runs itself, and its own REST API.

use serde_json::{Value, json};

use super::{Fake, call::Call, fields::Fields, orders};
use crate::support::Answer;

/// Adobe Commerce: search criteria and `fields`. MySQL compares without regard to case.
pub const ADOBE_COMMERCE: Fake = Fake {
    connector: "adobe-commerce",
    environment: &[("ADOBE_COMMERCE_TOKEN", "integration-token")],
    config: "",
    base: "",
    trials: &[orders(&[], ["000000042", "000000043", "000000044"], "7")],
    answer: adobe_commerce,
};

fn adobe_commerce(call: &Call) -> Answer {
    if call.header("authorization") != "Bearer integration-token" {
        let said = "The consumer isn't authorized to access %resources.";
        let resources = json!({ "resources": "Magento_Sales::actions_view" });
        return Answer::json(401, json!({ "message": said, "parameters": resources }));
    }
    if call.route != "GET /rest/V1/orders" {
        return Answer::json(404, json!({ "message": "Request does not match any route.", "trace": null }));
    }
    let criterion = |name: &str| {
        let at = |group, filter| format!("searchCriteria[{group}][0][{filter}][0][{name}]");
        call.parameter(&at("filterGroups", "filters")).unwrap_or_default().to_owned()
    };
    if criterion("field") != "increment_id" || criterion("conditionType") != "eq" {
        let said = "Internal Error. Details are available in Magento log file. Report ID: webapi-5f4e1b7c";
        return Answer::json(500, json!({ "message": said }));
    }
    let order = |number: &str, customer: Option<u32>, email: &str| {
        let address = json!({ "city": "Calder", "country_id": "US", "postcode": "49628" });
        let mut order = json!({
            "increment_id": number, "entity_id": 42, "customer_email": email, "customer_is_guest": 1,
            "state": "processing", "status": "processing", "created_at": "2026-11-02 09:11:12",
            "order_currency_code": "USD", "subtotal": 45, "subtotal_incl_tax": 48.6, "shipping_amount": 5,
            "shipping_incl_tax": 5, "tax_amount": 3.6, "grand_total": 53.6, "protect_code": "c1f3a8",
            "items": [{
                "item_id": 1, "name": "Push It Messenger Bag", "sku": "24-WB04", "qty_ordered": 1, "price": 45,
                "price_incl_tax": 48.6, "product_type": "simple",
            }],
            "billing_address": address,
            "extension_attributes": { "shipping_assignments": [{ "shipping": { "address": address } }] },
        });
        if let Some(customer) = customer {
            (order["customer_id"], order["customer_is_guest"]) = (json!(customer), json!(0));
        }
        order
    };
    let all = [order("000000042", Some(7), "roni@example.com"), order("000000043", None, "guest@example.com")];
    let wanted = criterion("value").to_lowercase();
    let found: Vec<&Value> = all.iter().filter(|order| order["increment_id"] == json!(wanted)).collect();
    let reply = json!({ "items": found, "search_criteria": { "filter_groups": [] }, "total_count": found.len() });
    Answer::json(200, Fields::bracketed(call.parameter("fields").unwrap_or_default()).of(&reply))
}

/// The company's own REST in camelCase, as docs/guides/integrator.md describes it.
pub const GENERIC: Fake = Fake {
    connector: "generic",
    environment: &[("ORDER_API_TOKEN", "right"), ("CRM_API_KEY", "right")],
    config: "",
    base: "",
    trials: &[orders(&[], ["1001", "2001", "9"], "42"), super::contact(&[], "c-7")],
    answer: generic,
};

fn generic(call: &Call) -> Answer {
    if call.header("authorization") != "Bearer right" {
        return Answer::json(401, json!({ "message": "Unauthorized" }));
    }
    match call.route.as_str() {
        "GET /orders/1001" => Answer::json(200, json!({ "id": "1001", "customerId": "42", "status": "shipped" })),
        "GET /orders/2001" => Answer::json(200, json!({ "id": "2001", "customerEmail": "eve@example.com" })),
        "GET /contacts" => match call.parameter("email") {
            Some("ada@example.com") => Answer::json(200, json!([{ "id": "c-7", "email": "ada@example.com" }])),
            _ => Answer::json(200, json!([])),
        },
        _ => Answer::json(404, json!({ "message": "Not Found" })),
    }
}

/// PrestaShop's web service: XML unless JSON is asked for, filters and `display` in brackets, no match is `[]`.
pub const PRESTASHOP: Fake = Fake {
    connector: "prestashop",
    environment: &[("PRESTASHOP_KEY", "UCCLLQ9N2ARSHWCXLT74KUKSSK34BFKX")],
    config: "",
    base: "",
    trials: &[
        orders(&[], ["XKBKNABJK", "OHSATSERP", "ZZZZZZZZZ"], "2"),
        orders(&["order_numbers=id"], ["1", "2", "9"], "2"),
    ],
    answer: prestashop,
};

fn prestashop(call: &Call) -> Answer {
    let fault = |status: u16, code: u16, message: &str| {
        Answer::json(status, json!({ "errors": [{ "code": code, "message": message }] }))
    };
    if !call.is_basic("UCCLLQ9N2ARSHWCXLT74KUKSSK34BFKX", "") {
        return fault(401, 18, "Invalid authentication key format")
            .with("www-authenticate", "Basic realm=\"Welcome to PrestaShop Webservice\"");
    }
    if call.parameter("output_format") != Some("JSON") {
        return Answer::text(200, "<?xml version=\"1.0\"?><prestashop><orders/></prestashop>");
    }
    if call.route != "GET /api/orders" {
        return fault(400, 23, "Resource of type \"order\" does not exists.");
    }
    let order = |id: u32, reference: &str, customer: &str| {
        json!({
            "id": id, "reference": reference, "id_customer": customer, "current_state": "4", "id_currency": "1",
            "shipping_number": "", "total_paid_tax_incl": "61.80", "total_paid_tax_excl": "59.80",
            "total_products": "59.80", "total_products_wt": "59.80", "total_shipping_tax_incl": "2.00",
            "total_shipping_tax_excl": "2.00", "secure_key": "b44a6d9efd7a0076a0fbce6b15eaf3b1", "associations": {},
            "order_rows": [{
                "id": "1", "product_id": "1", "product_quantity": "1", "product_reference": "demo_2",
                "product_name": "Hummingbird printed sweater", "unit_price_tax_incl": "59.80",
                "unit_price_tax_excl": "59.80",
            }],
        })
    };
    let all = [order(1, "XKBKNABJK", "2"), order(2, "OHSATSERP", "3")];
    let display = Fields::bracketed(call.parameter("display").unwrap_or("[id]"));
    if let Some(name) = display.names().find(|name| all[0].get(name).is_none()) {
        return fault(400, 35, &format!("Unable to display this field \"{name}\". However, these are available: id"));
    }
    let Some((name, value)) = call.query.iter().find(|(name, _)| name.starts_with("filter[")) else {
        return Answer::json(200, json!({ "orders": all.map(|order| display.of(&order)) }));
    };
    let name = name.trim_start_matches("filter[").trim_end_matches(']');
    if all[0].get(name).is_none() {
        return fault(400, 32, "This filter does not exist");
    }
    let among = value.trim_start_matches('[').trim_end_matches(']').to_lowercase();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase);
    let is_hit = |order: &&Value| among.split('|').any(|wanted| text(&order[name]) == wanted);
    let found = all.iter().filter(is_hit).map(|order| {
        let mut shown = display.of(order);
        if let Some(rows) = shown.as_object_mut().unwrap().remove("order_rows") {
            shown["associations"] = json!({ "order_rows": rows });
        }
        shown
    });
    let found: Vec<Value> = found.collect();
    match found.is_empty() {
        true => Answer::json(200, json!([])),
        false => Answer::json(200, json!({ "orders": found })),
    }
}

/// Shopware's Admin API: a search with associations and includes; JSON:API unless plain JSON is asked for.
pub const SHOPWARE: Fake = Fake {
    connector: "shopware",
    environment: &[("SHOPWARE_CLIENT_ID", "client"), ("SHOPWARE_CLIENT_SECRET", "secret")],
    config: "",
    base: "",
    trials: &[orders(&[], ["10001", "10002", "10003"], "0190aa00b5a271d3a1a5f9c1d8a1c001")],
    answer: shopware,
};

fn shopware(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, detail: &str| {
        let error = json!({ "code": code, "status": status.to_string(), "title": "Error", "detail": detail });
        Answer::json(status, json!({ "errors": [error] }))
    };
    if call.route == "POST /api/oauth/token" {
        return call.token("client_credentials", true, json!({ "expires_in": 600 }));
    }
    if !call.has_token() {
        return fault(401, "9", "Access token could not be verified");
    }
    if call.route != "POST /api/search/order" {
        return fault(404, "0", "No route found");
    }
    let order = |number: &str, customer: &str, email: &str, is_guest: bool| {
        let state = |name: &str| json!({ "technicalName": name, "apiAlias": "state_machine_state" });
        let customer = json!({ "id": customer, "guest": is_guest, "apiAlias": "customer" });
        let country = json!({ "iso": "DE", "apiAlias": "country" });
        let address = json!({ "city": "Schöppingen", "country": country, "apiAlias": "order_address" });
        json!({
            "id": "0190aa00c0de71d3a1a5f9c1d8a1c0de", "apiAlias": "order", "orderNumber": number,
            "orderDateTime": "2026-11-02T09:11:12.000+00:00", "amountTotal": 119.0, "positionPrice": 109.0,
            "shippingTotal": 10.0, "deepLinkCode": "Y2FuYXJ5", "stateMachineState": state("open"),
            "price": {
                "netPrice": 100.0, "totalPrice": 119.0, "positionPrice": 109.0, "taxStatus": "gross",
                "calculatedTaxes": [{ "tax": 19.0, "taxRate": 19.0, "price": 119.0, "apiAlias": "cart_tax_calculated" }],
                "apiAlias": "cart_price",
            },
            "currency": { "isoCode": "EUR", "apiAlias": "currency" },
            "orderCustomer": {
                "customerId": customer["id"], "email": email, "customer": customer,
                "apiAlias": "order_customer",
            },
            "lineItems": [{
                "label": "Lamp", "quantity": 1, "unitPrice": 109.0, "type": "product", "parentId": null,
                "payload": { "productNumber": "SW10001" }, "apiAlias": "order_line_item",
            }],
            "billingAddress": address,
            "transactions": [{
                "createdAt": "2026-11-02T09:11:12.000+00:00", "stateMachineState": state("paid"),
                "apiAlias": "order_transaction",
            }],
            "deliveries": [{
                "trackingCodes": [], "shippingDateLatest": "2026-11-05T00:00:00.000+00:00",
                "shippingCosts": { "totalPrice": 10.0, "apiAlias": "calculated_price" },
                "stateMachineState": state("shipped"), "shippingOrderAddress": address, "apiAlias": "order_delivery",
                "shippingMethod": {
                    "name": "Standard", "translated": { "name": "Standard" }, "trackingUrl": null,
                    "apiAlias": "shipping_method",
                },
            }],
        })
    };
    let all = [
        order("10001", "0190aa00b5a271d3a1a5f9c1d8a1c001", "kim@example.com", false),
        order("10002", "0190aa00b5a271d3a1a5f9c1d8a1c002", "lee@example.com", true),
    ];
    let criteria = call.json();
    let associated = criteria["associations"].as_object().cloned().unwrap_or_default();
    let known =
        ["currency", "stateMachineState", "lineItems", "billingAddress", "orderCustomer", "transactions", "deliveries"];
    if let Some(name) = associated.keys().find(|name| !known.contains(&name.as_str())) {
        return fault(400, "FRAMEWORK__ASSOCIATION_NOT_FOUND", &format!("Can not find association by name {name}"));
    }
    let filter = &criteria["filter"][0];
    if filter["type"] != "equals" || filter["field"] != "orderNumber" {
        return fault(400, "FRAMEWORK__UNMAPPED_FIELD", "Field is not part of the order definition.");
    }
    let found = all.iter().filter(|order| order["orderNumber"] == filter["value"]).map(|order| {
        let mut order = order.clone();
        // What is not associated is not loaded, but for the state.
        for name in known.iter().filter(|name| **name != "stateMachineState" && !associated.contains_key(**name)) {
            order[*name] = Value::Null;
        }
        included(&order, &criteria["includes"])
    });
    let found: Vec<Value> = found.collect();
    match call.header("accept") {
        "application/json" => Answer::json(200, json!({ "total": found.len(), "data": found, "aggregations": [] })),
        _ => {
            let of = |order: &Value| json!({ "type": "order", "attributes": order });
            Answer::json(200, json!({ "data": found.iter().map(of).collect::<Vec<_>>(), "meta": {} }))
        }
    }
}

/// `includes`: of each entity that is named there these members alone.
fn included(value: &Value, includes: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| included(item, includes)).collect(),
        Value::Object(members) => {
            let chosen = members.get("apiAlias").and_then(|alias| includes.get(alias.as_str()?)?.as_array());
            let is_in = |name: &String| name == "apiAlias" || chosen.is_none_or(|all| all.contains(&json!(name)));
            let kept = members.iter().filter(|(name, _)| is_in(name));
            Value::Object(kept.map(|(name, value)| (name.clone(), included(value, includes))).collect())
        }
        _ => value.clone(),
    }
}

/// WooCommerce's REST API, where the search finds parts of numbers, and `_fields` chooses members.
pub const WOOCOMMERCE: Fake = Fake {
    connector: "woocommerce",
    environment: &[("WOOCOMMERCE_KEY", "ck_x"), ("WOOCOMMERCE_SECRET", "cs_y")],
    config: "",
    base: "",
    trials: &[orders(&[], ["727", "723", "9"], "26"), orders(&["order_numbers=search"], ["727", "723", "72"], "26")],
    answer: woocommerce,
};

fn woocommerce(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, message: &str| {
        Answer::json(status, json!({ "code": code, "message": message, "data": { "status": status } }))
    };
    if !call.is_basic("ck_x", "cs_y") {
        return fault(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.");
    }
    let order = |id: u32, customer: u32, email: &str| {
        json!({
            "id": id, "number": id.to_string(), "order_key": "wc_order_58d2d042d1d", "status": "processing",
            "currency": "USD", "date_created_gmt": "2017-03-22T19:28:02", "customer_id": customer,
            "prices_include_tax": false, "shipping_total": "10.00", "total_tax": "1.35", "total": "29.35",
            "billing": { "email": email, "phone": "5555555555", "city": "San Francisco", "country": "US" },
            "shipping": { "city": "San Francisco", "country": "US" },
            "line_items": [{
                "name": "Woo Single #1", "quantity": 2, "sku": "", "subtotal": "6.00", "subtotal_tax": "0.45",
                "total": "6.00", "total_tax": "0.45",
            }],
            "meta_data": [],
        })
    };
    let all = [order(727, 26, "john.doe@example.com"), order(723, 0, "guest@example.com")];
    let fields = Fields::dotted(call.parameter("_fields").unwrap_or_default());
    if call.route == "GET /wp-json/wc/v3/orders" {
        let search = call.parameter("search").unwrap_or_default();
        let hit = |order: &&Value| order["number"].as_str().unwrap().contains(search);
        return Answer::json(200, fields.of(&all.iter().filter(hit).cloned().collect()));
    }
    match call.after("GET /wp-json/wc/v3/orders/").map(str::parse::<u32>) {
        Some(Ok(id)) => match all.iter().find(|order| order["id"] == json!(id)) {
            Some(order) => Answer::json(200, fields.of(order)),
            None => fault(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID."),
        },
        _ => fault(404, "rest_no_route", "No route was found matching the URL and request method."),
    }
}
