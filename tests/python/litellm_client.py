"""LiteLLM's unmodified Python client against the edge. Arguments: base URL, API key."""

import json
import os
import sys

import loopback  # noqa: F401
from asserts import raised

# Else it fetches a price list when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

base_url, key = sys.argv[1:]
litellm.suppress_debug_info = True
server = {"api_base": base_url, "api_key": key, "max_retries": 0}


def said(text):
    return [{"role": "user", "content": text}]


def ask(model="openai/mock", messages=said("echo: hello from the SDK"), **more):
    return litellm.completion(model=model, messages=messages, **{**server, **more})


# Whole and streamed.
whole = ask()
assert whole.choices[0].message.content == "hello from the SDK", whole
assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("stop", 4), whole
chunks = list(ask(stream=True, stream_options={"include_usage": True}))
streamed = litellm.stream_chunk_builder(chunks)
assert len(chunks) > 4 and streamed.choices[0].message.content == "hello from the SDK", chunks
assert streamed.usage.total_tokens == whole.usage.total_tokens, streamed.usage

# Tools, whole and in pieces.
weather = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
tools = [
    {"type": "function", "function": {"name": "get_weather", "parameters": weather}},
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
]
question = said("call get_weather and call get_time")
called = ask(messages=question, tools=tools).choices[0].message
assert [call.function.name for call in called.tool_calls] == ["get_weather", "get_time"], called
pieces = litellm.stream_chunk_builder(list(ask(messages=question, tools=tools, stream=True)))
gathered = pieces.choices[0].message
assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in gathered.tool_calls] == [
    (call.id, call.function.name, json.loads(call.function.arguments)) for call in called.tool_calls
], gathered
results = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in called.tool_calls]
ended = ask(messages=[*question, called, *results], tools=tools)
assert ended.choices[0].message.content and not ended.choices[0].message.tool_calls, ended

# Structured output, embeddings, text completions, responses.
schema = {"type": "json_schema", "json_schema": {"name": "weather", "schema": weather}}
structured = ask(messages=said("Berlin"), response_format=schema)
assert json.loads(structured.choices[0].message.content).keys() == {"city", "days"}, structured
vectors = litellm.embedding(model="openai/mock", input=["one", "two"], **server)
one, two = (vector["embedding"] for vector in vectors.data)
assert len(one) == len(two) > 0 and one != two and vectors.usage.prompt_tokens > 0, vectors
text = litellm.text_completion(model="text-completion-openai/mock", prompt="echo: hello from the SDK", **server)
assert text.choices[0].text == "hello from the SDK", text
response = litellm.responses(model="openai/mock", input="echo: hello from the SDK", **server)
assert response.output[0].content[0].text == "hello from the SDK", response


# Errors are of the classes that callers catch, also where only the error's code tells them apart.
raised(litellm.AuthenticationError, lambda: ask(api_key="wrong"))
raised(litellm.NotFoundError, lambda: ask("openai/no-such-model"))
raised(litellm.BadRequestError, lambda: ask(messages=[]))
for faults, error in [
    ("context_length", litellm.ContextWindowExceededError),
    ("content_policy", litellm.ContentPolicyViolationError),
    ("status=429", litellm.RateLimitError),
    ("status=500", litellm.InternalServerError),
    ("status=503", litellm.ServiceUnavailableError),
]:
    raised(error, lambda: ask(f"openai/mock+{faults}"))
for faults in ("cut=2", "error_frame=2"):
    raised(litellm.exceptions.MidStreamFallbackError, lambda: list(ask(f"openai/mock+{faults}", stream=True)))

# Retries.
for status in (429, 503):
    again = ask(f"openai/mock+status={status},retry_after_ms=1,fail_first=2", max_retries=2)
    assert again.choices[0].message.content == "hello from the SDK", again
raised(litellm.RateLimitError, lambda: ask("openai/mock+status=429,retry_after_ms=1,fail_first=3", max_retries=2))
print("OK")
