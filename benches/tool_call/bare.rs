//! The baselines: the same tool on the MCP library alone, answered from memory or from the same store.

use std::{io::Write, path::Path, sync::Arc};

use anyhow::{Context, Result};
use frontdesk::{
    desk::OrderSystem,
    domain::{Clock, OrderId},
    store::Store,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        stdio_pipes,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
        },
    },
};
use serde_json::Value;

/// The result of frontdesk for the sample order.
const TEXT: &str = "Order 1001 is shipped (handed to carrier). Placed 2026-11-14T09:12:00Z. Estimated delivery 2026-11-27. \
    Parcel: DHL 00340434161094042557 https://www.dhl.com/track?number=00340434161094042557. Items: 1 × Mechanical \
    keyboard, 2 × Wrist rest.";
const STRUCTURED: &str = r#"{"order_id":"1001","status":"shipped","status_detail":"handed to carrier",
    "placed_at":"2026-11-14T09:12:00Z","estimated_delivery":"2026-11-27","tracking":[{"carrier":"DHL",
    "number":"00340434161094042557","url":"https://www.dhl.com/track?number=00340434161094042557"}],
    "items":[{"name":"Mechanical keyboard","quantity":1},{"name":"Wrist rest","quantity":2}]}"#;

struct Bare {
    tools: Vec<Tool>,
    info: ServerConfig,
    structured: Value,
    store: Option<Store>,
}

impl Bare {
    /// With a store the order is read from it; without one the result is constant.
    fn new(store: Option<&Path>) -> Result<Arc<Self>> {
        let store = store.map(|path| Store::open(path, Clock::system())).transpose()?;
        let specs = frontdesk::tools::specs(&Default::default(), frontdesk::tools::OneTimeCodes::Disabled)?;
        let tools = specs.into_iter().map(|spec| {
            Tool::new(spec.name, spec.description, Arc::new(spec.input_schema))
                .with_title(spec.title)
                .with_raw_output_schema(Arc::new(spec.output_schema))
        });
        let info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("bare", "0"));
        Ok(Arc::new(Self { tools: tools.collect(), info, structured: serde_json::from_str(STRUCTURED)?, store }))
    }
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        self.info.clone()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut result = CallToolResult::success(vec![ContentBlock::text(TEXT)]);
        let failed = |_| ErrorData::internal_error("the store failed", None);
        result.structured_content = Some(match &self.store {
            None => self.structured.clone(),
            Some(store) => {
                let id = OrderId::parse("1001").map_err(|_| ErrorData::invalid_params("no order id", None))?;
                let order = store.find(&id).await.map_err(failed)?;
                serde_json::to_value(order).unwrap_or_default()
            }
        });
        Ok(result.into())
    }
}

pub async fn http(store: Option<&Path>) -> Result<()> {
    let bare = Bare::new(store)?;
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service: StreamableHttpService<Arc<Bare>, NeverSessionManager> =
        StreamableHttpService::new(move || Ok(bare.clone()), Arc::default(), config);
    let router = axum::Router::new().route_service("/mcp", service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "listening on http://{}/mcp", listener.local_addr()?)?;
    axum::serve(listener, router).await.context("failed to serve")
}

pub async fn stdio() -> Result<()> {
    Bare::new(None)?.serve(stdio_pipes()).await?.waiting().await?;
    Ok(())
}
