//! Server-sent events, as documents describe them.

use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

/// One event of a stream whose `data` is a `T` in JSON: what a document says that `text/event-stream` holds. The
/// document names `T` among its schemas.
#[derive(Debug, ToSchema)]
pub struct SseEvent<T: ToSchema> {
    /// Where a stream can be taken up again.
    #[schema(value_type = String, nullable = false, required = false)]
    pub id: Option<String>,
    /// What kind of event it is.
    #[schema(value_type = String, nullable = false, required = false)]
    pub event: Option<String>,
    /// What it tells.
    #[schema(schema_with = json_text::<T>)]
    pub data: T,
}

/// One event of a stream in another wire's words: OpenAI's, Anthropic's, Gemini's.
#[derive(Debug, ToSchema)]
pub struct SseTextEvent {
    /// What kind of event it is, where the wire says so.
    #[schema(value_type = String, nullable = false, required = false)]
    pub event: Option<String>,
    /// JSON, or OpenAI's `[DONE]`.
    pub data: String,
}

fn json_text<T: ToSchema>() -> RefOr<Schema> {
    let told = Ref::from_schema_name(T::name());
    let text = ObjectBuilder::new().schema_type(Type::String).content_media_type("application/json");
    text.content_schema(Some(told)).into()
}
