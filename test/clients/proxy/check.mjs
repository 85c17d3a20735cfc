// A node behind the proxy of docs/proxy.md: node check.mjs URL CERTIFICATE SECRET
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import WebSocket from "ws";
import { inTime, main, seen } from "../lib.mjs";

const ca = readFileSync(process.argv[3]);
const secret = Buffer.from(readFileSync(process.argv[4], "utf8").trim(), "hex");
// the name is nobody's: it is this machine
const lookup = (_name, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4));

/// One request; status, headers and body.
function ask(url, { method = "POST", path = "/", headers = {}, body = "" } = {}) {
  const { hostname, port } = new URL(url);
  return inTime(
    new Promise((resolve, reject) => {
      const request = https.request({ hostname, port, path, method, ca, lookup, headers: { "content-type": "application/json", ...headers } });
      request.on("response", (response) => {
        let text = "";
        response.on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      request.on("error", reject);
      request.end(body);
    }),
    `${method} ${path}`,
  );
}

const call = (method, params = []) => JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });

function token() {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ typ: "JWT", alg: "HS256" })}.${encode({ iat: Math.floor(Date.now() / 1000) })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

await main(async (url) => {
  const plain = await ask(url, { body: call("eth_chainId") });
  assert.deepEqual([plain.status, JSON.parse(plain.text).result], [200, "0x539"]);
  assert.equal(plain.headers["access-control-allow-origin"], undefined);
  seen("a call over TLS");

  const origin = "https://app.example.org";
  const page = await ask(url, { headers: { origin }, body: call("eth_chainId") });
  assert.equal(page.headers["access-control-allow-origin"], origin);
  const preflight = await ask(url, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
  assert.equal(preflight.status, 200);
  assert.match(preflight.headers["access-control-allow-methods"], /POST/);
  seen("CORS is the node's, said once");

  const ready = await ask(url, { method: "GET", path: "/readiness" });
  assert.deepEqual([ready.status, JSON.parse(ready.text).ready], [200, true]);
  seen("readiness");

  const shown = await ask(url, { headers: { authorization: `Bearer ${token()}` }, body: call("admin_peers") });
  assert.deepEqual([shown.status, JSON.parse(shown.text).result], [200, []]);
  const wrong = await ask(url, { headers: { authorization: "Bearer a.b.c" }, body: call("eth_chainId") });
  assert.equal(wrong.status, 401);
  seen("a token passes, a wrong one is refused");

  const large = await ask(url, { body: " ".repeat(6 * 1024 * 1024) });
  assert.equal(large.status, 413);
  seen("a body over 5 MiB is refused");

  const socket = new WebSocket(url.replace("https", "wss"), { ca, lookup, origin });
  const messages = [];
  socket.on("message", (data) => messages.push(JSON.parse(data)));
  await inTime(new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject)), "the WebSocket opens");
  socket.send(call("eth_subscribe", ["newHeads"]));
  await inTime(
    new Promise((resolve) => {
      const look = setInterval(() => {
        if (messages.filter(({ method }) => method === "eth_subscription").length < 2) return;
        clearInterval(look);
        resolve();
      }, 50);
    }),
    "two heads by subscription",
  );
  socket.close();
  const stranger = new WebSocket(url.replace("https", "wss"), { ca, lookup, origin: "https://evil.example" });
  const refusal = await inTime(new Promise((resolve) => stranger.on("unexpected-response", (_, response) => resolve(response.statusCode)).on("error", () => {})), "a foreign page");
  assert.equal(refusal, 403);
  seen("WebSocket with subscriptions; a page of a foreign origin is refused");

  // the proxy adds whom it sees; here that is this machine, a proxy too, so the one named before it is whose units count
  const claim = await ask(url, { headers: { "x-forwarded-for": "203.0.113.9" }, body: JSON.stringify(Array(300).fill(JSON.parse(call("eth_getLogs", [{}])))) });
  const refused = JSON.parse(claim.text).filter(({ error }) => error?.code === -32005).length;
  assert.ok(refused > 50 && refused < 150, `${refused} of 300 searches refused`);
  const own = await ask(url, { body: call("eth_chainId") });
  assert.equal(own.status, 200);
  seen("calls count for the client that the proxy names");
});
