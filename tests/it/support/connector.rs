//! Vendor files of a company's own, and a helpdesk behind one.

use super::{Setup, Vendor};

/// For [`Setup::own_helpdesk`]: a ticket is found by its external id, without delay.
pub const FIND_TICKET: &str = r#"
    [helpdesk.find_ticket]
    method = "GET"
    path = "/tickets"
    query = '{ external_id }'
    reply = '.[0] | if . then { id, status: "open" } else null end'
"#;

impl Setup {
    /// Writes a vendor file beside the configuration.
    pub fn connector(self, name: &str, file: &str) -> Self {
        let directory = self.path().join("connectors");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.toml")), file).unwrap();
        self
    }

    /// The upstream `own`, played by `vendor`, as the helpdesk: more for `[desk]`, the limits of the upstream, and for its
    /// vendor file the members of the port and of `create_ticket`, with whatever operations follow.
    pub fn own_helpdesk(self, vendor: &Vendor, desk: &str, limits: &str, port: &str, create_ticket: &str) -> Self {
        self.config(&format!(
            "[desk]\nhelpdesk = \"own\"\n{desk}\n[upstreams.own]\nbase_url = \"{}\"\nlimits = {{ {limits} }}\n",
            vendor.url
        ))
        .connector(
            "own",
            &format!(
                "name = \"own\"\ntitle = \"Our own helpdesk\"\n[helpdesk]\n{port}\n\
                 [helpdesk.create_ticket]\nmethod = \"POST\"\npath = \"/tickets\"\n{create_ticket}\n"
            ),
        )
    }
}
