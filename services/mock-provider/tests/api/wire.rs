//! One conversation over any wire, and what comes back, read into the same words.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::mock::{Answer, Mock};

/// A wire, in each of its streamed forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    OpenAi,
    /// OpenAI's, at Azure's addresses.
    Azure,
    /// OpenAI's newer one.
    Responses,
    Anthropic,
    Gemini,
    GeminiArray,
}

/// A conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scenario {
    pub(crate) model: &'static str,
    /// `system`, `user`, `assistant`, or `tool` with what a call gave.
    pub(crate) messages: Vec<(&'static str, &'static str)>,
    /// Names, with schemas.
    pub(crate) tools: Vec<(&'static str, Value)>,
    /// The tool that must be called.
    pub(crate) tool: Option<&'static str>,
    pub(crate) limit: Option<u64>,
    pub(crate) stop: Option<&'static str>,
    pub(crate) thinks: bool,
    pub(crate) schema: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thought: String,
    pub(crate) calls: Vec<(String, Value)>,
    /// In OpenAI's words; empty where the answer does not say.
    pub(crate) ending: String,
    /// Prompt, cached, completion and reasoning tokens.
    pub(crate) usage: Option<[u64; 4]>,
}

/// The scenario in which the user says `text`.
pub(crate) fn user(text: &'static str) -> Scenario {
    Scenario { model: "mock", messages: vec![("user", text)], ..Scenario::default() }
}

impl Wire {
    pub(crate) const ALL: [Self; 6] =
        [Self::OpenAi, Self::Azure, Self::Responses, Self::Anthropic, Self::Gemini, Self::GeminiArray];

    /// As the log calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Azure => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini | Self::GeminiArray => "gemini",
        }
    }

    /// Asks for the answer to `scenario`, with these faults.
    pub(crate) fn request(self, mock: &Mock, scenario: &Scenario, faults: &str, stream: bool) -> RequestBuilder {
        let model = scenario.model;
        let (path, body) = match self {
            Self::OpenAi => ("/v1/chat/completions".to_owned(), openai(scenario, stream)),
            Self::Azure => {
                let mut body = openai(scenario, stream);
                body.as_object_mut().unwrap().remove("model");
                (format!("/openai/deployments/{model}/chat/completions?api-version=2024-10-21"), body)
            }
            Self::Responses => ("/v1/responses".to_owned(), responses(scenario, stream)),
            Self::Anthropic => ("/v1/messages".to_owned(), anthropic(scenario, stream)),
            Self::Gemini | Self::GeminiArray => {
                let method = match (stream, self) {
                    (false, _) => "generateContent",
                    (true, Self::Gemini) => "streamGenerateContent?alt=sse",
                    (true, _) => "streamGenerateContent",
                };
                (format!("/v1beta/models/{model}:{method}"), gemini(scenario))
            }
        };
        let request = mock.post(&path, body.to_string()).header("anthropic-version", "2023-06-01");
        if faults.is_empty() { request } else { request.header("x-mock-fault", faults) }
    }

    pub(crate) async fn ask(self, mock: &Mock, scenario: &Scenario, faults: &str, stream: bool) -> Answer {
        Answer::of(self.request(mock, scenario, faults, stream)).await
    }

    /// What a whole answer says.
    pub(crate) fn read(self, answer: &Answer) -> Said {
        assert_eq!(answer.status, 200, "{self:?}: {}", answer.body);
        let mut said = Said::default();
        self.add(&mut said, &answer.json());
        said
    }

    /// What a stream, or as much of it as came, says.
    pub(crate) fn read_stream(self, body: &str) -> Said {
        let mut said = Said::default();
        let mut arguments: Vec<String> = Vec::new();
        for chunk in self.chunks(body) {
            match self {
                Self::OpenAi | Self::Azure => add_openai_chunk(&mut said, &mut arguments, &chunk),
                Self::Responses => add_responses_event(&mut said, &mut arguments, &chunk),
                Self::Anthropic => add_anthropic_event(&mut said, &mut arguments, &chunk),
                Self::Gemini | Self::GeminiArray => self.add(&mut said, &chunk),
            }
        }
        for (call, text) in said.calls.iter_mut().zip(&arguments) {
            call.1 = serde_json::from_str(text).unwrap_or(Value::Null);
        }
        said
    }

    /// The chunks of a stream that are JSON.
    pub(crate) fn chunks(self, body: &str) -> Vec<Value> {
        if self == Self::GeminiArray {
            let elements = body.trim_start_matches('[').trim_end_matches(']').split(",\r\n");
            return elements.filter_map(|element| serde_json::from_str(element).ok()).collect();
        }
        let lines = body.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether a stream has its end mark.
    pub(crate) fn is_ended(self, body: &str) -> bool {
        match self {
            Self::OpenAi | Self::Azure => body.ends_with("data: [DONE]\n\n"),
            Self::Responses => {
                body.contains("event: response.completed\n") || body.contains("event: response.incomplete\n")
            }
            Self::Anthropic => body.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            Self::Gemini => body.contains("finishReason") && body.ends_with("\r\n\r\n"),
            Self::GeminiArray => serde_json::from_str::<Value>(body).is_ok() && body.contains("finishReason"),
        }
    }

    /// Status, class and message of an error; checks that it has its wire's shape.
    pub(crate) fn refusal(self, answer: &Answer) -> (u16, String, String) {
        let body = answer.json();
        let error = &body["error"];
        let class = match self {
            Self::OpenAi | Self::Azure | Self::Responses => {
                assert!(error.get("param").is_some() && error["type"].is_string(), "{body}");
                &error["code"]
            }
            Self::Anthropic => {
                assert_eq!(body["type"], "error", "{body}");
                assert_eq!(body["request_id"], answer.header("request-id"), "{body}");
                &error["type"]
            }
            Self::Gemini | Self::GeminiArray => {
                assert_eq!(error["code"], answer.status, "{body}");
                &error["status"]
            }
        };
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {body}")).to_owned();
        (answer.status, text(class), text(&error["message"]))
    }

    /// Adds what a whole answer says, or a chunk of Gemini's, which has the same shape.
    fn add(self, said: &mut Said, body: &Value) {
        match self {
            Self::OpenAi | Self::Azure => add_openai(said, body),
            Self::Responses => add_response(said, body),
            Self::Anthropic => add_anthropic(said, body),
            Self::Gemini | Self::GeminiArray => add_gemini(said, body),
        }
    }
}

