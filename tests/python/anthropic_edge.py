"""The unmodified anthropic package at the edge's /v1/messages. Arguments: base URL, API key, models."""

import asyncio
import sys

import anthropic
from asserts import raised
from kinds import kind
from sdk import hold, retries_are_counted

base_url, key, *models = sys.argv[1:]
client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)


def said(text):
    return [{"role": "user", "content": text}]


def plain(model):
    return {"model": model, "max_tokens": 1000}


ECHO = said("echo: hello from the SDK")


# By the helper and event by event.
def messages_are_whole_and_streamed(model):
    asking = {"messages": ECHO, **plain(model)}
    whole = client.messages.create(system="be brief", **asking)
    assert [block.text for block in whole.content] == ["hello from the SDK"], whole
    assert (whole.stop_reason, whole.role, whole.usage.output_tokens) == ("end_turn", "assistant", 4), whole
    with client.messages.stream(system="be brief", **asking) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == streamed.content[0].text == "hello from the SDK", streamed
    assert streamed.stop_reason == "end_turn", streamed
    assert streamed.usage.input_tokens == whole.usage.input_tokens > 0, (streamed.usage, whole.usage)
    assert streamed.usage.output_tokens == whole.usage.output_tokens, streamed.usage
    events = [event.type for event in client.messages.create(stream=True, **asking)]
    assert events[0] == "message_start" and events[-2:] == ["message_delta", "message_stop"], events


# By length, by a stop sequence, and by a refusal of the model's, which OpenAI's wire has as an error.
def answers_end_where_they_should(model):
    short = client.messages.create(model=model, max_tokens=2, messages=ECHO)
    assert (short.stop_reason, short.content[0].text) == ("max_tokens", "hello from"), short
    stopped = client.messages.create(messages=ECHO, stop_sequences=[" from"], **plain(model))
    assert stopped.content[0].text == "hello", stopped
    declining = {"messages": ECHO, **plain(f"{model}+content_policy")}
    if kind(model) in ("openai", "azure_openai"):
        raised(anthropic.BadRequestError, lambda: client.messages.create(**declining))
    else:
        assert client.messages.create(**declining).stop_reason == "refusal"


# Two calls, whole and in pieces, and the round that their results end.
def tools_are_called(model):
    weather = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    tools = [
        {"name": "get_weather", "input_schema": weather},
        {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
    ]
    question = said("call get_weather and call get_time")
    called = client.messages.create(messages=question, tools=tools, **plain(model))
    calls = [block for block in called.content if block.type == "tool_use"]
    assert called.stop_reason == "tool_use" and [call.name for call in calls] == ["get_weather", "get_time"], called
    assert isinstance(calls[0].input["city"], str) and isinstance(calls[0].input["days"], int), calls
    with client.messages.stream(messages=question, tools=tools, **plain(model)) as stream:
        gathered = stream.get_final_message()
    assert [(call.name, call.input) for call in gathered.content if call.type == "tool_use"] == [
        (call.name, call.input) for call in calls
    ], gathered
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "fine"} for call in calls]
    history = [*question, {"role": "assistant", "content": called.content}, {"role": "user", "content": results}]
    ended = client.messages.create(messages=history, tools=tools, **plain(model))
    assert ended.stop_reason == "end_turn" and ended.content[0].text, ended
    named = client.messages.create(
        messages=said("Hello"), tools=tools, tool_choice={"type": "tool", "name": "get_time"}, **plain(model)
    )
    assert [block.name for block in named.content if block.type == "tool_use"] == ["get_time"], named


def tokens_are_counted(model):
    counted = client.messages.count_tokens(model=model, messages=ECHO)
    assert counted.input_tokens > 0, counted
    assert client.messages.count_tokens(model=model, messages=ECHO, system="be brief").input_tokens > counted.input_tokens


# Many at a time, from an event loop.
async def crowds_are_answered(model):
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0) as crowded:
        ask = crowded.messages.create
        answers = await asyncio.gather(*(ask(messages=said(f"echo: number {n}"), **plain(model)) for n in range(20)))
        assert [one.content[0].text for one in answers] == [f"number {n}" for n in range(20)], answers


def named(refusal):
    return refusal.body["error"]["type"]


def errors_are_of_the_classes_that_callers_catch(model):
    def asking(faults, **more):
        return lambda: client.messages.create(messages=ECHO, **plain(f"{model}+{faults}"), **more)

    empty = raised(anthropic.BadRequestError, lambda: client.messages.create(messages=[], **plain(model)))
    assert named(empty) == "invalid_request_error", empty.body
    limited = raised(anthropic.RateLimitError, asking("status=429,retry_after=7"))
    assert (named(limited), limited.response.headers["retry-after"]) == ("rate_limit_error", "7"), limited.body
    raised(anthropic.InternalServerError, asking("status=500"))
    too_long = raised(anthropic.BadRequestError, asking("context_length"))
    assert named(too_long) == "invalid_request_error" and "prompt is too long" in too_long.message, too_long.body
    hurried = client.with_options(timeout=0.2).messages
    raised(anthropic.APITimeoutError, lambda: hurried.create(messages=ECHO, **plain(f"{model}+hang")))
    for fault in ("cut=2", "error_frame=2"):
        broken = raised(anthropic.APIStatusError, lambda: list(asking(fault, stream=True)()))
        assert named(broken) == "api_error", broken.body


def retries(model, pause):
    def ask(faults, **more):
        messages = client.with_options(max_retries=2).messages
        faulty = plain(f"{model}+{faults},retry_after_ms={pause}")
        return messages.with_raw_response.create(messages=ECHO, **faulty, **more)

    retries_are_counted(anthropic, ask, lambda answer: answer.content[0].text)


checks = [
    messages_are_whole_and_streamed,
    answers_end_where_they_should,
    tools_are_called,
    tokens_are_counted,
    crowds_are_answered,
    errors_are_of_the_classes_that_callers_catch,
]
hold(models, checks, retries)
stranger = anthropic.Anthropic(base_url=base_url, api_key="wrong", max_retries=0)
refused = raised(anthropic.AuthenticationError, lambda: stranger.messages.create(messages=ECHO, **plain("mock")))
assert named(refused) == "authentication_error", refused.body
unknown = raised(anthropic.NotFoundError, lambda: client.messages.create(messages=ECHO, **plain("no-such-model")))
assert named(unknown) == "not_found_error" and "no-such-model" in unknown.message, unknown.body
assert unknown.request_id is None or isinstance(unknown.request_id, str)
print("OK")
