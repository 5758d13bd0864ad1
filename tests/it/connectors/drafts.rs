//! `connectors new`: drafts from nothing, from OpenAPI and from GraphQL; a file with holes is not finished; and a draft
//! whose holes are filled in is a connector that passes its probe.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};

use crate::support::{Answer, Seen, Vendor, command, frontdesk, stderr, stdout};

/// A shop and helpdesk, with references, a wrapped list, a body with listed values, and a path of the account.
const OPENAPI: &str = r##"
openapi: 3.0.3
info: { title: Lamps & more, version: "1" }
servers: [{ url: "https://{region}.lamps.example/api", variables: { region: { default: eu } } }]
security: [{ key: [] }]
components:
  securitySchemes:
    key: { type: apiKey, in: header, name: X-Lamp-Key }
  parameters:
    number: { name: number, in: query, required: true, schema: { type: string } }
  schemas:
    Address: { type: object, properties: { city: { type: string }, country_code: { type: string } } }
    Order:
      type: object
      required: [number]
      properties:
        number: { type: string }
        state: { type: string, enum: [pending, sent] }
        customer: { type: object, properties: { id: { type: integer }, email: { type: string } } }
        createdAt: { type: string, format: date-time }
        currency: { type: string }
        total: { type: object, properties: { amount: { type: string }, currency: { type: string } } }
        lineItems:
          type: array
          items: { type: object, properties: { title: { type: string }, quantity: { type: integer } } }
        shipping_address: { $ref: "#/components/schemas/Address" }
    NewTicket:
      type: object
      required: [ticket]
      properties:
        ticket:
          allOf:
            - type: object
              required: [subject, queue]
              properties: { subject: { type: string }, queue: { type: string, enum: [chat, mail] } }
            - type: object
              properties: { description: { type: string }, priority: { type: string } }
paths:
  /draft_orders/{id}:
    get: { responses: { 200: { description: no } } }
  /orders:
    parameters: [{ $ref: "#/components/parameters/number" }]
    get:
      operationId: listOrders
      responses:
        200:
          description: ok
          content:
            application/json:
              schema: { type: object, properties: { orders: { type: array, items: { $ref: "#/components/schemas/Order" } } } }
  /{account_id}/tickets:
    post:
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/NewTicket" } } } }
      responses:
        201:
          content:
            application/json:
              schema: { type: object, properties: { ticket: { type: object, properties: { id: { type: integer }, status: { type: string } } } } }
  /me:
    get: { responses: { 200: { description: ok } } }
"##;

/// Amounts in cents, a search that shows one record, a list as a body, a path of the account, a state as an object.
const ODD: &str = r##"
openapi: 3.0.3
info: { title: Odd, version: "1" }
servers: [{ url: "https://odd.example/{shop}", variables: { shop: { default: shop_hash } } }]
components:
  schemas:
    Money: { type: object, properties: { centAmount: { type: integer }, currencyCode: { type: string } } }
    Reference: { type: object, properties: { id: { type: string } } }
    Customer: { type: object, properties: { id: { type: integer }, email: { type: string } } }
paths:
  /{account}/orders/{order_id}:
    get:
      responses:
        200:
          content:
            application/json:
              schema:
                type: object
                properties:
                  id: { type: integer }
                  state: { $ref: "#/components/schemas/Reference" }
                  orderState: { type: string, enum: [Open, Canceled] }
                  totalPrice: { $ref: "#/components/schemas/Money" }
                  tax: { type: integer }
                  items:
                    type: array
                    items: { type: object, properties: { title: { type: string }, price: { type: integer } } }
  /{account}/customers:
    get:
      parameters: [{ name: email, in: query }]
      responses:
        200:
          content:
            application/json:
              schema: { type: object, properties: { customers: { $ref: "#/components/schemas/Customer" } } }
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: array
              items:
                type: object
                required: [email, tags]
                properties: { email: { type: string }, tags: { type: object } }
      responses:
        200:
          content:
            application/json:
              schema: { type: array, items: { $ref: "#/components/schemas/Customer" } }
  /tickets:
    post:
      responses:
        200:
          content:
            application/json:
              schema:
                type: object
                properties: { id: { type: integer }, status: { type: string, enum: [new, hold, solved, odd] } }
  /tickets/{id}/reply:
    post: { responses: { 200: { description: ok } } }
