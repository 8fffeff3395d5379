//! The tools: what `/api/v1` does with channels and posts, by the same functions.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use annals_commands::{
    ports::social::{PlatformMedia, SettingField},
    publishing::retry::{Doubling, RetryRequest},
};
use annals_domain::kernel::{IntegrationId, PostId};
use rmcp::{
    ErrorData, ServerHandler,
    handler::server::wrapper::Parameters,
    model::{CallToolResult, Implementation, ServerCapabilities, ServerConfig},
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::analytics::{self, AnalyticsInput};
use crate::{
    http::{ApiError, Caller, Page},
    publishing::{
        channels::{self, ChannelList},
        failed,
        input::{PostBody, member},
        media::{
            MediaFileView,
            upload::{FromUrlBody, Kept, fetched},
        },
        posts::{self, PostsQuery},
        slots::{self, SlotQuery, SlotView},
        views::{ChannelView, PostView},
    },
    state::AppState,
};

const INSTRUCTIONS: &str = "Annals publishes posts on the channels (accounts on platforms) of one organization. \
    List the channels first and describe one before writing for it. A post is a draft, is published now, or is \
    scheduled; times are RFC 3339 with an offset, or local times in `timezone`. Send an idempotencyKey with what \
    changes something, the same when you try again: it then happens once. Images come from upload_from_url; say \
    in `alt` what they show. What was published stays on the platforms \
    when it is deleted here. A delivery that is `unknown` may be there: retry_post asks the platform first.";

#[derive(Clone)]
pub(super) struct Tools {
    state: AppState,
    caller: Caller,
    /// The log's position after a tool that changed something; 0 before.
    position: Arc<AtomicU64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ChannelInput {
    /// A channel's id.
    id: Uuid,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PostInput {
    /// A post's id.
    id: Uuid,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreateInput {
    post: PostBody,
    /// 1 to 255 visible ASCII characters; the same for another try of the same call.
    idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UpdateInput {
    /// The post's id.
    id: Uuid,
    /// The post as it shall be, whole.
    post: PostBody,
    /// The version that was read: it fails if somebody has changed the post since.
    version: Option<u64>,
    /// 1 to 255 visible ASCII characters; the same for another try of the same call.
    idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UploadInput {
    file: FromUrlBody,
    /// 1 to 255 visible ASCII characters; the same for another try of the same call.
    idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RetryInput {
    /// The post's id.
    id: Uuid,
    /// Only on this channel; all that failed or are unknown if it is left out.
    channel: Option<Uuid>,
    /// Publish although the platform can't tell whether the post is there already. Ask a person first.
    #[serde(default)]
    confirm_may_double: bool,
}

#[derive(Serialize)]
struct Posts {
    posts: Vec<PostView>,
    page: Page,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    channel: ChannelView,
    /// Characters of a text, as the platform counts them.
    max_length: usize,
    /// Parts of a thread, the first included.
    max_thread_parts: usize,
    /// What of a part's files it takes; null: none.
    media: Option<PlatformMedia>,
    /// What a post may be told in its `integrations`' `settings`.
    settings: Vec<SettingField>,
}

#[tool_router]
impl Tools {
    pub(super) fn of(state: AppState, caller: Caller) -> Self {
        Self { state, caller, position: Arc::default() }
    }

    /// Where the log stood after what this call changed, if it changed anything.
    pub(super) fn position(&self) -> Option<u64> {
        Some(self.position.load(Ordering::Acquire)).filter(|position| *position > 0)
    }

    fn wrote(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    /// The platforms of this installation and the organization's channels.
    #[tool(annotations(title = "List channels", read_only_hint = true, open_world_hint = false))]
    async fn list_channels(&self) -> Result<CallToolResult, ErrorData> {
        told(self.channels().await)
    }

    /// A channel, and what its platform asks of a post.
    #[tool(annotations(title = "Describe a channel", read_only_hint = true, open_world_hint = false))]
    async fn describe_channel(
        &self,
        Parameters(input): Parameters<ChannelInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.describe(input.id).await)
    }

    /// Writes a post: keeps it as a draft, publishes it now, or schedules it.
    #[tool(annotations(title = "Write a post", destructive_hint = false, open_world_hint = true))]
    async fn create_post(
        &self,
        Parameters(input): Parameters<CreateInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.create(input).await)
    }

    /// Changes a draft or scheduled post: it will be as the input says.
    #[tool(annotations(title = "Change a post", destructive_hint = true, idempotent_hint = true))]
    async fn update_post(
        &self,
        Parameters(input): Parameters<UpdateInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.update(input).await)
    }

    /// Deletes a draft, cancels a scheduled post, takes anything else off the lists; what was published stays on
    /// the platforms.
    #[tool(annotations(title = "Delete a post", destructive_hint = true, idempotent_hint = true))]
    async fn delete_post(
        &self,
        Parameters(input): Parameters<PostInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.delete(input.id).await)
    }

    /// Publishes again what failed, and what the platform says is not there.
    #[tool(annotations(title = "Publish again", destructive_hint = false, open_world_hint = true))]
    async fn retry_post(
        &self,
        Parameters(input): Parameters<RetryInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.retry(input).await)
    }

    /// Fetches a file from a public https address into the media library: images, videos, PDF. A post shows it by
    /// its id, in `media`. The same bytes are kept once.
    #[tool(annotations(title = "Upload from a URL", destructive_hint = false, open_world_hint = true))]
    async fn upload_from_url(
        &self,
        Parameters(input): Parameters<UploadInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.upload(input).await)
    }

    /// The organization's posts: the calendar with dates, else the newest first.
    #[tool(annotations(title = "List posts", read_only_hint = true, open_world_hint = false))]
    async fn list_posts(
        &self,
        Parameters(query): Parameters<PostsQuery>,
    ) -> Result<CallToolResult, ErrorData> {
        told(self.list(query).await)
    }

    /// What platforms count of the organization's channels and posts, by day, and what was published.
    #[tool(annotations(title = "Figures", read_only_hint = true, open_world_hint = false))]
    async fn analytics(
        &self,
        Parameters(input): Parameters<AnalyticsInput>,
    ) -> Result<CallToolResult, ErrorData> {
        told(analytics::report(&self.state, &self.caller, input).await)
    }

    /// The next posting time of the organization at which nothing is due yet, of one channel or of all: what to
    /// schedule a post for. It is not held: another may schedule for it too.
    #[tool(annotations(title = "Find a free posting time", read_only_hint = true, open_world_hint = false))]
    async fn find_slot(&self, Parameters(query): Parameters<SlotQuery>) -> Result<CallToolResult, ErrorData> {
        told(self.slot(query).await)
    }

    /// One post, with where it stands on each channel.
    #[tool(annotations(title = "Show a post", read_only_hint = true, open_world_hint = false))]
    async fn get_post(&self, Parameters(input): Parameters<PostInput>) -> Result<CallToolResult, ErrorData> {
        told(self.show(input.id).await)
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("annals", env!("CARGO_PKG_VERSION")).with_title("Annals");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(server)
            .with_instructions(INSTRUCTIONS)
    }
}

/// What the tools do, with the rights that their routes ask for.
impl Tools {
    async fn channels(&self) -> Result<ChannelList, ApiError> {
        self.caller.require("integration", "read")?;
        channels::listed(&self.state, &self.caller).await
    }

    async fn describe(&self, id: Uuid) -> Result<Described, ApiError> {
        let channels = self.channels().await?;
        let channel = channels.connected.into_iter().find(|channel| channel.id == id);
        let channel = channel.ok_or_else(|| ApiError::not_found("channel"))?;
        let provider = self.state.platforms.get(&channel.platform);
        let info = provider.ok_or_else(|| ApiError::not_found("platform any more"))?.info();
        Ok(Described {
            channel,
            max_length: info.limits.text_chars_max,
            max_thread_parts: info.limits.thread_parts_max,
            media: info.limits.media.clone(),
            settings: info.settings.clone(),
        })
    }

    async fn create(&self, input: CreateInput) -> Result<PostView, ApiError> {
        self.caller.require("post", "create")?;
        let caller = self.commanding("create_post", input.idempotency_key.as_deref(), &input.post)?;
        let request = input.post.request(&self.state, &caller).await?;
        let commands = posts::commands(&self.state);
        let outcome = commands.create(&caller.context, member(&caller), request).await.map_err(failed)?;
        self.wrote(outcome.receipt.position);
        let id = outcome.value.ok_or_else(|| ApiError::not_found("post"))?;
        posts::as_written_and_warned(&self.state, &caller, id).await
    }

    async fn update(&self, input: UpdateInput) -> Result<PostView, ApiError> {
        self.caller.require("post", "update")?;
        let key = input.idempotency_key.as_deref();
        let mut caller = self.commanding("update_post", key, &(input.id, input.version, &input.post))?;
        caller.context.expected_version = input.version;
        let id = PostId::new(input.id);
        let request = input.post.request(&self.state, &caller).await?;
        let commands = posts::commands(&self.state);
        let outcome = commands.revise(&caller.context, member(&caller), id, request).await.map_err(failed)?;
        self.wrote(outcome.receipt.position);
        posts::as_written_and_warned(&self.state, &caller, id).await
    }

    async fn delete(&self, id: Uuid) -> Result<posts::DeletedPost, ApiError> {
        self.caller.require("post", "delete")?;
        let caller = self.commanding("delete_post", None, &id)?;
        let (deleted, position) = posts::remove(&self.state, &caller, PostId::new(id)).await?;
        self.wrote(position);
        Ok(deleted)
    }

    async fn retry(&self, input: RetryInput) -> Result<PostView, ApiError> {
        self.caller.require("post", "publish")?;
        let caller = self.commanding("retry_post", None, &input)?;
        let id = PostId::new(input.id);
        let request = RetryRequest {
            channel: input.channel.map(IntegrationId::new),
            doubling: if input.confirm_may_double { Doubling::MayHappen } else { Doubling::Never },
        };
        let commands = posts::commands(&self.state);
        let outcome = commands.retry(&caller.context, member(&caller), id, request).await.map_err(failed)?;
        self.wrote(outcome.receipt.position);
        posts::as_written(&self.state, &caller, id).await
    }

    async fn upload(&self, input: UploadInput) -> Result<MediaFileView, ApiError> {
        self.caller.require("media", "create")?;
        let caller = self.commanding("upload_from_url", input.idempotency_key.as_deref(), &input.file)?;
        let Kept { file, position, .. } = fetched(&self.state, caller, &input.file).await?;
        self.wrote(position);
        Ok(file)
    }

    async fn list(&self, query: PostsQuery) -> Result<Posts, ApiError> {
        self.caller.require("post", "read")?;
        let (posts, page) = posts::find_page(&self.state, &self.caller, &query).await?;
        Ok(Posts { posts, page })
    }

    async fn slot(&self, query: SlotQuery) -> Result<SlotView, ApiError> {
        self.caller.require("post", "read")?;
        slots::find(&self.state, &self.caller, &query).await
    }

    async fn show(&self, id: Uuid) -> Result<PostView, ApiError> {
        self.caller.require("post", "read")?;
        posts::get(&self.state, &self.caller, PostId::new(id)).await
    }

    /// The caller of a tool that changes something; `input` is what must be the same for a key's second use.
    fn commanding(&self, tool: &str, key: Option<&str>, input: &impl Serialize) -> Result<Caller, ApiError> {
        let mut request = format!("mcp {tool}\n").into_bytes();
        serde_json::to_writer(&mut request, input).map_err(|error| ApiError::internal(&error))?;
        self.caller.clone().by_mcp(key, request)
    }
}

/// A result, or a refusal in the words of the envelope: an assistant reads which field is at fault.
fn told<T: Serialize>(result: Result<T, ApiError>) -> Result<CallToolResult, ErrorData> {
    let value = match &result {
        Ok(value) => serde_json::to_value(value),
        Err(error) => {
            if let Some(cause) = &error.cause {
                tracing::error!(%cause, "a tool failed");
            }
            serde_json::to_value(error.body())
        }
    };
    let value = value.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(if result.is_ok() {
        CallToolResult::structured(value)
    } else {
        CallToolResult::structured_error(value)
    })
}
