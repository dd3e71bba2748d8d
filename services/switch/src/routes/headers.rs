//! The headers of requests and of answers, for the document: each is described once, and every address that has it
//! refers to that.

use std::collections::BTreeMap;

use utoipa::Modify;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Object, ObjectBuilder, OpenApi, Ref, RefOr, Required, Type};
use vx11_contracts::headers;

/// Completes the document of the gateway's routes.
pub(super) struct Headers;

/// A header, and where it is.
struct Described {
    name: &'static str,
    kind: Type,
    form: Form,
    description: &'static str,
    of: Of,
}

/// What a header's value can be, beyond its type.
#[derive(Clone, Copy)]
enum Form {
    Any,
    OneOf(&'static [&'static str]),
    AtLeast(i32),
}

/// Which requests may have a header, or which answers.
#[derive(Clone, Copy)]
enum Of {
    /// All.
    Every,
    /// Those of OpenAI's and Anthropic's addresses.
    V1,
    /// Those and what a provider may be asked for elsewhere.
    V1OrAsking,
    /// Those of Anthropic's addresses.
    Anthropic,
    /// Those for which a provider may be asked.
    Asking,
    /// Those for which a provider may be asked, at OpenAI's and Anthropic's addresses.
    AskingV1,
    /// What a provider has answered.
    Answered,
    /// Those that say: a person looks at it first.
    Held,
    /// Those that say: later.
    Later,
}

const OF_REQUESTS: [Described; 17] =
    [
        said(headers::PROVIDER, Type::String, "Ask this provider and no other.", Of::Asking),
        said(headers::MODEL, Type::String, "Route by this model in place of the body's.", Of::AskingV1),
        said(headers::FALLBACK, Type::String, "`off`: ask nobody but the first choice.", Of::Asking)
            .form(Form::OneOf(&["on", "off"])),
        said(headers::PRIORITY, Type::String, "Who goes first where a provider is busy.", Of::Asking)
            .form(Form::OneOf(&["interactive", "normal", "batch"])),
        said(headers::SESSION_ID, Type::String, "The conversation, for sticky routes.", Of::Asking),
        said(headers::ORG, Type::String, "With the shared token: the organisation that asks.", Of::Asking),
        said(headers::CACHE, Type::String, "`off`: neither answered from the cache nor kept.", Of::AskingV1),
        said("cache-control", Type::String, "`no-store`, `no-cache` or `max-age`, of the cache.", Of::AskingV1),
        said(headers::TIMEOUT_MS, Type::Integer, "Longest time for everything, a stream included.", Of::Asking)
            .form(Form::AtLeast(1)),
        said(headers::DEADLINE_MS, Type::Integer, "The same, and 0 has passed; the earlier one counts.", Of::Asking)
            .form(Form::AtLeast(0)),
        said(headers::BEGIN_TIMEOUT_MS, Type::Integer, "Longest wait for the answer to begin.", Of::Asking)
            .form(Form::AtLeast(1)),
        said(headers::TTFT_TIMEOUT_MS, Type::Integer, "Longest wait for a stream's first token.", Of::Asking)
            .form(Form::AtLeast(1)),
        said(headers::CONNECT_TIMEOUT_MS, Type::Integer, "Longest wait for a new connection.", Of::Asking)
            .form(Form::AtLeast(1)),
        said(headers::IDLE_TIMEOUT_MS, Type::Integer, "Longest wait for a stream's next token.", Of::Asking)
            .form(Form::AtLeast(1)),
        said(headers::INTERVENTION, Type::String, "The intervention that a held request comes back with.", Of::Asking),
        said(headers::PREFER, Type::String, "`respond-async`, `wait=N`: how long a held request waits.", Of::Asking),
        said("idempotency-key", Type::String, "A held request of the same name is asked about once.", Of::Asking),
    ];

