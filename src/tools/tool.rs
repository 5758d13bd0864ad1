//! What a tool is: a trait to write one, and its type-erased form for the registry.

use std::fmt::Display;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{error::ToolError, schema};
use crate::{
    desk::{Call, Desk},
    domain::{Level, Scope},
};

/// A tool. Its input is flat, because half of the clients break on anything else.
#[async_trait]
pub(super) trait Tool: Send + Sync + 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    /// For the model: what the tool does, when to use it, and when not.
    const DESCRIPTION: &'static str;
    const HINTS: Hints;
    /// What the customer has to have proven, unless the configuration says otherwise.
    const LEVEL: Level;
    /// What the agent's token has to allow.
    const SCOPE: Scope;
    /// What the token of a member of staff has to allow, for a tool that they may call without a customer.
    const STAFF_SCOPE: Option<Scope> = None;

    type Input: DeserializeOwned + JsonSchema + Send;
    /// `Display` is the text rendering for clients that show no structured content.
    type Output: Serialize + JsonSchema + Display;

    /// Adds to the input schema what the configuration decides.
    fn refine(&self, _input_schema: &mut Map<String, Value>) {}

    /// Properties whose form the tool judges itself: it takes more than their published pattern says.
    fn own_forms(&self) -> &'static [&'static str] {
        &[]
    }

    /// What to do instead of sending an argument that the tool does not have, where models try one.
    fn instead_of(&self, _argument: &str) -> Option<&'static str> {
        None
    }

    /// Writes arguments that mean the same in the same way, so that a repeat of a request is recognised.
    fn canonical(&self, _arguments: &mut Map<String, Value>) {}

    async fn call(&self, desk: &Desk, call: &Call, input: Self::Input) -> Result<Self::Output, ToolError>;
}

/// The four annotations of MCP. They are hints, and here they are true.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

/// What a client is told of a tool.
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
}

/// What a tool answers: the same thing twice, for programs and for reading.
#[derive(Debug, Clone)]
pub struct ToolReply {
    pub structured: Value,
    pub text: String,
}

/// A tool whose types are erased.
#[async_trait]
pub(super) trait AnyTool: Send + Sync {
    fn spec(&self) -> Spec;
    fn own_forms(&self) -> &'static [&'static str];
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
        }
    }

    fn own_forms(&self) -> &'static [&'static str] {
        self.0.own_forms()
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
