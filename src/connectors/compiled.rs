//! Compiles the filters and checks the templates of a vendor file, so that every fault is found at start-up.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    compile_error::CompileError,
    file::{ErrorRule, Meaning, Step, Steps, VendorFile},
    file_values::Method,
    filter::{Filter, FilterCompiler},
    graphql::Document,
    graphql_step, outputs, path_template, shapes,
};

/// A compiled operation.
pub(super) struct Operation {
    /// For example `orders.find`.
    pub(super) name: &'static str,
    pub(super) steps: Vec<Arc<CompiledStep>>,
    /// Only the first step whose `when` holds is sent.
    pub(super) alternatives: bool,
}

pub(super) struct CompiledStep {
    /// The request of the health operation.
    pub(super) is_health: bool,
    /// It need not be there.
    pub(super) optional: bool,
    pub(super) method: Method,
    pub(super) path: String,
    /// For GraphQL: what is sent in place of `body`, with the output of `variables`.
    pub(super) graphql: Option<Document>,
    pub(super) variables: Option<Filter>,
    pub(super) headers: HeaderMap,
    /// Headers whose value is that of a setting.
    pub(super) setting_headers: Vec<(HeaderName, String)>,
    pub(super) safe: bool,
    pub(super) preparatory: bool,
    pub(super) repeatable: bool,
    pub(super) idempotency_header: Option<HeaderName>,
    pub(super) reply_headers: Vec<HeaderName>,
    pub(super) when: Option<Filter>,
    pub(super) params: Option<Filter>,
    pub(super) query: Option<Filter>,
    pub(super) body: Option<Filter>,
    pub(super) form: Option<Filter>,
    pub(super) reply: Option<Filter>,
    pub(super) complete: Option<Filter>,
    pub(super) errors: Vec<CompiledRule>,
}

pub(super) struct CompiledRule {
    pub(super) status: Vec<u16>,
    pub(super) code: Vec<String>,
    pub(super) when: Option<Filter>,
    pub(super) meaning: Meaning,
    pub(super) field: Option<Filter>,
    pub(super) retry_after_s: Option<Filter>,
}

/// Operations with an effect id, which the idempotency header carries.
const WITH_EFFECT: [&str; 4] = ["helpdesk.create_ticket", "helpdesk.add_comment", "crm.log_activity", "codes.send"];
/// Operations whose empty result proves something.
const LOOK_UPS: [&str; 3] = ["orders.find", "helpdesk.find_ticket", "crm.find_contact"];
/// Where GraphQL is, if a request does not say it.
const GRAPHQL_PATH: &str = "/graphql";

/// Operations of whose output a member that cannot be made costs itself alone.
const SHIELDED: [&str; 3] = ["orders.find", "knowledge.list", "knowledge.get"];

/// The compiled operations of a vendor.
#[derive(Default)]
pub(super) struct Operations {
    /// The normal form of order numbers.
    pub(super) order_number: Option<Filter>,
    pub(super) find_order: Option<Operation>,
    pub(super) create_ticket: Option<Operation>,
    pub(super) find_ticket: Option<Operation>,
    pub(super) add_comment: Option<Operation>,
    pub(super) find_contact: Option<Operation>,
    pub(super) upsert_contact: Option<Operation>,
    pub(super) log_activity: Option<Operation>,
    pub(super) upsert_article: Option<Operation>,
    pub(super) remove_article: Option<Operation>,
    pub(super) list_articles: Option<Operation>,
    pub(super) get_article: Option<Operation>,
    pub(super) send_code: Option<Operation>,
    pub(super) health: Option<Operation>,
}