"##;

const SDL: &str = r#"
"""Everything # that is asked."""
type Query {
  "one order" order(id: ID!, lang: String = "en"): Order
  orders(first: Int, number: String!, shop: ID!): OrderConnection!
}
type OrderConnection { edges: [OrderEdge!]! }
type OrderEdge { node: Order! }
enum State { PENDING SENT }
type Order implements Node & Thing @key(fields: "id") {
  id: ID!
  number: String!
  state: State
  createdAt: DateTime @deprecated(reason: "use { placedAt }")
  user: User
  total: Money
  lines: [Line!]!
  secret(key: String!): String
}
type User { id: ID! email: String }
type Money { amount: Float currency: String }
type Line { title: String quantity: Int }
interface Node { id: ID! }
"#;

fn here() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("frontdesk.toml"), "").unwrap();
    here
}

fn new(here: &Path, arguments: &[&str]) -> (Output, String) {
    let output = frontdesk(here, &[&["connectors", "new"], arguments].concat());
    let file = fs::read_to_string(here.join(format!("connectors/{}.toml", arguments[0]))).unwrap_or_default();
    (output, file)
}

#[test]
fn a_description_becomes_a_file_with_holes() {
    let here = here();
    fs::write(here.path().join("api.yaml"), OPENAPI).unwrap();
    let (output, file) = new(here.path(), &["lamps", "--openapi", "api.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let parsed: toml::Table = file.parse().unwrap_or_else(|error| panic!("{error}\n{file}"));
    assert_eq!(parsed["title"].as_str(), Some("Lamps & more"));
    assert_eq!(parsed["base_url_example"].as_str(), Some("https://eu.lamps.example/api"));
    assert_eq!(parsed["auth"]["header"].as_str(), Some("X-Lamp-Key"));
    assert_eq!(parsed["orders"]["find"]["path"].as_str(), Some("/orders"), "not the drafts");
    assert_eq!(parsed["orders"]["find"]["query"].as_str(), Some("{ number: .number }"));
    let reply = parsed["orders"]["find"]["reply"].as_str().unwrap();
    for part in [
        "first(.orders[] | select((.number | tostring) == $input.number)) // null",
        "customer: .customer.id",
        "email: .customer.email",
        "\"sent\"",
        "placed_at: .createdAt",
        "total: .total.amount",
        "items: [.lineItems[]? | { name: .title, quantity: .quantity }]",
        "ship_to: (.shipping_address | { city: .city, country: .country_code })",
    ] {
        assert!(reply.replace("sent:", "\"sent\":").contains(part), "{part}: {reply}");
    }
    let create = &parsed["helpdesk"]["create_ticket"];
    assert_eq!(create["params"].as_str(), Some("{ account_id: $settings.account_id }"));
    let body = create["body"].as_str().unwrap();
    for part in ["subject: .subject", "description: .description", "queue: null", "HOLE: a string, one of chat, mail"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert_eq!(parsed["settings"]["account_id"]["required"].as_bool(), Some(true));
    assert_eq!(parsed["health"]["path"].as_str(), Some("/me"));
    assert!(stdout(&output).contains("orders.find: from GET /orders (listOrders)"), "{}", stdout(&output));
    let (again, _) = new(here.path(), &["lamps", "--openapi", "api.yaml"]);
    assert!(!again.status.success() && stderr(&again).contains("a file that is there stays"), "{}", stderr(&again));
    // The older form of the same, in JSON.
    let older = json!({
        "swagger": "2.0", "host": "api.lamps.example", "basePath": "/v1/", "info": { "title": "Lamps", "version": "1" },
        "securityDefinitions": { "basic": { "type": "basic" } },
        "paths": { "/v1/orders/{orderNumber}": { "get": {
            "parameters": [{ "name": "orderNumber", "in": "path" }],
            "responses": { "200": { "schema": { "$ref": "#/definitions/Order" } } },
        } } },
        "definitions": { "Order": { "type": "object", "properties": { "id": { "type": "integer" } } } },
    });
    fs::write(here.path().join("api.json"), older.to_string()).unwrap();
    let (output, file) = new(here.path(), &["older", "--openapi", "api.json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in
        ["https://api.lamps.example/v1\"", "kind = \"basic\"", "{ orderNumber: .number }", "customer: [],  # HOLE:"]
    {
        assert!(file.contains(part), "{part}: {file}");
    }
}

#[test]
fn a_draft_marks_what_a_description_leaves_open() {
    let here = here();
    fs::write(here.path().join("api.yaml"), ODD).unwrap();
    let (output, file) = new(here.path(), &["odd", "--openapi", "api.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in [
        "base_url_example = \"https://odd.example/shop_hash\"  # HOLE: shop_hash is the description's example",
        "total: { minor: .totalPrice.centAmount },",
        "currency: .totalPrice.currencyCode,",
        "tax: .tax,  # HOLE: an integer: { minor: .tax }, if it counts cents",
        "status: ({ Open: \"unknown\", Canceled: \"cancelled\" }[.orderState] // .orderState),  # HOLE:",
        "items: [.items[]? | { name: .title, unit_price: .price }]  # HOLE: an integer: { minor: .price }",
        "# HOLE: whether {order_id} is the number that customers quote",
        "} end  # HOLE: the description shows no list of what is found",
        "body = '''\n[{\n  email: .customer.email,\n  tags: null  # HOLE: an object\n}]'''",
        "reply = '''\nfirst(.[]) | {",
        "[crm]\nneeds_email = true",
        "# HOLE: this makes a contact, also where one is there",
        "{ new: \"open\", hold: \"pending\", solved: \"solved\", odd: \"unknown\" }",
        "# HOLE: whether the team alone sees this; customers must not",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    assert!(!file.contains(".state.id"), "{file}");
    let parsed: toml::Table = file.parse().unwrap_or_else(|error| panic!("{error}\n{file}"));
    let params = parsed["crm"]["upsert_contact"]["params"].as_str();
    assert_eq!(params, Some("{ account: $settings.account }"), "an account is no contact");
    // The marks that are counted are those that somebody can fill in, and all their lines are named.
    let marked: Vec<usize> =
        file.lines().zip(1..).filter(|(line, _)| line.contains("# HOLE:")).map(|(_, line)| line).collect();
    assert!(stdout(&output).contains(&format!("with {} holes to fill in", marked.len())), "{}", stdout(&output));
    let tested = frontdesk(here.path(), &["connectors", "test", "odd"]);
    let said = stderr(&tested);
    assert!(said.contains(&format!("is not finished: line {} (", marked[0])), "{said}");
    let others: Vec<String> = marked[1..].iter().map(ToString::to_string).collect();
    assert!(said.contains(&format!(", and lines {}.", others.join(", "))), "{said}");
}

#[test]
fn the_next_step_is_of_an_operation_that_was_proposed() {
    let here = here();
    let without_orders = ODD.replace("/orders/", "/lamps/");
    fs::write(here.path().join("crm.yaml"), without_orders.replace("/tickets", "/lamps")).unwrap();
    fs::write(here.path().join("tickets.yaml"), without_orders.replace("/customers", "/lamps")).unwrap();
    for (name, next) in [
        ("crm", "connectors try crm crm.find_contact --input '{\"customer\":{\"email\":\"ada@example.org\"}}'"),
        ("tickets", "connectors try tickets helpdesk.create_ticket --write --input '{\"external_id\":\"TEST1\""),
    ] {
        let (output, _) = new(here.path(), &[name, "--openapi", &format!("{name}.yaml")]);
        assert!(output.status.success() && stdout(&output).contains(next), "{next}: {}", stdout(&output));
    }
}

#[test]
fn a_graphql_schema_becomes_a_query() {
    let here = here();
    fs::write(here.path().join("schema.graphql"), SDL).unwrap();
    let (output, file) = new(here.path(), &["graph", "--graphql", "schema.graphql"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let parsed: toml::Table = file.parse().unwrap_or_else(|error| panic!("{error}\n{file}"));
    let body = parsed["orders"]["find"]["body"].as_str().unwrap();
    for part in [
        "query FindOrder($number: String!) { orders(number: $number, shop: null, first: 5) { edges { node { id number state",
        "user { id email }",
        "total { amount currency }",
        "HOLE: the argument shop, of type ID!",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("secret"), "{body}");
    let reply = parsed["orders"]["find"]["reply"].as_str().unwrap();
    assert!(reply.contains("first((.data.orders.edges | map(.node))[]"), "{reply}");
    let introspected = json!({ "data": { "__schema": { "types": [
        { "kind": "OBJECT", "name": "Query", "fields": [{
            "name": "order",
            "args": [{ "name": "id", "type": { "kind": "NON_NULL", "ofType": { "kind": "SCALAR", "name": "ID" } } }],
            "type": { "kind": "OBJECT", "name": "Order" },
        }] },
        { "kind": "OBJECT", "name": "Order", "fields": [
            { "name": "number", "args": [], "type": { "kind": "SCALAR", "name": "String" } },
        ] },
    ] } } });
    fs::write(here.path().join("schema.json"), introspected.to_string()).unwrap();
    let (output, file) = new(here.path(), &["seen", "--graphql", "schema.json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(file.contains("query FindOrder($number: ID!) { order(id: $number) { number } }"), "{file}");
}

#[test]
fn a_file_with_holes_is_not_finished() {
    let here = here();
    let (output, file) = new(here.path(), &["own"]);
    assert!(output.status.success() && file.contains("HOLE:"), "{}{file}", stderr(&output));
    let config = "[desk]\norders = \"own\"\n\n[identity]\nmode = \"fixed\"\ncustomer = \"own:1\"\n";
    fs::write(here.path().join("frontdesk.toml"), config).unwrap();
    for arguments in [&["connectors", "test", "own"][..], &["check"], &["serve"]] {
        let mut command = command(here.path());
        let output = command.env("OWN_TOKEN", "t").args(arguments).output().unwrap();
        let said = stderr(&output);
        assert!(
            !output.status.success() && said.contains("is not finished") && said.contains("line "),
            "{arguments:?}: {said}"
        );
    }
    let mut tried = command(here.path());
    let tried =
        tried.env("OWN_TOKEN", "t").args(["connectors", "try", "own", "orders.find", "--input", r#"{"id":"1"}"#]);
    let said = stderr(&tried.output().unwrap());
    assert!(said.contains("or add --base-url URL"), "{said}");
    for (arguments, said) in [
        (vec!["Own"], "is no name of a connector"),
        (vec!["x", "--openapi", "nothing.yaml"], "failed to read nothing.yaml"),
        (vec!["x", "--openapi", "frontdesk.toml"], "frontdesk.toml: is neither JSON nor YAML"),
        (vec!["x", "--graphql", "frontdesk.toml"], "there is no type Query"),
    ] {
        let (output, _) = new(here.path(), &arguments);
        assert!(!output.status.success() && stderr(&output).contains(said), "{said}: {}", stderr(&output));
    }
}

#[test]
fn a_draft_whose_holes_are_filled_in_passes_its_probe() {
    let vendor = Vendor::start(|seen: &Seen| {
        if seen.header("x-lamp-key") != Some("right") {
            return Answer::json(401, json!({ "error": "key" }));
        }
        let order =
            |number: &str, customer: u32| json!({ "number": number, "state": "sent", "customer": { "id": customer } });
        let all = [order("1001", 42), order("2001", 77)];
        let wanted = seen.path.rsplit('=').next().unwrap();
        let found: Vec<&Value> = all.iter().filter(|order| order["number"] == wanted).collect();
        Answer::json(200, json!({ "orders": found }))
    });
    let here = here();
    let only_orders = OPENAPI.replace("/{account_id}/tickets", "/{account_id}/lamps");
    fs::write(here.path().join("api.yaml"), only_orders).unwrap();
    let (_, file) = new(here.path(), &["lamps", "--openapi", "api.yaml"]);
    // What was proposed is right here: the marks are all that is left to remove.
    let finished: Vec<&str> = file.lines().map(|line| line.split("# HOLE:").next().unwrap()).collect();
    fs::write(here.path().join("connectors/lamps.toml"), finished.join("\n")).unwrap();
    let tested = frontdesk(here.path(), &["connectors", "test", "lamps"]);
    assert!(stderr(&tested).contains("lamps: has no examples"), "{}", stderr(&tested));
    let mut command = command(here.path());
    command.env("LAMPS_KEY", "right").args(["connectors", "probe", "lamps", "--base-url", &vendor.url]);
    command.args(["--own", "1001", "--foreign", "2001", "--absent", "9", "--customer", "42", "--wrong-credentials"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}\n{file}", stdout(&output), stderr(&output));
}
