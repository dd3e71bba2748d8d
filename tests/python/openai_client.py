"""The unmodified openai package against the edge. Arguments: base URL, API key, models."""

import sys

import openai
from asserts import raised

base_url, key, *models = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
ask = [{"role": "user", "content": "echo: hello from the SDK"}]


def works(model):
    create = client.chat.completions.create
    whole = create(model=model, messages=ask)
    assert whole.choices[0].message.content == "hello from the SDK", whole
    assert whole.choices[0].finish_reason == "stop", whole
    assert whole.usage.completion_tokens == 4, whole.usage

    text, usage = "", None
    for chunk in create(model=model, messages=ask, stream=True, stream_options={"include_usage": True}):
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
        usage = chunk.usage or usage
    assert text == "hello from the SDK", text
    assert usage.total_tokens == whole.usage.total_tokens and usage.cost >= 0, usage

    assert client.models.retrieve(model).id == model

    tools = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}]
    call = create(model=model, messages=ask, tools=tools, tool_choice="required")
    assert call.choices[0].message.tool_calls[0].function.name == "get_time", call

    raised(openai.BadRequestError, lambda: create(model=model, messages=[]))
    cut = raised(openai.APIError, lambda: list(create(model=f"{model}+cut=2", messages=ask, stream=True)))
    assert "cut" in str(cut) or "broke" in str(cut) or cut.code, cut


def refused(error, code, work):
    refusal = raised(error, work)
    assert refusal.code == code, (refusal.code, refusal.body)


for model in models:
    works(model)
listed = [model.id for model in client.models.list()]
assert "mock" in listed, listed
stranger = openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0)
refused(openai.AuthenticationError, "invalid_api_key", lambda: stranger.models.list())
refused(
    openai.NotFoundError,
    "model_not_found",
    lambda: client.chat.completions.create(model="no-such-model", messages=ask),
)
print("OK")
