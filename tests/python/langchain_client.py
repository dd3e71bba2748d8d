"""The unmodified langchain-openai package against the edge. Arguments: base URL, API key."""

import sys

import loopback  # noqa: F401
import openai
from asserts import raised
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

base_url, key = sys.argv[1:]


def chat(model="mock", api_key=key, max_retries=0, **more):
    return ChatOpenAI(model=model, base_url=base_url, api_key=api_key, max_retries=max_retries, **more)


ECHO = [SystemMessage("Be kind."), HumanMessage("echo: hello from the SDK")]

# Whole, streamed, and several in one go.
whole = chat().invoke(ECHO)
assert whole.content == "hello from the SDK", whole
assert whole.response_metadata["finish_reason"] == "stop", whole
assert whole.usage_metadata["output_tokens"] == 4, whole
chunks = list(chat(stream_usage=True).stream(ECHO))
streamed = chunks[0]
for chunk in chunks[1:]:
    streamed += chunk
assert len(chunks) > 4 and streamed.content == whole.content, chunks
assert streamed.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"], streamed
batch = chat().batch([f"echo: number {n}" for n in range(8)])
assert [answer.content for answer in batch] == [f"number {n}" for n in range(8)], batch
assert chat(use_responses_api=True).invoke(ECHO).text == "hello from the SDK"


# Tools, in a round.
@tool
def get_weather(city: str, days: int) -> str:
    """The weather of some days in a city."""
    return f"{days} days of sun in {city}"


@tool
def get_time() -> str:
    """The time."""
    return "noon"


bound = chat().bind_tools([get_weather, get_time])
question = [HumanMessage("call get_weather and call get_time")]
called = bound.invoke(question)
assert [call["name"] for call in called.tool_calls] == ["get_weather", "get_time"], called
pieces = list(bound.stream(question))
gathered = pieces[0]
for piece in pieces[1:]:
    gathered += piece
assert gathered.tool_calls == called.tool_calls and not gathered.invalid_tool_calls, gathered
results = [{"get_weather": get_weather, "get_time": get_time}[call["name"]].invoke(call) for call in called.tool_calls]
assert all(isinstance(result, ToolMessage) for result in results), results
ended = bound.invoke([*question, called, *results])
assert ended.content and not ended.tool_calls, ended


# Structured output, each way that there is.
class City(BaseModel):
    """A city."""

    zip: str
    area: int


for method in ("json_schema", "function_calling"):
    city = chat().with_structured_output(City, method=method).invoke("Berlin")
    assert isinstance(city, City), (method, city)

# Embeddings. Its check of lengths would count tokens by a vocabulary that is fetched.
embeddings = OpenAIEmbeddings(
    model="mock", base_url=base_url, api_key=key, dimensions=8, check_embedding_ctx_length=False
)
vectors = embeddings.embed_documents(["one", "two"])
assert [len(vector) for vector in vectors] == [8, 8] and vectors[0] != vectors[1], vectors
assert embeddings.embed_query("one") == vectors[0]


# Errors and retries.
raised(openai.AuthenticationError, lambda: chat(api_key="wrong").invoke("Hello"))
raised(openai.NotFoundError, lambda: chat("no-such-model").invoke("Hello"))
raised(openai.BadRequestError, lambda: chat("mock+context_length").invoke("Hello"))
raised(openai.APIError, lambda: list(chat("mock+cut=2").stream(ECHO)))
passing = "mock+status={},retry_after_ms=1,fail_first=2".format
for status in (429, 503):
    assert chat(passing(status), max_retries=2).invoke(ECHO).content == "hello from the SDK"
raised(openai.RateLimitError, lambda: chat("mock+status=429,retry_after_ms=1,fail_first=3", max_retries=2).invoke(ECHO))
other = chat("mock+status=500").with_fallbacks([chat()])
assert other.invoke(ECHO).content == "hello from the SDK"
print("OK")
