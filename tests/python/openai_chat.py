"""The unmodified openai package at chat: tools, structured output, choices, retries. Arguments: base URL, API key."""

import asyncio
import json
import sys
from typing import Literal

import openai
from asserts import raised
from pydantic import BaseModel

base_url, key = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)


def said(text):
    return [{"role": "user", "content": text}]


def function(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}


ECHO = said("echo: hello from the SDK")

# Tools: two calls at a time, whole and in pieces, and the round that their results end.
tools = [function("get_weather", city={"type": "string"}, days={"type": "integer"}), function("get_time")]
question = said("call get_weather and call get_time")
called = client.chat.completions.create(model="mock", messages=question, tools=tools).choices[0]
assert called.finish_reason == "tool_calls", called
assert [call.function.name for call in called.message.tool_calls] == ["get_weather", "get_time"], called
weather = json.loads(called.message.tool_calls[0].function.arguments)
assert isinstance(weather["city"], str) and isinstance(weather["days"], int), weather
with client.chat.completions.stream(model="mock", messages=question, tools=tools) as stream:
    done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    gathered = stream.get_final_completion().choices[0]
assert [(event.index, event.name) for event in done] == [(0, "get_weather"), (1, "get_time")], done
assert done[0].parsed_arguments == weather, done
assert [call.id for call in gathered.message.tool_calls] == [call.id for call in called.message.tool_calls], gathered
results = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in called.message.tool_calls]
ended = client.chat.completions.create(
    model="mock", messages=[*question, called.message, *results], tools=tools, parallel_tool_calls=True
)
assert ended.choices[0].finish_reason == "stop" and ended.choices[0].message.content, ended
named = {"type": "function", "function": {"name": "get_time"}}
named = client.chat.completions.create(model="mock", messages=said("Hello"), tools=tools, tool_choice=named)
assert [call.function.name for call in named.choices[0].message.tool_calls] == ["get_time"], named


# Structured output: by a schema of one's own, parsed into a class, and streamed.
class City(BaseModel):
    zip: str
    area: int
    size: Literal["small", "large"]


schema = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": City.model_json_schema()}}
by_hand = client.chat.completions.create(model="mock", messages=said("Berlin"), response_format=schema)
berlin = City.model_validate_json(by_hand.choices[0].message.content)
parsed = client.chat.completions.parse(model="mock", messages=said("Berlin"), response_format=City)
assert parsed.choices[0].message.parsed == berlin, parsed
with client.chat.completions.stream(model="mock", messages=said("Berlin"), response_format=City) as stream:
    assert stream.until_done().get_final_completion().choices[0].message.parsed == berlin
loose = client.chat.completions.create(model="mock", messages=ECHO, response_format={"type": "json_object"})
assert isinstance(json.loads(loose.choices[0].message.content), dict), loose

# Several choices, an end by length, an end by a stop word.
several = client.chat.completions.create(model="mock", messages=said("Hello"), n=2)
assert [choice.index for choice in several.choices] == [0, 1], several
assert several.choices[0].message.content != several.choices[1].message.content, several
short = client.chat.completions.create(model="mock", messages=ECHO, max_tokens=2)
assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 2), short
stopped = client.chat.completions.create(model="mock", messages=ECHO, stop=[" from"])
assert (stopped.choices[0].finish_reason, stopped.choices[0].message.content) == ("stop", "hello"), stopped


# Many at a time, from an event loop.
async def crowd():
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as crowded:
        ask = crowded.chat.completions.create
        answers = await asyncio.gather(*(ask(model="mock", messages=said(f"echo: number {n}")) for n in range(20)))
        assert [one.choices[0].message.content for one in answers] == [f"number {n}" for n in range(20)], answers
        stream = await ask(model="mock", messages=ECHO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello from the SDK"


asyncio.run(crowd())


# Errors are of the classes that callers catch.
def asking(faults, **more):
    return lambda: client.chat.completions.create(model=f"mock+{faults}", messages=ECHO, **more)


limited = raised(openai.RateLimitError, asking("status=429,retry_after=7"))
assert limited.response.headers["retry-after"] == "7", limited.response.headers
raised(openai.InternalServerError, asking("status=500"))
assert raised(openai.BadRequestError, asking("context_length")).code == "context_length_exceeded"
assert raised(openai.BadRequestError, asking("content_policy")).code == "content_policy_violation"
assert raised(openai.APIError, lambda: list(asking("error_frame=2", stream=True)())).body
hurried = client.with_options(timeout=0.2).chat.completions
raised(openai.APITimeoutError, lambda: hurried.create(model="mock+hang", messages=ECHO))


# The package's own retries: after a passing failure as often as it may, after a refusal never.
def patient(faults, retries, **more):
    chat = client.with_options(max_retries=retries).chat.completions
    return chat.with_raw_response.create(model=f"mock+{faults},retry_after_ms=1", messages=ECHO, **more)


for status in (408, 409, 429, 500, 503):
    raw = patient(f"status={status},fail_first=2", 2)
    assert raw.retries_taken == 2, (status, raw.retries_taken)
    assert raw.parse().choices[0].message.content == "hello from the SDK", raw
raw = patient("status=503,fail_first=1", 2, stream=True)
assert raw.retries_taken == 1 and len(list(raw.parse())) > 2, raw.retries_taken
raised(openai.RateLimitError, lambda: patient("status=429,fail_first=3", 2))
refused = raised(openai.BadRequestError, lambda: patient("status=400,fail_first=1", 2))
assert refused.request.headers["x-stainless-retry-count"] == "0", refused.request.headers
print("OK")