impl Operations {
    pub(super) fn compile(file: &VendorFile) -> Result<Self, CompileError> {
        let compiler = FilterCompiler::new(&file.definitions)
            .map_err(|source| CompileError::Filter { key: "definitions".to_owned(), source })?;
        let compile = |name, steps: &Steps| operation(&compiler, file, name, steps).map(Some);
        let optional = |name, steps: &Option<Steps>| steps.as_ref().map_or(Ok(None), |steps| compile(name, steps));
        let mut all = Self { health: optional("health", &file.health)?, ..Self::default() };
        if let Some(orders) = &file.orders {
            let one =
                orders.find.0.split_last().is_some_and(|(last, others)| {
                    last.when.is_none() && others.iter().all(|other| other.when.is_some())
                });
            if !one {
                let why = "is always exactly one request, so that a denial costs the same as a success; of several, all but \
                           the last need a when";
                return Err(CompileError::value("orders.find", why));
            }
            let number = orders.number.as_deref().map(|code| compiler.compile(code)).transpose();
            all.order_number =
                number.map_err(|source| CompileError::Filter { key: "orders.number".to_owned(), source })?;
            let find = compile("orders.find", &orders.find)?;
            all.find_order = find.map(|find| Operation { alternatives: true, ..find });
        }
        if let Some(helpdesk) = &file.helpdesk {
            all.create_ticket = compile("helpdesk.create_ticket", &helpdesk.create_ticket)?;
            all.find_ticket = optional("helpdesk.find_ticket", &helpdesk.find_ticket)?;
            all.add_comment = optional("helpdesk.add_comment", &helpdesk.add_comment)?;
            if helpdesk.find_ticket.is_some() != helpdesk.settle_after_s.is_some() {
                let why = "find_ticket and settle_after_s go together: an empty find is believed after that time";
                return Err(CompileError::value("helpdesk.settle_after_s", why));
            }
            let keyed = helpdesk.create_ticket.0.iter().any(|step| step.idempotency_header.is_some());
            if keyed != helpdesk.idempotency_ttl_s.is_some() {
                let why = "idempotency_ttl_s and create_ticket's idempotency_header go together";
                return Err(CompileError::value("helpdesk.idempotency_ttl_s", why));
            }
        }
        if let Some(crm) = &file.crm {
            all.find_contact = compile("crm.find_contact", &crm.find_contact)?;
            all.upsert_contact = compile("crm.upsert_contact", &crm.upsert_contact)?;
            all.log_activity = optional("crm.log_activity", &crm.log_activity)?;
            let steps = crm.log_activity.iter().flat_map(|steps| &steps.0);
            let keyed = steps.into_iter().any(|step| step.idempotency_header.is_some());
            if keyed != crm.idempotency_ttl_s.is_some() {
                let why = "idempotency_ttl_s and log_activity's idempotency_header go together";
                return Err(CompileError::value("crm.idempotency_ttl_s", why));
            }
        }
        if let Some(knowledge) = &file.knowledge {
            all.upsert_article = optional("knowledge.upsert_article", &knowledge.upsert_article)?;
            all.remove_article = optional("knowledge.remove_article", &knowledge.remove_article)?;
            all.list_articles = optional("knowledge.list", &knowledge.list)?;
            all.get_article = optional("knowledge.get", &knowledge.get)?;
            if knowledge.upsert_article.is_some() != knowledge.remove_article.is_some() {
                let why = "upsert_article and remove_article go together: a mirror follows every change";
                return Err(CompileError::value("knowledge.remove_article", why));
            }
            if knowledge.get.is_some() && knowledge.list.is_none() {
                return Err(CompileError::value("knowledge.get", "reads what knowledge.list lists, which is missing"));
            }
            if knowledge.list.is_none() && knowledge.upsert_article.is_none() {
                let why = "has no operation; write list, or upsert_article and remove_article";
                return Err(CompileError::value("knowledge", why));
            }
            let reads = [&all.list_articles, &all.get_article].into_iter().flatten();
            if let Some(writes) = reads.into_iter().find(|one| one.steps.iter().any(|step| !step.safe)) {
                let why = "only reads: its requests are GET, or say safe = true";
                return Err(CompileError::value(writes.name, why));
            }
        }
        if let Some(codes) = &file.codes {
            all.send_code = compile("codes.send", &codes.send)?;
        }
        all.check_keys()?;
        for name in file.settings.keys() {
            if file.settings[name].required && file.settings[name].default.is_some() {
                return Err(CompileError::value(format!("settings.{name}"), "is required or has a default, not both"));
            }
        }
        Ok(all)
    }

    /// Whether comments are sent with an idempotency key.
    pub(super) fn keyed_comments(&self) -> bool {
        let steps = self.add_comment.iter().flat_map(|operation| &operation.steps);
        steps.into_iter().any(|step| step.idempotency_header.is_some())
    }

