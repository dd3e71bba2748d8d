"""The unmodified openai package at responses, completions and embeddings. Arguments: base URL, API key, models."""

import json
import sys

import openai
from asserts import raised
from kinds import can
from pydantic import BaseModel

base_url, key, *models = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
ECHO = "echo: hello from the SDK"
SAID = [{"role": "user", "content": ECHO}]


def refused(error, param, work):
    refusal = raised(error, work)
    assert refusal.param == param, (refusal.param, refusal.body)


def responses_are_whole(model):
    whole = client.responses.create(model=model, input=ECHO, instructions="Be kind.", metadata={"k": "v"})
    assert whole.output_text == "hello from the SDK", whole
    assert (whole.status, whole.metadata, whole.store) == ("completed", {"k": "v"}, False), whole
    assert whole.usage.output_tokens == 4 and whole.usage.total_tokens > 4, whole.usage
    short = client.responses.create(model=model, input=ECHO, max_output_tokens=2)
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens"), short
    thought = client.responses.create(model=f"{model}-reasoner", input="Hello", reasoning={"effort": "low"})
    assert [item.type for item in thought.output] == ["reasoning", "message"], thought.output
    refused(
        openai.BadRequestError,
        "previous_response_id",
        lambda: client.responses.create(model=model, input="x", previous_response_id=whole.id),
    )
    refused(openai.BadRequestError, "store", lambda: client.responses.create(model=model, input="x", store=True))


def responses_are_streamed(model):
    events = list(client.responses.create(model=model, input=ECHO, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[1].type, events[-1].type) == (
        "response.created",
        "response.in_progress",
        "response.completed",
    )
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "hello from the SDK", deltas
    assert events[-1].response.usage.output_tokens == 4, events[-1]
    assert events[-1].response.usage.cost >= 0, events[-1]
    with client.responses.stream(model=model, input=ECHO) as stream:
        for event in stream:
            pass
        assert stream.get_final_response().output_text == "hello from the SDK"
    events = list(client.responses.create(model=f"{model}+cut=2", input=ECHO, stream=True))
    assert events[-1].type == "response.failed" and events[-1].response.error.message, events[-1]


def responses_call_tools(model):
    tool = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}, "strict": False}
    asking = {"model": model, "tools": [tool]}
    question = [{"role": "user", "content": "call get_time"}]
    first = client.responses.create(input=question, **asking)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_time" and json.loads(call.arguments) == {}, call
    with client.responses.stream(input=question, **asking) as stream:
        [streamed] = [item for item in stream.get_final_response().output if item.type == "function_call"]
    assert streamed.arguments == call.arguments, streamed
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
    second = client.responses.create(input=question + first.output + [output], **asking)
    assert second.output_text, second


class City(BaseModel):
    zip: str
    area: int


def responses_are_structured(model):
    parsed = client.responses.parse(model=model, input="Berlin", text_format=City)
    assert isinstance(parsed.output_parsed, City), parsed


# The mock only chats.
def texts_are_completed(model):
    complete = client.completions.create
    text = complete(model=model, prompt=ECHO, max_tokens=50)
    assert (text.object, text.choices[0].text) == ("text_completion", "hello from the SDK"), text
    chunks = list(complete(model=model, prompt=ECHO, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "hello from the SDK", chunks
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[-1].choices == [] and chunks[-1].usage.cost >= 0, chunks
    refused(openai.BadRequestError, "suffix", lambda: complete(model=model, prompt="x", suffix="y"))


# The package asks for base64 by itself.
def texts_are_embedded(model):
    def embed():
        return client.embeddings.create(model=model, input=["one", "two"], dimensions=8)

    if can(model, "embeddings"):
        vectors = embed()
        assert [len(one.embedding) for one in vectors.data] == [8, 8] and vectors.usage.prompt_tokens > 0, vectors
    else:
        refused(openai.BadRequestError, "model", embed)


def chats_have_what_was_asked_for(model):
    chunks = list(client.chat.completions.create(model=model, messages=SAID, stream=True))
    assert not any(chunk.usage for chunk in chunks), chunks
    raw = client.chat.completions.with_raw_response.create(model=model, messages=SAID)
    assert raw.headers["x-request-id"] and "x-vx11-cache" not in raw.headers, raw.headers
    assert float(raw.headers["x-vx11-overhead-ms"]) > 0, raw.headers


for model in models:
    responses_are_whole(model)
    responses_are_streamed(model)
    responses_call_tools(model)
    responses_are_structured(model)
    texts_are_completed(model)
    texts_are_embedded(model)
    chats_have_what_was_asked_for(model)
refused(openai.NotFoundError, None, lambda: client.responses.create(model="no-such-model", input="x"))
refused(openai.NotFoundError, None, lambda: client.embeddings.create(model="no-such-model", input="x"))
print("OK")
