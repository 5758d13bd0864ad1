//! The GraphQL part of a step: which document it sends, and whether its keys go together.

use super::{
    file::{Step, VendorFile},
    file_values::{Method, Protocol, Query},
    graphql::Document,
    outputs,
};

/// The GraphQL document of a step, if its port speaks GraphQL. An error is a key of the step and what is wrong with it.
pub(super) fn document(
    file: &VendorFile,
    operation: &str,
    step: &Step,
) -> Result<Option<Document>, (&'static str, String)> {
    let wrong = |key, why: &str| (key, why.to_owned());
    let protocol = protocol(file, operation.split('.').next().unwrap_or(operation));
    let query = match (&step.graphql, protocol) {
        (None, Protocol::Rest) => {
            return match (&step.variables, step.errors.iter().chain(&file.errors).find(|rule| !rule.code.is_empty())) {
                (Some(_), _) => Err(wrong("variables", "is for protocol = \"graphql\"")),
                (None, Some(_)) if is_rest(file) => Err(wrong("errors", "code is for protocol = \"graphql\"")),
                (None, _) => Ok(None),
            };
        }
        (None, Protocol::Graphql) => return Err(wrong("graphql", "is missing: the protocol is graphql")),
        (Some(_), Protocol::Rest) => return Err(wrong("graphql", "is for protocol = \"graphql\"")),
        (Some(query), Protocol::Graphql) => query,
    };
    if step.body.is_some() {
        return Err(wrong("body", "belongs to graphql and variables here"));
    }
    if !matches!(step.method, None | Some(Method::Post)) {
        return Err(wrong("method", "is POST for GraphQL"));
    }
    let text = match query {
        Query::Text(text) => text,
        Query::File(beside) => file
            .queries
            .get(&beside.file)
            .ok_or_else(|| ("graphql", format!("there is no file {} beside the vendor file", beside.file)))?,
    };
    let document = Document::parse(text).map_err(|why| ("graphql", why))?;
    let given = match step.variables.as_deref() {
        None => Some(Vec::new()),
        Some(code) => outputs::parse(code).and_then(|term| outputs::literal_members(&term)),
    };
    document.check_variables(given.as_deref()).map_err(|why| ("variables", why))?;
    Ok(Some(document))
}

/// Protocol of a port, or of `health`.
pub(super) fn protocol(file: &VendorFile, port: &str) -> Protocol {
    let place = match port {
        "orders" => file.orders.as_ref().map(|port| &port.at),
        "helpdesk" => file.helpdesk.as_ref().map(|port| &port.at),
        "crm" => file.crm.as_ref().map(|port| &port.at),
        "knowledge" => file.knowledge.as_ref().map(|port| &port.at),
        _ => None,
    };
    place.and_then(|place| place.protocol).unwrap_or(file.protocol)
}

/// Whether no port speaks anything else than REST.
fn is_rest(file: &VendorFile) -> bool {
    file.ports().into_iter().chain(["health"]).all(|port| protocol(file, port) == Protocol::Rest)
}
