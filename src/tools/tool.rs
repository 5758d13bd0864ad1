//! The trait of a tool, and its type-erased form for the registry.

use std::fmt::Display;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{error::ToolError, schema};
use crate::{
    desk::{Call, Desk},
    domain::{Level, Scope},
    identity::CONTEXT_ARGUMENT,
};

/// A tool. Its input is flat, because many clients fail on nested schemas.
#[async_trait]
pub(super) trait Tool: Send + Sync + 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    /// For the model: what the tool does, when to use it, and when not.
    const DESCRIPTION: &'static str;
    const HINTS: Hints;
    /// Default minimum level of the customer.
    const LEVEL: Level;
    /// Scope that the agent's token needs.
    const SCOPE: Scope;
    /// Scope that a staff member's token needs, for a tool that staff may call without a customer.
    const STAFF_SCOPE: Option<Scope> = None;
    /// Whether it may be called while nobody knows who the customer is.
    const FOR_NOBODY: bool = false;
    /// Whether an idempotency key stands for its effect.
    const TAKES_KEY: bool = false;

    type Input: DeserializeOwned + JsonSchema + Send;
    /// `Display` is the text rendering for clients that show no structured content.
    type Output: Serialize + JsonSchema + Display;

    /// Adapts the input schema to the configuration.
    fn refine(&self, _input_schema: &mut Map<String, Value>) {}

    /// Properties that the tool validates itself, because it accepts more forms than their published pattern.
    fn own_patterns(&self) -> &'static [&'static str] {
        &[]
    }

    /// Advice for an argument that the tool does not have but models try.
    fn instead_of(&self, _argument: &str) -> Option<&'static str> {
        None
    }

    /// Converts equivalent arguments to one form, so that a repeated request is recognised.
    fn canonical(&self, _arguments: &mut Map<String, Value>) {}

    async fn call(&self, desk: &Desk, call: &Call, input: Self::Input) -> Result<Self::Output, ToolError>;
}

/// The four tool annotations of MCP. The protocol calls them hints; here they hold.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

/// Specification of a tool, as clients see it.
#[derive(Debug, Clone)]
pub struct Spec {
    pub name: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub input_schema: Map<String, Value>,
    pub output_schema: Map<String, Value>,
    pub hints: Hints,
    pub level: Level,
    pub scope: Scope,
    pub staff_scope: Option<Scope>,
    /// Whether it may be called while nobody knows who the customer is.
    pub for_nobody: bool,
    /// Whether an idempotency key stands for its effect.
    pub takes_key: bool,
}

impl Spec {
    /// The specification for an agent that may send the customer context as an argument.
    pub fn with_context_argument(&self) -> Self {
        let mut spec = self.clone();
        let properties = spec.input_schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        properties[CONTEXT_ARGUMENT] = json!({
            "type": "string",
            "description": "Filled in by the host. Leave it empty; never invent or change it.",
        });
        spec
    }

    /// As lists of tools show it.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.hints.read_only,
                "destructiveHint": self.hints.destructive,
                "idempotentHint": self.hints.idempotent,
                "openWorldHint": self.hints.open_world,
            },
        })
    }
}

/// A tool's answer twice: as structured content, and as text.
#[derive(Debug, Clone)]
pub struct ToolReply {
    pub structured: Value,
    pub text: String,
}

/// The type-erased form of a [`Tool`].
#[async_trait]
pub(super) trait AnyTool: Send + Sync {
    fn spec(&self) -> Spec;
    fn own_patterns(&self) -> &'static [&'static str];
    fn instead_of(&self, argument: &str) -> Option<&'static str>;
    fn canonical(&self, arguments: &mut Map<String, Value>);
    async fn call(&self, desk: &Desk, call: &Call, arguments: Map<String, Value>) -> Result<ToolReply, ToolError>;
}

pub(super) fn boxed<T: Tool>(tool: T) -> Box<dyn AnyTool> {
    Box::new(Erased(tool))
}

struct Erased<T>(T);

#[async_trait]
impl<T: Tool> AnyTool for Erased<T> {
    fn spec(&self) -> Spec {
        let mut input_schema = schema::of::<T::Input>();
        self.0.refine(&mut input_schema);
        schema::let_optional_be_empty(&mut input_schema);
        Spec {
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            input_schema,
            output_schema: schema::output::<T::Output>(),
            hints: T::HINTS,
            level: T::LEVEL,
            scope: T::SCOPE,
            staff_scope: T::STAFF_SCOPE,
            for_nobody: T::FOR_NOBODY,
            takes_key: T::TAKES_KEY,
        }
    }

    fn own_patterns(&self) -> &'static [&'static str] {
        self.0.own_patterns()
    }

    fn instead_of(&self, argument: &str) -> Option<&'static str> {
        self.0.instead_of(argument)
    }

    fn canonical(&self, arguments: &mut Map<String, Value>) {
        self.0.canonical(arguments);
    }

    async fn call(&self, desk: &Desk, call: &Call, arguments: Map<String, Value>) -> Result<ToolReply, ToolError> {
        let input = serde_json::from_value(Value::Object(arguments)).map_err(|error| ToolError::arguments(&error))?;
        let output = self.0.call(desk, call, input).await?;
        let text = output.to_string();
        let structured = serde_json::to_value(&output).map_err(ToolError::Render)?;
        Ok(ToolReply { structured, text })
    }
}