const OF_ANSWERS: [Described; 21] = [
    said(headers::CORRELATION_ID, Type::String, "Ties together everything that the request caused.", Of::Every),
    said(
        headers::REQUEST_ID,
        Type::String,
        "The provider's name for it; under `/v1` else the correlation id.",
        Of::V1OrAsking,
    ),
    said(headers::ANTHROPIC_REQUEST_ID, Type::String, "As `x-request-id`.", Of::Anthropic),
    said(headers::PROVIDER, Type::String, "Who answered, or was tried last.", Of::Asking),
    said(headers::MODEL, Type::String, "The model that answered, as its provider knows it.", Of::Asking),
    said(headers::ATTEMPTS, Type::Integer, "How many calls to providers the answer took.", Of::Asking),
    said(headers::OVERHEAD_MS, Type::Number, "What the gateway itself took until the head, in ms.", Of::Asking),
    said(headers::CACHE, Type::String, "`hit`, `miss` or `bypass`, where there is a cache.", Of::Asking),
    said("age", Type::Integer, "With a hit: seconds since the answer came.", Of::Answered),
    said(headers::COST_USD, Type::Number, "What the answer cost in US dollars; not on a stream.", Of::Answered),
    said("retry-after", Type::String, "When it makes sense to ask again: in seconds, or a date.", Of::Later),
    said(headers::RETRY_AFTER_MS, Type::Integer, "In how many milliseconds it does.", Of::Later),
    said("location", Type::String, "Where it is decided.", Of::Held),
    said(headers::PREFERENCE_APPLIED, Type::String, "What was heeded of `prefer`.", Of::Held),
    said(headers::INTERVENTION, Type::String, "The intervention that holds it, or has let it go on.", Of::Held),
    said(headers::RATELIMIT_REQUESTS[0], Type::Integer, "The limit of the key with the least requests left.", Of::V1),
    said(headers::RATELIMIT_REQUESTS[1], Type::Integer, "How many requests it has left.", Of::V1),
    said(headers::RATELIMIT_REQUESTS[2], Type::String, "When it is whole again, such as `41s`.", Of::V1),
    said(headers::RATELIMIT_TOKENS[0], Type::Integer, "The limit of the key with the least tokens left.", Of::V1),
    said(headers::RATELIMIT_TOKENS[1], Type::Integer, "How many tokens it has left.", Of::V1),
    said(headers::RATELIMIT_TOKENS[2], Type::String, "When it is whole again, such as `41s`.", Of::V1),
];

const fn said(name: &'static str, kind: Type, description: &'static str, of: Of) -> Described {
    Described { name, kind, form: Form::Any, description, of }
}

impl Described {
    const fn form(self, form: Form) -> Self {
        let Self { name, kind, description, of, .. } = self;
        Self { name, kind, form, description, of }
    }

    fn schema(&self) -> Object {
        let schema = ObjectBuilder::new().schema_type(self.kind.clone());
        match self.form {
            Form::Any => schema.build(),
            Form::OneOf(words) => schema.enum_values(Some(words.iter().copied())).build(),
            Form::AtLeast(least) => schema.minimum(Some(least)).build(),
        }
    }
}

impl Of {
    /// Whether requests to `path` may have it.
    fn is_asked_at(self, path: &str) -> bool {
        let is_v1 = path.starts_with("/v1/");
        let asks = path == "/switch/chat" || is_v1 && !path.starts_with("/v1/models");
        match self {
            Self::Every | Self::Later => true,
            Self::V1 => is_v1,
            Self::V1OrAsking => is_v1 || asks,
            Self::Anthropic => path.starts_with("/v1/messages"),
            Self::Asking | Self::Answered | Self::Held => asks,
            Self::AskingV1 => asks && is_v1,
        }
    }

    /// Whether answers with `status` from `path` may have it.
    fn is_answered_at(self, path: &str, status: &str) -> bool {
        let says_nothing_of_the_way = path == "/v1/messages/count_tokens" && status == "200";
        self.is_asked_at(path)
            && match self {
                Self::Asking | Self::AskingV1 => !says_nothing_of_the_way,
                Self::Answered => status == "200" && !says_nothing_of_the_way,
                Self::Held => matches!(status, "200" | "202") && !says_nothing_of_the_way,
                Self::Later => matches!(status, "202" | "429" | "503" | "default"),
                Self::Every | Self::V1 | Self::V1OrAsking | Self::Anthropic => true,
            }
    }
}

impl Modify for Headers {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.parameters.extend(OF_REQUESTS.iter().map(|said| (said.name.to_owned(), parameter(said).into())));
        components.headers.extend(OF_ANSWERS.iter().map(|said| (said.name.to_owned(), header(said).into())));
        for (path, item) in &mut openapi.paths.paths {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
}

fn complete(path: &str, operation: &mut Operation) {
    let of_request = OF_REQUESTS.iter().filter(|said| said.of.is_asked_at(path));
    let of_request = of_request.map(|said| RefOr::Ref(Ref::new(format!("#/components/parameters/{}", said.name))));
    let of_request: Vec<_> = of_request.collect();
    if !of_request.is_empty() {
        operation.parameters.get_or_insert_default().extend(of_request);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let of_answer = OF_ANSWERS.iter().filter(|said| said.of.is_answered_at(path, status));
        let of_answer = of_answer
            .map(|said| (said.name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{}", said.name)))));
        response.headers.extend(of_answer.collect::<BTreeMap<_, _>>());
    }
}

fn parameter(said: &Described) -> Parameter {
    ParameterBuilder::new()
        .name(said.name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(said.description))
        .schema(Some(said.schema()))
        .build()
}

fn header(said: &Described) -> Header {
    HeaderBuilder::new().schema(Some(said.schema())).description(Some(said.description)).build()
}