fn numbers<const N: usize>(usage: &Value, pointers: [&str; N]) -> [u64; N] {
    pointers.map(|pointer| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0))
}

fn openai(scenario: &Scenario, stream: bool) -> Value {
    let messages: Vec<Value> =
        scenario.messages.iter().map(|(role, text)| json!({ "role": role, "content": text })).collect();
    let tools = scenario
        .tools
        .iter()
        .map(|(name, schema)| json!({ "type": "function", "function": { "name": name, "parameters": schema } }));
    json!({
        "model": scenario.model,
        "messages": messages,
        "stream": stream,
        "stream_options": stream.then(|| json!({ "include_usage": true })),
        "tools": tools.collect::<Vec<_>>(),
        "tool_choice": scenario.tool.map(|name| json!({ "type": "function", "function": { "name": name } })),
        "max_tokens": scenario.limit,
        "stop": scenario.stop,
        "reasoning_effort": scenario.thinks.then_some("low"),
        "response_format": scenario.schema.as_ref().map(
            |schema| json!({ "type": "json_schema", "json_schema": { "name": "it", "schema": schema } })),
    })
}

fn add_openai(said: &mut Said, body: &Value) {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    said.text = message["content"].as_str().unwrap_or_default().to_owned();
    said.thought = message["reasoning_content"].as_str().unwrap_or_default().to_owned();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let arguments = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        said.calls.push((function["name"].as_str().unwrap().to_owned(), arguments));
    }
    said.ending = choice["finish_reason"].as_str().unwrap().to_owned();
    said.usage = body.get("usage").map(openai_usage);
}

fn openai_usage(usage: &Value) -> [u64; 4] {
    let details = ["/prompt_tokens_details/cached_tokens", "/completion_tokens_details/reasoning_tokens"];
    let [prompt, cached, completion, reasoning] =
        numbers(usage, ["/prompt_tokens", details[0], "/completion_tokens", details[1]]);
    assert_eq!(usage["total_tokens"], prompt + completion);
    [prompt, cached, completion, reasoning]
}

fn add_openai_chunk(said: &mut Said, arguments: &mut Vec<String>, chunk: &Value) {
    let choice = &chunk["choices"][0];
    let delta = &choice["delta"];
    said.text.push_str(delta["content"].as_str().unwrap_or_default());
    said.thought.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        if let Some(name) = call["function"]["name"].as_str() {
            said.calls.push((name.to_owned(), Value::Null));
            arguments.push(String::new());
        }
        arguments.last_mut().unwrap().push_str(call["function"]["arguments"].as_str().unwrap());
    }
    said.ending.push_str(choice["finish_reason"].as_str().unwrap_or_default());
    if chunk["usage"].is_object() {
        said.usage = Some(openai_usage(&chunk["usage"]));
    }
}

