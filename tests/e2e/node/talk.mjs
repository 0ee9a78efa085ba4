// An unmodified Node client in a streamed conversation, told as one line of JSON for the test that runs this.
import OpenAI from "openai";

const model = new OpenAI({ baseURL: process.env.DOOR, apiKey: process.env.TOKEN });
const messages = [{ role: "user", content: process.env.QUESTION }];

let chat = "";
let usage = null;
const stream = await model.chat.completions.create({
  model: "support",
  messages,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  chat += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}

let deltas = "";
let final = null;
for await (const event of await model.responses.create({ model: "support", input: process.env.QUESTION, stream: true })) {
  if (event.type === "response.output_text.delta") deltas += event.delta;
  if (event.type === "response.completed") final = event.response;
}
const next = await model.responses.create({
  model: "support",
  input: "And what does a patch cost?",
  previous_response_id: final.id,
});

let refused = null;
try {
  await model.chat.completions.create({ model: "nobody", messages });
} catch (error) {
  refused = { name: error.constructor.name, code: error.code };
}
const models = [];
for await (const entry of model.models.list()) models.push(entry.id);

const text = final.output[0].content[0].text;
console.log(JSON.stringify({ chat, usage, deltas, text, previous: next.previous_response_id === final.id, refused, models }));
