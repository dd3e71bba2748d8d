"""The unmodified langchain-openai package against the edge. Arguments: base URL, API key, models."""

import sys

import loopback  # noqa: F401
import openai
from asserts import raised
from kinds import can
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

base_url, key, *models = sys.argv[1:]


def chat(model, api_key=key, max_retries=0, **more):
    return ChatOpenAI(model=model, base_url=base_url, api_key=api_key, max_retries=max_retries, **more)


def joined(chunks):
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


ECHO = [SystemMessage("Be kind."), HumanMessage("echo: hello from the SDK")]


def chats_are_whole_streamed_and_many(model):
    whole = chat(model).invoke(ECHO)
    assert whole.content == "hello from the SDK", whole
    assert whole.response_metadata["finish_reason"] == "stop", whole
    assert whole.usage_metadata["output_tokens"] == 4, whole
    chunks = list(chat(model, stream_usage=True).stream(ECHO))
    streamed = joined(chunks)
    assert len(chunks) > 4 and streamed.content == whole.content, chunks
    assert streamed.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"], streamed
    batch = chat(model).batch([f"echo: number {n}" for n in range(8)])
    assert [answer.content for answer in batch] == [f"number {n}" for n in range(8)], batch
    assert chat(model, use_responses_api=True).invoke(ECHO).text == "hello from the SDK"


@tool
def get_weather(city: str, days: int) -> str:
    """The weather of some days in a city."""
    return f"{days} days of sun in {city}"


@tool
def get_time() -> str:
    """The time."""
    return "noon"


def tools_are_called(model):
    bound = chat(model).bind_tools([get_weather, get_time])
    question = [HumanMessage("call get_weather and call get_time")]
    called = bound.invoke(question)
    assert [call["name"] for call in called.tool_calls] == ["get_weather", "get_time"], called
    gathered = joined(list(bound.stream(question)))
    essence = [(call["name"], call["args"]) for call in called.tool_calls]
    assert [(call["name"], call["args"]) for call in gathered.tool_calls] == essence, gathered
    assert len({call["id"] for call in gathered.tool_calls}) == 2 and not gathered.invalid_tool_calls, gathered
    tools = {"get_weather": get_weather, "get_time": get_time}
    results = [tools[call["name"]].invoke(call) for call in called.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results), results
    ended = bound.invoke([*question, called, *results])
    assert ended.content and not ended.tool_calls, ended


class City(BaseModel):
    """A city."""

    zip: str
    area: int


def output_is_structured_each_way(model):
    for method in ("json_schema", "function_calling"):
        city = chat(model).with_structured_output(City, method=method).invoke("Berlin")
        assert isinstance(city, City), (method, city)


# Its check of lengths would count tokens by a vocabulary that is fetched.
def texts_are_embedded(model):
    embeddings = OpenAIEmbeddings(
        model=model, base_url=base_url, api_key=key, dimensions=8, check_embedding_ctx_length=False
    )
    if not can(model, "embeddings"):
        raised(openai.BadRequestError, lambda: embeddings.embed_query("one"))
        return
    vectors = embeddings.embed_documents(["one", "two"])
    assert [len(vector) for vector in vectors] == [8, 8] and vectors[0] != vectors[1], vectors
    assert embeddings.embed_query("one") == vectors[0]


def errors_and_retries_are_as_documented(model, pause):
    raised(openai.BadRequestError, lambda: chat(f"{model}+context_length").invoke("Hello"))
    raised(openai.APIError, lambda: list(chat(f"{model}+cut=2").stream(ECHO)))

    def patient(status, times):
        faulty = f"{model}+status={status},retry_after_ms={pause},fail_first={times}"
        return chat(faulty, max_retries=2).invoke(ECHO)

    for status in (429, 503):
        assert patient(status, 2).content == "hello from the SDK"
    raised(openai.RateLimitError, lambda: patient(429, 3))
    other = chat(f"{model}+status=500").with_fallbacks([chat(model)])
    assert other.invoke(ECHO).content == "hello from the SDK"


# The mock counts the requests of one plan, so each model has its own, by the pause.
for pause, model in enumerate(models, 1):
    chats_are_whole_streamed_and_many(model)
    tools_are_called(model)
    output_is_structured_each_way(model)
    texts_are_embedded(model)
    errors_and_retries_are_as_documented(model, pause)
raised(openai.AuthenticationError, lambda: chat("mock", api_key="wrong").invoke("Hello"))
raised(openai.NotFoundError, lambda: chat("no-such-model").invoke("Hello"))
print("OK")
