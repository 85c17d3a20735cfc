// What every client's script shares: how a check is told, how long anything may take, the accounts, the contract.
import assert from "node:assert/strict";

export { compileGreeter } from "./compile.mjs";

/// Longest wait for something that a check expects.
export const PATIENCE_MS = 30_000;

/// First keys of the public test phrase (test … junk).
export const KEYS = [
  "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
  "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
  "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

let checks = 0;

/// Says that a check held.
export function seen(what) {
  checks += 1;
  console.log(`ok  ${what}`);
}

/// The promise, or an error once the patience is over.
export function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// Asks again and again until the answer is there.
export async function eventually(ask, what) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > until) throw new Error(`${what}: not after ${PATIENCE_MS} ms`);
    await sleep(100);
  }
}

let id = 0;

/// One call as it is, without any library; the whole answer.
export async function raw(url, method, params) {
  id += 1;
  const body = JSON.stringify({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) });
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(answer.status, 200, `${method}: HTTP ${answer.status}`);
  const json = await answer.json();
  assert.equal(json.id, id, method);
  return json;
}

/// One call's result.
export async function call(url, method, params) {
  const answer = await raw(url, method, params);
  assert.equal(answer.error, undefined, `${method}: ${JSON.stringify(answer.error)}`);
  return answer.result;
}

/// Runs a client's checks, ends the process with what they came to.
export async function main(run) {
  const url = process.argv[2];
  if (!url) {
    console.error("usage: node FILE URL");
    process.exit(2);
  }
  try {
    await run(url);
    console.log(`${checks} checks held`);
    process.exit(0);
  } catch (error) {
    console.error("FAILED", error);
    process.exit(1);
  }
}
