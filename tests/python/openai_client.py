"""The unmodified openai package against the edge. Arguments: base URL, API key."""

import sys

import openai

base_url, key = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
ask = [{"role": "user", "content": "echo: hello from the SDK"}]

whole = client.chat.completions.create(model="mock", messages=ask)
assert whole.choices[0].message.content == "hello from the SDK", whole
assert whole.choices[0].finish_reason == "stop", whole
assert whole.usage.completion_tokens == 4, whole.usage

text, usage = "", None
for chunk in client.chat.completions.create(
    model="mock", messages=ask, stream=True, stream_options={"include_usage": True}
):
    if chunk.choices and chunk.choices[0].delta.content:
        text += chunk.choices[0].delta.content
    usage = chunk.usage or usage
assert text == "hello from the SDK", text
assert usage.total_tokens == whole.usage.total_tokens, usage

models = [model.id for model in client.models.list()]
assert "mock" in models, models
assert client.models.retrieve("mock").id == "mock"

tools = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}]
call = client.chat.completions.create(model="mock", messages=ask, tools=tools, tool_choice="required")
assert call.choices[0].message.tool_calls[0].function.name == "get_time", call


def refused(error, code, work):
    try:
        work()
    except error as refusal:
        assert refusal.code == code, (refusal.code, refusal.body)
        return
    raise AssertionError(f"{error.__name__} was not raised")


stranger = openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0)
refused(openai.AuthenticationError, "invalid_api_key", lambda: stranger.models.list())
refused(
    openai.NotFoundError,
    "model_not_found",
    lambda: client.chat.completions.create(model="no-such-model", messages=ask),
)
refused(openai.BadRequestError, "invalid_request", lambda: client.chat.completions.create(model="mock", messages=[]))
try:
    stream = client.chat.completions.create(model="mock+cut=2", messages=ask, stream=True)
    for chunk in stream:
        pass
    raise AssertionError("a cut stream passed for a whole one")
except openai.APIError as error:
    assert "cut" in str(error) or "broke" in str(error) or error.code, error
print("OK")
