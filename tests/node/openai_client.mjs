// The unmodified openai package from npm against the edge. Arguments: base URL, API key, models.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

// It is installed outside of the checkout, where NODE_PATH points to.
const { default: OpenAI } = createRequire(import.meta.url)("openai");

const [baseURL, apiKey, ...models] = process.argv.slice(2);
// Each call of the client's over the network.
let sent = 0;
const counting = (...request) => {
  sent += 1;
  return fetch(...request);
};
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, fetch: counting });
const create = (body, options) => client.chat.completions.create(body, options);
const said = (content) => [{ role: "user", content }];
const ECHO = said("echo: hello from the SDK");

async function chatsAreWholeAndStreamed(model) {
  const plain = { model, messages: ECHO };
  const whole = await create(plain);
  assert.equal(whole.choices[0].message.content, "hello from the SDK");
  assert.equal(whole.choices[0].finish_reason, "stop");
  assert.equal(whole.usage.completion_tokens, 4);
  const chunks = [];
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await create({ ...plain, ...options })) chunks.push(chunk);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "hello from the SDK");
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.total_tokens, whole.usage.total_tokens);
  assert.equal(typeof chunks.at(-1).usage.cost, "number");
  const texts = [];
  const helper = client.chat.completions.stream(plain).on("content", (delta) => texts.push(delta));
  assert.equal(await helper.finalContent(), "hello from the SDK");
  assert.equal(texts.join(""), "hello from the SDK");
  const { response } = await create(plain).withResponse();
  assert.ok(response.headers.get("x-request-id"));
}

async function aCallerMayLeaveInTheMiddleOfAStream(model) {
  const left = await create({ messages: ECHO, model: `${model}+stall=2`, stream: true });
  for await (const chunk of left) if (chunk.choices[0]?.delta.content) break;
  assert.ok(left.controller.signal.aborted);
}

const weather = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const tools = [
  { type: "function", function: { name: "get_weather", parameters: weather, strict: true } },
  { type: "function", function: { name: "get_time", parameters: { type: "object", properties: {} } } },
];

// Two calls at a time, whole and in pieces, and the round that their results end.
async function toolsAreCalled(model) {
  const calling = { model, messages: said("call get_weather and call get_time"), tools };
  const [called] = (await create(calling)).choices;
  assert.equal(called.finish_reason, "tool_calls");
  assert.deepEqual(called.message.tool_calls.map((call) => call.function.name), ["get_weather", "get_time"]);
  const gathered = await client.chat.completions.stream(calling).finalMessage();
  const essence = (call) => [call.function.name, JSON.parse(call.function.arguments)];
  assert.deepEqual(gathered.tool_calls.map(essence), called.message.tool_calls.map(essence));
  assert.equal(new Set(gathered.tool_calls.map((call) => call.id)).size, 2);
  const asked = [];
  const run = (name) => ({ name, parse: JSON.parse, function: (given) => (asked.push([name, given]), "fine") });
  const runner = client.chat.completions.runTools({
    ...calling,
    tools: tools.map((tool) => ({ type: "function", function: { ...tool.function, ...run(tool.function.name) } })),
  });
  assert.ok(await runner.finalContent());
  assert.deepEqual(asked, called.message.tool_calls.map(essence));
}

// Without a library of schemas.
async function outputIsStructured(model) {
  const response_format = { type: "json_schema", json_schema: { name: "weather", strict: true, schema: weather } };
  const structured = await create({ model, messages: said("Berlin"), response_format });
  const berlin = JSON.parse(structured.choices[0].message.content);
  assert.ok(typeof berlin.city === "string" && Number.isInteger(berlin.days), structured.choices[0].message.content);
}

// The package asks for vectors in base64 by itself; Anthropic's wire has none.
async function otherAddressesAreFound(model) {
  const embedding = () => client.embeddings.create({ model, input: ["one", "two"], dimensions: 8 });
  if (model.startsWith("anthropic/")) {
    await assert.rejects(embedding(), is(OpenAI.BadRequestError));
  } else {
    const vectors = await embedding();
    assert.deepEqual(vectors.data.map((one) => one.embedding.length), [8, 8]);
    assert.ok(vectors.data[0].embedding.some((number) => number !== 0));
  }
  assert.equal((await client.models.retrieve(model)).id, model);
  const text = await client.completions.create({ model, prompt: "echo: hello from the SDK" });
  assert.equal(text.choices[0].text, "hello from the SDK");
  const answered = await client.responses.create({ model, input: "echo: hello from the SDK" });
  assert.equal(answered.output_text, "hello from the SDK");
  const events = client.responses.stream({ model, input: "echo: hello from the SDK" });
  assert.equal((await events.finalResponse()).output_text, "hello from the SDK");
}

const is = (kind, code) => (error) => {
  assert.ok(error instanceof kind, `${error?.constructor.name}: ${error?.message}`);
  if (code) assert.equal(error.code, code);
  return true;
};

async function errorsAreOfTheClassesThatCallersCatch(model) {
  const faulty = (faults, more) => create({ messages: ECHO, model: `${model}+${faults}`, ...more });
  await assert.rejects(create({ model, messages: [] }), is(OpenAI.BadRequestError));
  await assert.rejects(faulty("context_length"), is(OpenAI.BadRequestError, "context_length_exceeded"));
  await assert.rejects(faulty("status=429,retry_after=7"), (error) => {
    assert.equal(error.headers.get("retry-after"), "7");
    return is(OpenAI.RateLimitError)(error);
  });
  await assert.rejects(faulty("status=500"), is(OpenAI.InternalServerError));
  for (const faults of ["cut=2", "error_frame=2"]) {
    await assert.rejects(async () => {
      for await (const _ of await faulty(faults, { stream: true }));
    }, is(OpenAI.APIError));
  }
}

// The package's own: after a passing failure as often as it may, after a refusal never.
async function retriesAreCounted(model, pause) {
  const patient = async (faults, more) => {
    sent = 0;
    return create({ messages: ECHO, model: `${model}+${faults},retry_after_ms=${pause}`, ...more }, { maxRetries: 2 });
  };
  for (const status of [408, 409, 429, 500, 503]) {
    const again = await patient(`status=${status},fail_first=2`);
    assert.equal(again.choices[0].message.content, "hello from the SDK");
    assert.equal(sent, 3, `${status}`);
  }
  for await (const _ of await patient("status=503,fail_first=1", { stream: true }));
  assert.equal(sent, 2);
  await assert.rejects(patient("status=429,fail_first=3"), is(OpenAI.RateLimitError));
  assert.equal(sent, 3);
  await assert.rejects(patient("status=400,fail_first=1"), is(OpenAI.BadRequestError));
  assert.equal(sent, 1);
}

// The mock counts the requests of one plan, so each model has its own, by the pause.
for (const [at, model] of models.entries()) {
  await chatsAreWholeAndStreamed(model);
  await aCallerMayLeaveInTheMiddleOfAStream(model);
  await toolsAreCalled(model);
  await outputIsStructured(model);
  await otherAddressesAreFound(model);
  await errorsAreOfTheClassesThatCallersCatch(model);
  await retriesAreCounted(model, at + 1);
}
const listed = [];
for await (const model of client.models.list()) listed.push(model.id);
assert.ok(listed.includes("mock"), listed.join());
const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
await assert.rejects(stranger.models.list(), is(OpenAI.AuthenticationError, "invalid_api_key"));
await assert.rejects(create({ model: "no-such-model", messages: ECHO }), is(OpenAI.NotFoundError, "model_not_found"));
console.log("OK");
