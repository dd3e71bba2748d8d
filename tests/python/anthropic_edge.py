"""The unmodified anthropic package at the edge's /v1/messages. Arguments: base URL, API key."""

import asyncio
import sys

import anthropic
from asserts import raised

base_url, key = sys.argv[1:]
client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)


def said(text):
    return [{"role": "user", "content": text}]


ECHO = said("echo: hello from the SDK")
plain = {"model": "mock", "max_tokens": 1000}

# Whole, and as a stream, by the helper and event by event.
whole = client.messages.create(messages=ECHO, system="be brief", **plain)
assert [block.text for block in whole.content] == ["hello from the SDK"], whole
assert (whole.stop_reason, whole.role, whole.usage.output_tokens) == ("end_turn", "assistant", 4), whole
with client.messages.stream(messages=ECHO, system="be brief", **plain) as stream:
    text = "".join(stream.text_stream)
    streamed = stream.get_final_message()
assert text == streamed.content[0].text == "hello from the SDK", streamed
assert streamed.stop_reason == "end_turn", streamed
assert streamed.usage.input_tokens == whole.usage.input_tokens > 0, (streamed.usage, whole.usage)
assert streamed.usage.output_tokens == whole.usage.output_tokens, streamed.usage
kinds = [event.type for event in client.messages.create(messages=ECHO, stream=True, **plain)]
assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds

# Ends by length and by a stop sequence.
short = client.messages.create(model="mock", max_tokens=2, messages=ECHO)
assert (short.stop_reason, short.content[0].text) == ("max_tokens", "hello from"), short
stopped = client.messages.create(messages=ECHO, stop_sequences=[" from"], **plain)
assert stopped.content[0].text == "hello", stopped

# Tools: two calls, whole and in pieces, and the round that their results end.
weather = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}
tools = [weather, {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}]
question = said("call get_weather and call get_time")
called = client.messages.create(messages=question, tools=tools, **plain)
calls = [block for block in called.content if block.type == "tool_use"]
assert called.stop_reason == "tool_use" and [call.name for call in calls] == ["get_weather", "get_time"], called
assert isinstance(calls[0].input["city"], str) and isinstance(calls[0].input["days"], int), calls
with client.messages.stream(messages=question, tools=tools, **plain) as stream:
    gathered = stream.get_final_message()
assert [(call.name, call.input) for call in gathered.content if call.type == "tool_use"] == [
    (call.name, call.input) for call in calls
], gathered
results = [{"type": "tool_result", "tool_use_id": call.id, "content": "fine"} for call in calls]
history = [*question, {"role": "assistant", "content": called.content}, {"role": "user", "content": results}]
ended = client.messages.create(messages=history, tools=tools, **plain)
assert ended.stop_reason == "end_turn" and ended.content[0].text, ended
named = client.messages.create(
    messages=said("Hello"), tools=tools, tool_choice={"type": "tool", "name": "get_time"}, **plain
)
assert [block.name for block in named.content if block.type == "tool_use"] == ["get_time"], named

counted = client.messages.count_tokens(model="mock", messages=ECHO)
assert counted.input_tokens > 0, counted
assert client.messages.count_tokens(model="mock", messages=ECHO, system="be brief").input_tokens > counted.input_tokens


# Many at a time, from an event loop.
async def crowd():
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0) as crowded:
        ask = crowded.messages.create
        answers = await asyncio.gather(*(ask(messages=said(f"echo: number {n}"), **plain) for n in range(20)))
        assert [one.content[0].text for one in answers] == [f"number {n}" for n in range(20)], answers


asyncio.run(crowd())


# Errors are of the classes that callers catch.
def kind(refusal):
    return refusal.body["error"]["type"]


def asking(faults, **more):
    return lambda: client.messages.create(model=f"mock+{faults}", max_tokens=1000, messages=ECHO, **more)


stranger = anthropic.Anthropic(base_url=base_url, api_key="wrong", max_retries=0)
refused = raised(anthropic.AuthenticationError, lambda: stranger.messages.create(messages=ECHO, **plain))
assert kind(refused) == "authentication_error", refused.body
unknown = raised(
    anthropic.NotFoundError, lambda: client.messages.create(model="no-such-model", max_tokens=9, messages=ECHO)
)
assert kind(unknown) == "not_found_error" and "no-such-model" in unknown.message, unknown.body
assert unknown.request_id is None or isinstance(unknown.request_id, str)
empty = raised(anthropic.BadRequestError, lambda: client.messages.create(messages=[], **plain))
assert kind(empty) == "invalid_request_error", empty.body
limited = raised(anthropic.RateLimitError, asking("status=429,retry_after=7"))
assert (kind(limited), limited.response.headers["retry-after"]) == ("rate_limit_error", "7"), limited.body
raised(anthropic.InternalServerError, asking("status=500"))
assert kind(raised(anthropic.BadRequestError, asking("context_length"))) == "invalid_request_error"
hurried = client.with_options(timeout=0.2).messages
raised(anthropic.APITimeoutError, lambda: hurried.create(model="mock+hang", max_tokens=9, messages=ECHO))
for fault in ("cut=2", "error_frame=2"):
    broken = raised(anthropic.APIStatusError, lambda: list(asking(fault, stream=True)()))
    assert kind(broken) == "api_error", broken.body


# The package's own retries: after a passing failure as often as it may, after a refusal never.
def patient(faults, retries, **more):
    messages = client.with_options(max_retries=retries).messages
    model = f"mock+{faults},retry_after_ms=1"
    return messages.with_raw_response.create(model=model, max_tokens=1000, messages=ECHO, **more)


for status in (408, 409, 429, 500, 503):
    raw = patient(f"status={status},fail_first=2", 2)
    assert raw.retries_taken == 2, (status, raw.retries_taken)
    assert raw.parse().content[0].text == "hello from the SDK", raw
raw = patient("status=503,fail_first=1", 2, stream=True)
assert raw.retries_taken == 1 and len(list(raw.parse())) > 4, raw.retries_taken
raised(anthropic.RateLimitError, lambda: patient("status=429,fail_first=3", 2))
refused = raised(anthropic.BadRequestError, lambda: patient("status=400,fail_first=1", 2))
assert refused.request.headers["x-stainless-retry-count"] == "0", refused.request.headers
print("OK")
