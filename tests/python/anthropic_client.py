"""The unmodified anthropic package against a provider of its wire. Arguments: base URL, API key."""

import sys

import anthropic
from asserts import raised

base_url, key = sys.argv[1:]
client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
ask = [{"role": "user", "content": "echo: hello from the SDK"}]
plain = {"model": "mock", "max_tokens": 1000}

whole = client.messages.create(messages=ask, **plain)
assert whole.content[0].text == "hello from the SDK", whole
assert whole.stop_reason == "end_turn", whole
assert whole.usage.output_tokens == 4, whole.usage

with client.messages.stream(messages=ask, **plain) as stream:
    text = "".join(stream.text_stream)
    streamed = stream.get_final_message()
assert text == "hello from the SDK", text
assert streamed.usage.output_tokens == whole.usage.output_tokens, streamed.usage
assert streamed.usage.input_tokens == whole.usage.input_tokens, streamed.usage

counted = client.messages.count_tokens(model="mock", messages=ask)
assert counted.input_tokens == whole.usage.input_tokens, counted

tool = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}
calling = {"messages": [{"role": "user", "content": "call get_weather"}], "tools": [tool]}
call = client.messages.create(**calling, **plain)
assert call.stop_reason == "tool_use" and call.content[0].name == "get_weather", call
with client.messages.stream(**calling, **plain) as stream:
    assert stream.get_final_message().content[0].input == call.content[0].input

thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
with client.messages.stream(messages=ask, model="mock", max_tokens=2000, **thinking) as stream:
    thought, said = stream.get_final_message().content
assert thought.type == "thinking" and thought.thinking and thought.signature, thought
assert said.text == "hello from the SDK", said

begun = ask + [{"role": "assistant", "content": "hello from"}]
assert client.messages.create(messages=begun, **plain).content[0].text == " the SDK"

refused = client.messages.create(messages=ask, max_tokens=1000, model="mock+content_policy")
assert refused.stop_reason == "refusal" and refused.content == [], refused

stranger = anthropic.Anthropic(base_url=base_url, api_key="wrong", max_retries=0)
raised(anthropic.AuthenticationError, lambda: stranger.messages.create(messages=ask, **plain))
raised(anthropic.BadRequestError, lambda: client.messages.create(messages=[], **plain))
for faults, error in [
    ("status=429,retry_after=2", anthropic.RateLimitError),
    ("status=529", anthropic.APIStatusError),
    ("status=500", anthropic.InternalServerError),
    ("context_length", anthropic.BadRequestError),
    ("reset", anthropic.APIConnectionError),
]:
    raised(error, lambda: client.messages.create(messages=ask, max_tokens=1000, model=f"mock+{faults}"))


def read(faults):
    with client.messages.stream(messages=ask, max_tokens=1000, model=f"mock+{faults}") as stream:
        return stream.get_final_message()


raised(anthropic.APIStatusError, lambda: read("error_frame=2"))
raised(Exception, lambda: read("cut=2"))
print("OK")
