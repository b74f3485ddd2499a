// Reads {baseURL, asked: [{apiKey, ...parameters}]} and prints what the openai package made of each answer.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const { baseURL, asked } = JSON.parse(readFileSync(0, "utf8"));

async function outcome({ apiKey, ...parameters }) {
  const client = new OpenAI({ apiKey, baseURL });
  try {
    const result = await client.images.generate(parameters);
    const { url, b64_json } = result.data[0];
    const bytes = url ? await (await fetch(url)).arrayBuffer() : Buffer.from(b64_json, "base64");
    return { bytes: Buffer.from(bytes).toString("base64"), count: result.data.length };
  } catch (error) {
    const { status, type, code, param, requestID } = error;
    return { name: error.constructor.name, facts: [status, type, code, param], requestID };
  }
}

console.log(JSON.stringify(await Promise.all(asked.map(outcome))));
