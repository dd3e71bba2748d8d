"""The unmodified openai package at responses, completions and embeddings. Arguments: base URL, API key."""

import json
import sys

import openai
from pydantic import BaseModel

base_url, key = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
ECHO = "echo: hello from the SDK"


def refused(error, param, work):
    try:
        work()
    except error as refusal:
        assert refusal.param == param, (refusal.param, refusal.body)
        return
    raise AssertionError(f"{error.__name__} was not raised")


# Responses, whole.
whole = client.responses.create(model="mock", input=ECHO, instructions="Be kind.", metadata={"k": "v"})
assert whole.output_text == "hello from the SDK", whole
assert (whole.status, whole.metadata, whole.store) == ("completed", {"k": "v"}, False), whole
assert whole.usage.output_tokens == 4 and whole.usage.total_tokens > 4, whole.usage
short = client.responses.create(model="mock", input=ECHO, max_output_tokens=2)
assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens"), short
thought = client.responses.create(model="mock-reasoner", input="Hello", reasoning={"effort": "low"})
assert [item.type for item in thought.output] == ["reasoning", "message"], thought.output

# Responses, streamed.
events = list(client.responses.create(model="mock", input=ECHO, stream=True))
assert [event.sequence_number for event in events] == list(range(len(events)))
assert (events[0].type, events[1].type, events[-1].type) == (
    "response.created",
    "response.in_progress",
    "response.completed",
)
assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "hello from the SDK"
assert events[-1].response.usage.output_tokens == whole.usage.output_tokens, events[-1]
with client.responses.stream(model="mock", input=ECHO) as stream:
    for event in stream:
        pass
    assert stream.get_final_response().output_text == "hello from the SDK"
events = list(client.responses.create(model="mock+cut=2", input=ECHO, stream=True))
assert events[-1].type == "response.failed" and events[-1].response.error.message, events[-1]

# Responses, tools in a loop.
tools = [{"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}, "strict": False}]
question = [{"role": "user", "content": "call get_time"}]
first = client.responses.create(model="mock", input=question, tools=tools)
[call] = [item for item in first.output if item.type == "function_call"]
assert call.name == "get_time" and json.loads(call.arguments) == {}, call
with client.responses.stream(model="mock", input=question, tools=tools) as stream:
    [streamed] = [item for item in stream.get_final_response().output if item.type == "function_call"]
assert streamed.arguments == call.arguments, streamed
output = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
second = client.responses.create(model="mock", input=question + first.output + [output], tools=tools)
assert second.output_text, second


# Responses, structured.
class City(BaseModel):
    zip: str
    area: int


parsed = client.responses.parse(model="mock", input="Berlin", text_format=City)
assert isinstance(parsed.output_parsed, City), parsed

refused(
    openai.BadRequestError,
    "previous_response_id",
    lambda: client.responses.create(model="mock", input="x", previous_response_id=whole.id),
)
refused(openai.BadRequestError, "store", lambda: client.responses.create(model="mock", input="x", store=True))
refused(openai.NotFoundError, None, lambda: client.responses.create(model="no-such-model", input="x"))

# Text completions: the mock only chats.
text = client.completions.create(model="mock", prompt=ECHO, max_tokens=50)
assert (text.object, text.choices[0].text) == ("text_completion", "hello from the SDK"), text
chunks = list(client.completions.create(model="mock", prompt=ECHO, stream=True, stream_options={"include_usage": True}))
assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "hello from the SDK", chunks
assert len({chunk.id for chunk in chunks}) == 1 and chunks[-1].choices == [] and chunks[-1].usage, chunks
refused(openai.BadRequestError, "suffix", lambda: client.completions.create(model="mock", prompt="x", suffix="y"))

# Embeddings; the package asks for base64 by itself.
vectors = client.embeddings.create(model="mock", input=["one", "two"], dimensions=8)
assert [len(one.embedding) for one in vectors.data] == [8, 8] and vectors.usage.prompt_tokens > 0, vectors
refused(openai.NotFoundError, None, lambda: client.embeddings.create(model="no-such-model", input="x"))

# Chat streams have a usage chunk only when asked.
chunks = list(client.chat.completions.create(model="mock", messages=[{"role": "user", "content": ECHO}], stream=True))
assert all(chunk.choices for chunk in chunks), chunks

raw = client.chat.completions.with_raw_response.create(model="mock", messages=[{"role": "user", "content": ECHO}])
assert raw.headers["x-request-id"] and "x-vx11-cache" not in raw.headers, raw.headers
assert float(raw.headers["x-vx11-overhead-ms"]) > 0, raw.headers
print("OK")
