//! The gateway's routes: OpenAI's and Anthropic's under `/v1`, VX11's own under `/switch`.

mod arrange;
mod billing;
mod chat;
mod chat_stream;
mod completions;
mod completions_stream;
mod embeddings;
mod events;
mod failures;
mod headers;
mod held;
mod maintenance;
mod messages;
mod messages_stream;
mod models;
mod order;
mod passage;
mod pings;
mod providers;
mod refusal;
mod responses;
mod responses_stream;
mod rules;
mod targets;
mod text_completions;
mod usage;
mod way;
mod wishes;

use actix_web::web::{self, ServiceConfig};
use vx11_chassis::extract::BodyLimit;

use headers::Headers;
pub(crate) use rules::RULES;

/// Largest body of what is asked of a model: images travel in it.
const COMPLETION_BYTES: usize = 8 * 1024 * 1024;
/// Largest body of `/switch/chat`.
const CHAT_BYTES: usize = 1024 * 1024;

/// Adds every route.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let model = |path| web::resource(path).app_data(BodyLimit(COMPLETION_BYTES));
    config
        .service(model("/v1/chat/completions").route(web::post().to(completions::create_chat_completion)))
        .service(model("/v1/responses").route(web::post().to(responses::create_response)))
        .service(model("/v1/completions").route(web::post().to(text_completions::create_completion)))
        .service(model("/v1/embeddings").route(web::post().to(embeddings::create_embedding)))
        .service(model("/v1/messages").route(web::post().to(messages::create_message)))
        .service(model("/v1/messages/count_tokens").route(web::post().to(messages::count_tokens)))
        .service(web::resource("/v1/models").route(web::get().to(models::list_models)))
        // A model's name may have slashes in it.
        .service(web::resource("/v1/models/{id:.+}").route(web::get().to(models::find_model)))
        .service(web::resource("/switch/chat").app_data(BodyLimit(CHAT_BYTES)).route(web::post().to(chat::chat)))
        .service(web::resource("/switch/usage").route(web::get().to(usage::usage)))
        .service(web::resource("/switch/maintenance").route(web::post().to(maintenance::run_maintenance)))
        .service(web::resource("/switch/providers").route(web::get().to(providers::list_providers)));
}

/// The routes' document.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "VX11 switch", description = "The LLM gateway: picks a provider, fails over, streams."),
    paths(
        completions::create_chat_completion,
        responses::create_response,
        text_completions::create_completion,
        embeddings::create_embedding,
        messages::create_message,
        messages::count_tokens,
        models::list_models,
        models::find_model,
        chat::chat,
        providers::list_providers,
        usage::usage,
        maintenance::run_maintenance,
    ),
    components(schemas(vx11_contracts::switch::SwitchFrame, vx11_contracts::intervention::Held)),
    modifiers(&Headers)
)]
pub(crate) struct Document;
