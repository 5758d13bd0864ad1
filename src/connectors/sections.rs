//! What a vendor file has: its ports and its operations, by name.

use super::{
    file::{Steps, VendorFile},
    file_values::{Method, Protocol},
    graphql_step,
};

impl VendorFile {
    /// Names of the ports that it serves.
    pub fn ports(&self) -> Vec<&'static str> {
        let all = [
            ("orders", self.orders.is_some()),
            ("helpdesk", self.helpdesk.is_some()),
            ("crm", self.crm.is_some()),
            ("knowledge", self.knowledge.as_ref().is_some_and(|port| port.upsert_article.is_some())),
            ("articles", self.knowledge.as_ref().is_some_and(|port| port.list.is_some())),
            ("codes", self.codes.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }

    /// Whether an operation asks in GraphQL, where errors come with status 200.
    pub fn is_graphql(&self, operation: &str) -> bool {
        if graphql_step::protocol(self, operation.split('.').next().unwrap_or(operation)) == Protocol::Graphql {
            return true;
        }
        let steps =
            self.operations().into_iter().filter(|(name, _)| *name == operation).flat_map(|(_, steps)| &steps.0);
        let mut posts = steps.filter(|step| step.method == Some(Method::Post));
        posts.any(|step| {
            let named = step.path.as_ref().is_some_and(|path| path.trim_end_matches(".json").ends_with("graphql"));
            named || step.body.as_ref().is_some_and(|body| body.contains("query: \""))
        })
    }

    /// The header that carries the credentials of a port, if it is named.
    pub fn auth_header(&self, port: &str) -> Option<String> {
        let own = match port {
            "orders" => self.orders.as_ref().map(|port| &port.at),
            "helpdesk" => self.helpdesk.as_ref().map(|port| &port.at),
            "crm" => self.crm.as_ref().map(|port| &port.at),
            "codes" => self.codes.as_ref().map(|port| &port.at),
            _ => self.knowledge.as_ref().map(|port| &port.at),
        };
        own.and_then(|place| place.auth.as_ref()).unwrap_or(&self.auth).header.clone()
    }

    /// Every operation that it has, by name.
    pub fn operations(&self) -> Vec<(&'static str, &Steps)> {
        let (orders, helpdesk) = (self.orders.as_ref(), self.helpdesk.as_ref());
        let (crm, knowledge) = (self.crm.as_ref(), self.knowledge.as_ref());
        let all = [
            ("orders.find", orders.map(|port| &port.find)),
            ("helpdesk.create_ticket", helpdesk.map(|port| &port.create_ticket)),
            ("helpdesk.find_ticket", helpdesk.and_then(|port| port.find_ticket.as_ref())),
            ("helpdesk.add_comment", helpdesk.and_then(|port| port.add_comment.as_ref())),
            ("crm.find_contact", crm.map(|port| &port.find_contact)),
            ("crm.upsert_contact", crm.map(|port| &port.upsert_contact)),
            ("crm.log_activity", crm.and_then(|port| port.log_activity.as_ref())),
            ("knowledge.upsert_article", knowledge.and_then(|port| port.upsert_article.as_ref())),
            ("knowledge.remove_article", knowledge.and_then(|port| port.remove_article.as_ref())),
            ("knowledge.list", knowledge.and_then(|port| port.list.as_ref())),
            ("knowledge.get", knowledge.and_then(|port| port.get.as_ref())),
            ("codes.send", self.codes.as_ref().map(|port| &port.send)),
            ("health", self.health.as_ref()),
        ];
        all.into_iter().filter_map(|(name, steps)| Some((name, steps?))).collect()
    }
}