    /// Checks idempotency headers: only operations with an effect id may have one, and then every step that is not
    /// repeatable must have one.
    fn check_keys(&self) -> Result<(), CompileError> {
        for operation in self.all() {
            let keyed = operation.steps.iter().any(|step| step.idempotency_header.is_some());
            let key = || format!("{}.idempotency_header", operation.name);
            if keyed && !WITH_EFFECT.contains(&operation.name) {
                let why = format!("is for {}", WITH_EFFECT.join(", "));
                return Err(CompileError::value(key(), why));
            }
            let bare = |step: &Arc<CompiledStep>| step.is_effect() && !step.repeatable;
            if keyed && operation.steps.iter().any(bare) {
                let why = "is there on one request, and another that must not be repeated has none";
                return Err(CompileError::value(key(), why));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Operation> {
        self.all().find(|operation| operation.name == name)
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.all().map(|operation| operation.name).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Operation> {
        let all = [
            &self.find_order,
            &self.create_ticket,
            &self.find_ticket,
            &self.add_comment,
            &self.find_contact,
            &self.upsert_contact,
            &self.log_activity,
            &self.upsert_article,
            &self.remove_article,
            &self.list_articles,
            &self.get_article,
            &self.send_code,
            &self.health,
        ];
        all.into_iter().flatten()
    }
}

fn operation(
    compiler: &FilterCompiler,
    file: &VendorFile,
    name: &'static str,
    steps: &Steps,
) -> Result<Operation, CompileError> {
    let many = steps.0.len() > 1;
    let last = steps.0.last().and_then(|step| step.reply.as_deref());
    if let (Some(shape), Some(term)) = (outputs::shape(name), last.and_then(outputs::parse))
        && let Some(unknown) = outputs::unknown_member(&term, shape)
    {
        let known: Vec<&str> = shape.iter().map(|(name, _)| *name).collect();
        let why = format!("gives {unknown}, which is not known here; the members are {}", known.join(", "));
        return Err(CompileError::value(format!("{name}.reply"), why));
    }
    let steps = steps.0.iter().enumerate().map(|(n, step)| {
        let section = if many { format!("{name}[{n}]") } else { name.to_owned() };
        CompiledStep::new(compiler, file, &section, name, step).map(Arc::new)
    });
    Ok(Operation { name, steps: steps.collect::<Result<_, _>>()?, alternatives: false })
}

impl CompiledStep {
    fn new(
        compiler: &FilterCompiler,
        file: &VendorFile,
        section: &str,
        operation: &str,
        step: &Step,
    ) -> Result<Self, CompileError> {
        let filter = |key: &str, code: &Option<String>| {
            let compiled = code.as_deref().map(|code| compiler.compile(code)).transpose();
            compiled.map_err(|source| CompileError::Filter { key: format!("{section}.{key}"), source })
        };
        let wrong = |key: &str, why: &str| CompileError::value(format!("{section}.{key}"), why);
        let graphql = graphql_step::document(file, operation, step).map_err(|(key, why)| wrong(key, &why))?;
        let (method, path) = match &graphql {
            Some(_) => (step.method.unwrap_or(Method::Post), step.path.as_deref().unwrap_or(GRAPHQL_PATH)),
            None => (
                step.method.ok_or_else(|| wrong("method", "is missing"))?,
                step.path.as_deref().ok_or_else(|| wrong("path", "is missing"))?,
            ),
        };
        let known = step.params.is_none().then(|| shapes::names(operation));
        path_template::check(path, known.as_deref()).map_err(|why| wrong("path", &why))?;
        if method == Method::Get && (step.body.is_some() || step.form.is_some()) {
            return Err(wrong("body", "a GET has no body; use query"));
        }
        if step.form.is_some() && (step.body.is_some() || graphql.is_some()) {
            return Err(wrong("form", "is a body of its own; write it, or body, or graphql"));
        }
        if step.optional && operation != "health" {
            return Err(wrong("optional", "is for health"));
        }
        if step.complete.is_some() && !LOOK_UPS.contains(&operation) {
            return Err(wrong("complete", &format!("is for {}", LOOK_UPS.join(", "))));
        }
        let (mut headers, mut setting_headers) = (HeaderMap::new(), Vec::new());
        for (name, value) in file.headers.iter().chain(&step.headers) {
            let key = || format!("{section}.headers.{name}");
            let parsed = HeaderName::try_from(name).map_err(|_| CompileError::value(key(), "is not a header name"))?;
            if parsed == header::AUTHORIZATION || parsed == header::HOST {
                return Err(CompileError::value(key(), "is not for a vendor file to set; credentials belong to auth"));
            }
            if let Some(setting) = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                if !file.settings.contains_key(setting) {
                    return Err(CompileError::value(key(), format!("there is no setting {setting}")));
                }
                setting_headers.push((parsed, setting.to_owned()));
                continue;
            }
            let value =
                HeaderValue::from_str(value).map_err(|_| CompileError::value(key(), "is not a header value"))?;
            headers.insert(parsed, value);
        }
        let header_name = |key: &str, name: &String| {
            HeaderName::try_from(name)
                .map_err(|_| CompileError::value(format!("{section}.{key}"), "is not a header name"))
        };
        let idempotency_header = step.idempotency_header.as_ref();
        let idempotency_header = idempotency_header.map(|name| header_name("idempotency_header", name)).transpose()?;
        let reply_headers = step.reply_headers.iter().map(|name| header_name("reply_headers", name));
        let own = step.errors.iter().enumerate().map(|(n, rule)| (format!("{section}.errors[{n}]"), rule));
        let shared = file.errors.iter().enumerate().map(|(n, rule)| (format!("errors[{n}]"), rule));
        let errors = own.chain(shared).map(|(section, rule)| CompiledRule::new(compiler, &section, rule));
        let safe = step.safe.unwrap_or_else(|| match &graphql {
            Some(document) => !document.is_mutation,
            None => method == Method::Get,
        });
        if safe && (step.repeatable == Some(false) || idempotency_header.is_some()) {
            let why = "what is safe can be repeated, and needs no idempotency_header";
            return Err(CompileError::value(format!("{section}.safe"), why));
        }
        let repeatable = step.repeatable.unwrap_or(method.is_idempotent());
        Ok(Self {
            is_health: operation == "health",
            optional: step.optional,
            method,
            path: path.to_owned(),
            graphql,
            variables: filter("variables", &step.variables)?,
            headers,
            setting_headers,
            safe,
            preparatory: step.preparatory,
            repeatable: safe || repeatable || idempotency_header.is_some(),
            idempotency_header,
            reply_headers: reply_headers.collect::<Result<_, _>>()?,
            when: filter("when", &step.when)?,
            params: filter("params", &step.params)?,
            query: filter("query", &step.query)?,
            body: filter("body", &step.body)?,
            form: filter("form", &step.form)?,
            reply: match &step.reply {
                Some(code) if SHIELDED.contains(&operation) => compiler
                    .compile_shielded(code)
                    .map(Some)
                    .map_err(|source| CompileError::Filter { key: format!("{section}.reply"), source })?,
                code => filter("reply", code)?,
            },
            complete: filter("complete", &step.complete)?,
            errors: errors.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the request performs the operation's effect.
    pub(super) fn is_effect(&self) -> bool {
        !self.safe && !self.preparatory
    }

    /// Whether a repeat changes nothing, without an idempotency key.
    pub(super) fn is_naturally_repeatable(&self) -> bool {
        self.repeatable && self.idempotency_header.is_none()
    }
}

impl CompiledRule {
    fn new(compiler: &FilterCompiler, section: &str, rule: &ErrorRule) -> Result<Self, CompileError> {
        let filter = |key: &str, code: &Option<String>| {
            let compiled = code.as_deref().map(|code| compiler.compile(code)).transpose();
            compiled.map_err(|source| CompileError::Filter { key: format!("{section}.{key}"), source })
        };
        if rule.status.is_empty() && rule.code.is_empty() && rule.when.is_none() {
            return Err(CompileError::value(section, "a rule needs a status, a when or both; for GraphQL also a code"));
        }
        if rule.field.is_some() && !matches!(rule.meaning, Meaning::Invalid | Meaning::Misconfigured) {
            let why = "is for as = \"invalid\" and as = \"misconfigured\"";
            return Err(CompileError::value(format!("{section}.field"), why));
        }
        if rule.retry_after_s.is_some() && rule.meaning != Meaning::RateLimited {
            return Err(CompileError::value(format!("{section}.retry_after_s"), "is for as = \"rate_limited\""));
        }
        if rule.meaning == Meaning::Closed && !section.starts_with("helpdesk.add_comment") {
            return Err(CompileError::value(section, "as = \"closed\" is for helpdesk.add_comment"));
        }
        Ok(Self {
            status: rule.status.clone(),
            code: rule.code.clone(),
            when: filter("when", &rule.when)?,
            meaning: rule.meaning,
            field: filter("field", &rule.field)?,
            retry_after_s: filter("retry_after_s", &rule.retry_after_s)?,
        })
    }
}
