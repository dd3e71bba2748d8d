"""LiteLLM's unmodified Python client against the edge. Arguments: base URL, API key, models."""

import json
import os
import sys

import loopback  # noqa: F401
from asserts import raised
from kinds import can, kind

# Else it fetches a price list when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

base_url, key, *models = sys.argv[1:]
litellm.suppress_debug_info = True
server = {"api_base": base_url, "api_key": key, "max_retries": 0}


def said(text):
    return [{"role": "user", "content": text}]


ECHO = said("echo: hello from the SDK")


# The first name in the model is what LiteLLM takes the server for.
def ask(model, messages=ECHO, **more):
    return litellm.completion(model=f"openai/{model}", messages=messages, **{**server, **more})


def chats_are_whole_and_streamed(model):
    whole = ask(model)
    assert whole.choices[0].message.content == "hello from the SDK", whole
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("stop", 4), whole
    chunks = list(ask(model, stream=True, stream_options={"include_usage": True}))
    streamed = litellm.stream_chunk_builder(chunks)
    assert len(chunks) > 4 and streamed.choices[0].message.content == "hello from the SDK", chunks
    assert streamed.usage.total_tokens == whole.usage.total_tokens, streamed.usage


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}


# Whole and in pieces.
def tools_are_called(model):
    tools = [
        {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
        {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
    ]
    question = said("call get_weather and call get_time")
    called = ask(model, question, tools=tools).choices[0].message
    assert [call.function.name for call in called.tool_calls] == ["get_weather", "get_time"], called
    gathered = litellm.stream_chunk_builder(list(ask(model, question, tools=tools, stream=True))).choices[0].message
    assert [(call.function.name, json.loads(call.function.arguments)) for call in gathered.tool_calls] == [
        (call.function.name, json.loads(call.function.arguments)) for call in called.tool_calls
    ], gathered
    assert len({call.id for call in gathered.tool_calls}) == 2, gathered
    results = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in called.tool_calls]
    ended = ask(model, [*question, called, *results], tools=tools)
    assert ended.choices[0].message.content and not ended.choices[0].message.tool_calls, ended


def other_addresses_are_found(model):
    schema = {"type": "json_schema", "json_schema": {"name": "weather", "schema": WEATHER}}
    structured = ask(model, said("Berlin"), response_format=schema)
    assert json.loads(structured.choices[0].message.content).keys() == {"city", "days"}, structured
    prompt = "echo: hello from the SDK"
    text = litellm.text_completion(model=f"text-completion-openai/{model}", prompt=prompt, **server)
    assert text.choices[0].text == "hello from the SDK", text
    response = litellm.responses(model=f"openai/{model}", input=prompt, **server)
    assert response.output[0].content[0].text == "hello from the SDK", response


def texts_are_embedded(model):
    def embed():
        return litellm.embedding(model=f"openai/{model}", input=["one", "two"], **server)

    if not can(model, "embeddings"):
        raised(litellm.BadRequestError, embed)
        return
    vectors = embed()
    one, two = (vector["embedding"] for vector in vectors.data)
    assert len(one) == len(two) > 0 and one != two and vectors.usage.prompt_tokens > 0, vectors


# Also where only the error's code tells them apart.
def errors_are_of_the_classes_that_callers_catch(model):
    raised(litellm.BadRequestError, lambda: ask(model, []))
    for faults, error in [
        ("context_length", litellm.ContextWindowExceededError),
        ("status=429", litellm.RateLimitError),
        ("status=500", litellm.InternalServerError),
        ("status=503", litellm.ServiceUnavailableError),
    ]:
        raised(error, lambda: ask(f"{model}+{faults}"))
    # Where a refusal to answer is an error; in the other wires it is an answer.
    if kind(model) in ("openai", "azure_openai"):
        raised(litellm.ContentPolicyViolationError, lambda: ask(f"{model}+content_policy"))
    else:
        assert ask(f"{model}+content_policy").choices[0].finish_reason == "content_filter"
    for faults in ("cut=2", "error_frame=2"):
        raised(litellm.exceptions.MidStreamFallbackError, lambda: list(ask(f"{model}+{faults}", stream=True)))


def retries_help(model, pause):
    def patient(status, times):
        return ask(f"{model}+status={status},retry_after_ms={pause},fail_first={times}", max_retries=2)

    for status in (429, 503):
        assert patient(status, 2).choices[0].message.content == "hello from the SDK"
    raised(litellm.RateLimitError, lambda: patient(429, 3))


# The mock counts the requests of one plan, so each model has its own, by the pause.
for pause, model in enumerate(models, 1):
    chats_are_whole_and_streamed(model)
    tools_are_called(model)
    other_addresses_are_found(model)
    texts_are_embedded(model)
    errors_are_of_the_classes_that_callers_catch(model)
    retries_help(model, pause)
raised(litellm.AuthenticationError, lambda: ask("mock", api_key="wrong"))
raised(litellm.NotFoundError, lambda: ask("no-such-model"))
print("OK")
