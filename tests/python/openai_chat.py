"""The unmodified openai package at chat: tools, structure, choices, retries. Arguments: base URL, API key, models."""

import asyncio
import json
import sys
from typing import Literal

import openai
from asserts import raised
from kinds import can, kind
from pydantic import BaseModel
from sdk import hold, retries_are_counted

base_url, key, *models = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
create = client.chat.completions.create


def said(text):
    return [{"role": "user", "content": text}]


def function(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}


ECHO = said("echo: hello from the SDK")


# Two calls at a time, whole and in pieces, and the round that their results end.
def tools_are_called(model):
    tools = [function("get_weather", city={"type": "string"}, days={"type": "integer"}), function("get_time")]
    question = said("call get_weather and call get_time")
    called = create(model=model, messages=question, tools=tools).choices[0]
    assert called.finish_reason == "tool_calls", called
    assert [call.function.name for call in called.message.tool_calls] == ["get_weather", "get_time"], called
    weather = json.loads(called.message.tool_calls[0].function.arguments)
    assert isinstance(weather["city"], str) and isinstance(weather["days"], int), weather
    with client.chat.completions.stream(model=model, messages=question, tools=tools) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        gathered = stream.get_final_completion().choices[0]
    assert [(event.index, event.name) for event in done] == [(0, "get_weather"), (1, "get_time")], done
    assert done[0].parsed_arguments == weather, done
    # In Gemini's wire a call has no id; the edge makes one for each call of each answer.
    ids = [call.id for message in (called.message, gathered.message) for call in message.tool_calls]
    assert len(set(ids)) == (4 if kind(model) == "gemini" else 2), ids
    results = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in called.message.tool_calls]
    ended = create(model=model, messages=[*question, called.message, *results], tools=tools, parallel_tool_calls=True)
    assert ended.choices[0].finish_reason == "stop" and ended.choices[0].message.content, ended
    named = {"type": "function", "function": {"name": "get_time"}}
    named = create(model=model, messages=said("Hello"), tools=tools, tool_choice=named)
    assert [call.function.name for call in named.choices[0].message.tool_calls] == ["get_time"], named


class City(BaseModel):
    zip: str
    area: int
    size: Literal["small", "large"]


# By a schema of one's own, parsed into a class, and streamed.
def output_is_structured(model):
    berlin = {"model": model, "messages": said("Berlin")}
    schema = {"name": "city", "strict": True, "schema": City.model_json_schema()}
    by_hand = create(**berlin, response_format={"type": "json_schema", "json_schema": schema})
    city = City.model_validate_json(by_hand.choices[0].message.content)
    parsed = client.chat.completions.parse(**berlin, response_format=City)
    assert parsed.choices[0].message.parsed == city, parsed
    with client.chat.completions.stream(**berlin, response_format=City) as stream:
        assert stream.until_done().get_final_completion().choices[0].message.parsed == city

    loose = create(model=model, messages=ECHO, response_format={"type": "json_object"})
    assert isinstance(json.loads(loose.choices[0].message.content), dict), loose


# Several choices, an end by length, an end by a stop word.
def answers_end_where_they_should(model):
    def several():
        return create(model=model, messages=said("Hello"), n=2)

    if can(model, "n"):
        choices = several().choices
        assert [choice.index for choice in choices] == [0, 1], choices
        assert choices[0].message.content != choices[1].message.content, choices
    else:
        refused("n", several)
    short = create(model=model, messages=ECHO, max_tokens=2)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 2), short
    stopped = create(model=model, messages=ECHO, stop=[" from"])
    assert (stopped.choices[0].finish_reason, stopped.choices[0].message.content) == ("stop", "hello"), stopped


# Many at a time, from an event loop.
async def crowds_are_answered(model):
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as crowded:
        ask = crowded.chat.completions.create
        answers = await asyncio.gather(*(ask(model=model, messages=said(f"echo: number {n}")) for n in range(20)))
        assert [one.choices[0].message.content for one in answers] == [f"number {n}" for n in range(20)], answers
        stream = await ask(model=model, messages=ECHO, stream=True)
        # At Azure what the filter says comes first, in a chunk without a choice.
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(texts) == "hello from the SDK", texts


def refused(param, work):
    refusal = raised(openai.BadRequestError, work)
    assert (refusal.code, refusal.param) == ("untranslatable", param), refusal.body


def errors_are_of_the_classes_that_callers_catch(model):
    def asking(faults, **more):
        return lambda: create(model=f"{model}+{faults}", messages=ECHO, **more)

    limited = raised(openai.RateLimitError, asking("status=429,retry_after=7"))
    assert limited.response.headers["retry-after"] == "7", limited.response.headers
    raised(openai.InternalServerError, asking("status=500"))
    assert raised(openai.BadRequestError, asking("context_length")).code == "context_length_exceeded"
    # Where a refusal to answer is an error; in the other wires it is an answer.
    if kind(model) in ("openai", "azure_openai"):
        assert raised(openai.BadRequestError, asking("content_policy")).code == "content_policy_violation"
    else:
        assert asking("content_policy")().choices[0].finish_reason == "content_filter"
    assert raised(openai.APIError, lambda: list(asking("error_frame=2", stream=True)())).body
    hurried = client.with_options(timeout=0.2).chat.completions
    raised(openai.APITimeoutError, lambda: hurried.create(model=f"{model}+hang", messages=ECHO))


def retries(model, pause):
    def ask(faults, **more):
        chat = client.with_options(max_retries=2).chat.completions
        faulty = f"{model}+{faults},retry_after_ms={pause}"
        return chat.with_raw_response.create(model=faulty, messages=ECHO, **more)

    retries_are_counted(openai, ask, lambda answer: answer.choices[0].message.content)


checks = [
    tools_are_called,
    output_is_structured,
    answers_end_where_they_should,
    crowds_are_answered,
    errors_are_of_the_classes_that_callers_catch,
]
hold(models, checks, retries)
print("OK")