fn responses(scenario: &Scenario, stream: bool) -> Value {
    let item = |(role, text): &(&str, &str)| match *role {
        "tool" => json!({ "type": "function_call_output", "call_id": "call_1", "output": text }),
        "assistant" => json!({ "type": "message", "role": role, "content": [{ "type": "output_text", "text": text }] }),
        role => json!({ "role": role, "content": [{ "type": "input_text", "text": text }] }),
    };
    let tool = |(name, schema): &(&str, Value)| json!({ "type": "function", "name": name, "parameters": schema });
    let schema = |schema| json!({ "format": { "type": "json_schema", "name": "it", "schema": schema } });
    json!({
        "model": scenario.model,
        "input": scenario.messages.iter().map(item).collect::<Vec<_>>(),
        "stream": stream,
        "tools": scenario.tools.iter().map(tool).collect::<Vec<_>>(),
        "tool_choice": scenario.tool.map(|name| json!({ "type": "function", "name": name })),
        "max_output_tokens": scenario.limit,
        "reasoning": scenario.thinks.then(|| json!({ "effort": "low" })),
        "text": scenario.schema.as_ref().map(schema),
    })
}

fn add_response(said: &mut Said, response: &Value) {
    assert_eq!(response["object"], "response", "{response}");
    for item in response["output"].as_array().unwrap() {
        let text = |field: &str| item[field][0]["text"].as_str().unwrap();
        match item["type"].as_str().unwrap() {
            "message" => said.text.push_str(text("content")),
            "reasoning" => said.thought.push_str(text("summary")),
            "function_call" => {
                let arguments = serde_json::from_str(item["arguments"].as_str().unwrap()).unwrap();
                said.calls.push((item["name"].as_str().unwrap().to_owned(), arguments));
            }
            other => panic!("no such item: {other}"),
        }
    }
    add_responses_end(said, response);
}

fn add_responses_end(said: &mut Said, response: &Value) {
    said.ending = match response["incomplete_details"]["reason"].as_str() {
        Some("max_output_tokens") => "length",
        Some("content_filter") => "content_filter",
        _ if said.calls.is_empty() => "stop",
        _ => "tool_calls",
    }
    .to_owned();
    said.usage = Some(&response["usage"]).filter(|usage| usage.is_object()).map(|usage| {
        let details = ["/input_tokens_details/cached_tokens", "/output_tokens_details/reasoning_tokens"];
        numbers(usage, ["/input_tokens", details[0], "/output_tokens", details[1]])
    });
}

fn add_responses_event(said: &mut Said, arguments: &mut Vec<String>, event: &Value) {
    let delta = event["delta"].as_str().unwrap_or_default();
    match event["type"].as_str().unwrap() {
        "response.output_text.delta" => said.text.push_str(delta),
        "response.reasoning_summary_text.delta" => said.thought.push_str(delta),
        "response.function_call_arguments.delta" => arguments.last_mut().unwrap().push_str(delta),
        "response.output_item.added" if event["item"]["type"] == "function_call" => {
            said.calls.push((event["item"]["name"].as_str().unwrap().to_owned(), Value::Null));
            arguments.push(String::new());
        }
        "response.completed" | "response.incomplete" => add_responses_end(said, &event["response"]),
        _ => {}
    }
}

