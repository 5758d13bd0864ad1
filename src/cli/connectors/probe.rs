//! `frontdesk connectors probe`: whether a vendor file tells apart what the desk has to tell apart.

use std::sync::Mutex;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::HeaderName;
use serde_json::json;

use super::{
    super::{block_on, output},
    target::{Opened, Target},
};
use crate::{
    connectors::{Bench, Case, Connector, Known, PROBED, Port},
    domain::{CustomerId, Email, OrderId},
    upstream::{BaseUrl, FaultProxy, Limits},
};

/// How long the probe of a slow reply waits, in milliseconds.
const HASTY_MS: u64 = 400;

/// Check that a vendor file confuses nothing, at the real system
///
/// Asks for an order of a customer, for one of somebody else and for one that is not there, and again with faults in
/// between, which a proxy on 127.0.0.1 makes: replies that break off, 5xx, 408, 429, replies that are late, and with
/// --wrong-credentials refused credentials. helpdesk.find_ticket and crm.find_contact are asked for what is not there.
/// Nothing is written. The exit status is 1 if the file takes any of these for another.
#[derive(Args)]
pub(super) struct ProbeCommand {
    #[command(flatten)]
    target: Target,
    /// Number of an order of --customer
    #[arg(long, value_name = "NUMBER")]
    own: Option<String>,
    /// Number of an order of somebody else
    #[arg(long, value_name = "NUMBER")]
    foreign: Option<String>,
    /// Number of which there is no order
    #[arg(long, value_name = "NUMBER")]
    absent: Option<String>,
    /// Whose the own order is: the id there, or system:id
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Whose the own order is, if it is a guest's: the email address on it
    #[arg(long, value_name = "EMAIL")]
    email: Option<String>,
    /// Also ask with credentials that are wrong; vendors may lock out who does that often
    #[arg(long)]
    wrong_credentials: bool,
    /// Probe this operation alone: orders.find, helpdesk.find_ticket or crm.find_contact [default: all in the file]
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl ProbeCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let opened = self.target.open()?;
        let there: Vec<&'static str> = opened.file.operations().into_iter().map(|(name, _)| name).collect();
        let probed: Vec<&'static str> = PROBED.into_iter().filter(|name| there.contains(name)).collect();
        let operations: Vec<&'static str> = match &self.operation {
            None => probed.clone(),
            Some(wanted) => probed.iter().copied().filter(|name| name == wanted).collect(),
        };
        if operations.is_empty() {
            let known = if probed.is_empty() { "nothing that can be probed".to_owned() } else { probed.join(", ") };
            let sends = match there.contains(&"codes.send") {
                true => "; codes.send sends something, whatever is probed: try it with connectors try --write",
                false => "",
            };
            bail!("{} has {known}; probed are {}{sends}", opened.file.name, PROBED.join(", "));
        }
        let known = operations.contains(&"orders.find").then(|| self.known(&opened)).transpose()?;
        let cases = block_on(async {
            let mut cases = Vec::new();
            for operation in operations {
                cases.extend(self.probe(&opened, operation, known.as_ref()).await?);
            }
            Ok(cases)
        })?;
        self.print(&opened, &cases)
    }

    fn known(&self, opened: &Opened) -> anyhow::Result<Known> {
        let number = |name: &str, given: &Option<String>| -> anyhow::Result<OrderId> {
            let given = given.as_deref().ok_or_else(|| {
                anyhow!(
                    "--{name} is missing; orders are probed with --own 1001 --foreign 2001 --absent 9 --customer 42 (or --email), \
                     numbers of your own system"
                )
            })?;
            OrderId::parse(given).with_context(|| format!("--{name} {given}"))
        };
        let system = opened.system()?;
        let customer = self.customer.as_deref().map(|id| CustomerId::parse_or_in(&system, id)).transpose();
        let known = Known {
            own: number("own", &self.own)?,
            foreign: number("foreign", &self.foreign)?,
            absent: number("absent", &self.absent)?,
            customer: customer.context("--customer")?,
            email: self.email.as_deref().map(Email::parse).transpose().context("--email")?,
        };
        if known.customer.is_none() && known.email.is_none() {
            bail!("--customer is missing: whose is order {}? For a guest's, give --email", known.own.as_str());
        }
        if known.own == known.foreign || known.own == known.absent || known.foreign == known.absent {
            bail!("--own, --foreign and --absent are three different numbers");
        }
        Ok(known)
    }

    async fn probe(
        &self,
        opened: &Opened,
        operation: &'static str,
        known: Option<&Known>,
    ) -> anyhow::Result<Vec<Case>> {
        let patient = Mutex::new(Vec::new());
        let normal = self.connector(opened, operation, None, &patient)?;
        if let Some(request) = normal.writes(operation) {
            bail!(
                "{operation} sends {request}, which changes something unless the file says safe = true: nothing was sent. A \
                 search by POST is safe"
            );
        }
        let hasty = self.connector(opened, operation, Some(HASTY_MS), &patient)?;
        let proxies = patient.into_inner().unwrap_or_default();
        let bench = Bench {
            patient: &normal,
            hasty: &hasty,
            proxies: &proxies,
            graphql: opened.file.is_graphql(operation),
            wrong_credentials: self.wrong_credentials,
        };
        Ok(match (operation, known) {
            ("orders.find", Some(known)) => bench.orders(known).await,
            ("helpdesk.find_ticket", _) => bench.tickets().await,
            _ => bench.contacts().await,
        })
    }

    /// The connector behind proxies of its own, without retries, and with a breaker that never opens.
    fn connector(
        &self,
        opened: &Opened,
        operation: &str,
        timeout_ms: Option<u64>,
        proxies: &Mutex<Vec<FaultProxy>>,
    ) -> anyhow::Result<Connector> {
        let port = [Port::Orders, Port::Helpdesk, Port::Crm]
            .into_iter()
            .find(|port| operation.split('.').next() == Some(port.as_str()))
            .ok_or_else(|| anyhow!("{operation} belongs to no port"))?;
        let mut headers = vec![http::header::AUTHORIZATION, HeaderName::from_static("x-api-key")];
        let own = [opened.options().auth.header, opened.file.auth_header(port.as_str())];
        headers.extend(own.into_iter().flatten().filter_map(|name| name.parse::<HeaderName>().ok()));
        let through = |base: &BaseUrl| -> std::io::Result<BaseUrl> {
            let proxy = FaultProxy::start(base, headers.clone())?;
            let base = proxy.base();
            proxies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(proxy);
            Ok(base)
        };
        opened.builder(&|builder| {
            let limits = |limits: &mut Limits| {
                limits.retries = 0;
                limits.breaker_failures = 1000;
                limits.attempt_timeout_ms = timeout_ms.unwrap_or(limits.attempt_timeout_ms);
            };
            Ok(builder.detoured(&through, &limits).build(&opened.name, &[port])?)
        })
    }

    fn print(&self, opened: &Opened, cases: &[Case]) -> anyhow::Result<()> {
        let confused = cases.iter().filter(|case| case.confused.is_some()).count();
        if self.json {
            output::json(&json!({ "connector": opened.file.name, "ok": confused == 0, "cases": cases }))?;
        } else {
            let rows: Vec<Vec<String>> = cases
                .iter()
                .map(|case| {
                    let verdict = if case.confused.is_some() { "WRONG" } else { "ok" };
                    let texts = [case.operation, case.case.as_str(), case.expected, case.seen.as_str(), verdict];
                    texts.map(str::to_owned).to_vec()
                })
                .collect();
            output::line(output::table(&["operation", "case", "expected", "seen", "verdict"], &rows))?;
            for case in cases {
                if let Some(why) = &case.confused {
                    output::line(format_args!("{} {}: {why}", case.operation, case.case))?;
                }
            }
            if !self.wrong_credentials {
                output::line("not probed: wrong credentials; --wrong-credentials sends them")?;
            }
        }
        match confused {
            0 => Ok(()),
            confused => bail!("{} is wrong in {confused} of {} cases", opened.file.name, cases.len()),
        }
    }
}