fn anthropic(scenario: &Scenario, stream: bool) -> Value {
    let system = scenario.messages.iter().find(|(role, _)| *role == "system").map(|(_, text)| *text);
    let said = scenario.messages.iter().filter(|(role, _)| *role != "system");
    let said = said.map(|(role, text)| match *role {
        "tool" => json!({ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": text }] }] }),
        role => json!({ "role": role, "content": [{ "type": "text", "text": text }] }),
    });
    let mut body = json!({
        "model": scenario.model,
        "messages": said.collect::<Vec<_>>(),
        "max_tokens": scenario.limit.unwrap_or(100_000),
        "stream": stream,
    });
    let optional = [
        ("system", system.map(|text| json!(text))),
        ("stop_sequences", scenario.stop.map(|stop| json!([stop]))),
        ("tool_choice", scenario.tool.map(|name| json!({ "type": "tool", "name": name }))),
        ("thinking", scenario.thinks.then(|| json!({ "type": "enabled", "budget_tokens": 1024 }))),
        (
            "output_config",
            scenario.schema.as_ref().map(|schema| json!({ "format": { "type": "json_schema", "schema": schema } })),
        ),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let tools = scenario.tools.iter().map(|(name, schema)| json!({ "name": name, "input_schema": schema }));
    body["tools"] = tools.collect();
    body
}

fn add_anthropic(said: &mut Said, body: &Value) {
    for block in body["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => said.text.push_str(block["text"].as_str().unwrap()),
            "thinking" => {
                assert!(block["signature"].as_str().is_some_and(|signature| !signature.is_empty()));
                said.thought.push_str(block["thinking"].as_str().unwrap());
            }
            "tool_use" => said.calls.push((block["name"].as_str().unwrap().to_owned(), block["input"].clone())),
            other => panic!("no such block: {other}"),
        }
    }
    said.ending = anthropic_ending(body);
    said.usage = body.get("usage").map(anthropic_usage);
}

fn anthropic_usage(usage: &Value) -> [u64; 4] {
    let names =
        ["/input_tokens", "/cache_read_input_tokens", "/output_tokens", "/output_tokens_details/thinking_tokens"];
    let [input, cached, completion, reasoning] = numbers(usage, names);
    [input + cached, cached, completion, reasoning]
}

fn anthropic_ending(body: &Value) -> String {
    let ending = match body["stop_reason"].as_str().unwrap() {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        other => panic!("no such stop reason: {other}"),
    };
    ending.to_owned()
}

fn add_anthropic_event(said: &mut Said, inputs: &mut Vec<String>, event: &Value) {
    match event["type"].as_str().unwrap() {
        "message_start" => said.usage = event["message"].get("usage").map(anthropic_usage),
        "content_block_start" if event["content_block"]["type"] == "tool_use" => {
            said.calls.push((event["content_block"]["name"].as_str().unwrap().to_owned(), Value::Null));
            inputs.push(String::new());
        }
        "content_block_delta" => {
            let delta = &event["delta"];
            said.text.push_str(delta["text"].as_str().unwrap_or_default());
            said.thought.push_str(delta["thinking"].as_str().unwrap_or_default());
            if let Some(part) = delta["partial_json"].as_str() {
                inputs.last_mut().unwrap().push_str(part);
            }
        }
        "message_delta" => {
            said.ending = anthropic_ending(&event["delta"]);
            said.usage = event.get("usage").map(anthropic_usage);
        }
        _ => {}
    }
}

fn gemini(scenario: &Scenario) -> Value {
    let content = |(role, text): &(&str, &str)| match *role {
        "tool" => json!({ "role": "user", "parts": [
            { "functionResponse": { "name": "it", "response": { "result": text } } }] }),
        "assistant" => json!({ "role": "model", "parts": [{ "text": text }] }),
        _ => json!({ "role": "user", "parts": [{ "text": text }] }),
    };
    let system = scenario.messages.iter().find(|(role, _)| *role == "system").map(content);
    let contents = scenario.messages.iter().filter(|(role, _)| *role != "system").map(content);
    let declarations: Vec<Value> =
        scenario.tools.iter().map(|(name, schema)| json!({ "name": name, "parameters": schema })).collect();
    json!({
        "systemInstruction": system,
        "contents": contents.collect::<Vec<_>>(),
        "tools": [{ "functionDeclarations": declarations }],
        "toolConfig": scenario.tool.map(
            |name| json!({ "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": [name] } })),
        "generationConfig": {
            "maxOutputTokens": scenario.limit,
            "stopSequences": scenario.stop.map(|stop| [stop]),
            "thinkingConfig": { "includeThoughts": scenario.thinks },
            "responseMimeType": scenario.schema.as_ref().map(|_| "application/json"),
            "responseSchema": scenario.schema,
        },
    })
}

fn add_gemini(said: &mut Said, body: &Value) {
    let candidate = &body["candidates"][0];
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        let text = part["text"].as_str().unwrap_or_default();
        if part["thought"] == true {
            said.thought.push_str(text)
        } else {
            said.text.push_str(text)
        }
        if let Some(call) = part.get("functionCall") {
            said.calls.push((call["name"].as_str().unwrap().to_owned(), call["args"].clone()));
        }
    }
    said.ending = match candidate["finishReason"].as_str() {
        None => "",
        Some("STOP") if !said.calls.is_empty() => "tool_calls",
        Some("STOP") => "stop",
        Some("MAX_TOKENS") => "length",
        Some("SAFETY") => "content_filter",
        Some(other) => panic!("no such finish reason: {other}"),
    }
    .to_owned();
    said.usage = body.get("usageMetadata").map(|usage| {
        let names = ["/promptTokenCount", "/cachedContentTokenCount", "/candidatesTokenCount", "/thoughtsTokenCount"];
        let [prompt, cached, candidates, thoughts] = numbers(usage, names);
        assert_eq!(usage["totalTokenCount"], prompt + candidates + thoughts);
        [prompt, cached, candidates + thoughts, thoughts]
    });
}
