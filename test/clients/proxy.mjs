// Between a client and a node: passes everything through, and holds every answer to the standard.
//
//   node proxy.mjs TARGET SCHEMA REPORT
//
// Prints its own address. HTTP and WebSocket; a batch is judged call by call. Each answer is an object with version, id
// and either result or error; a result fits the schema of its method in openrpc.json (Ajv, draft 2019-09), unless the
// method is not in there or the answer is about the pending block. REPORT gets the counts and every misfit.
import { createServer, request } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import Ajv from "ajv/dist/2019.js";
import { WebSocket, WebSocketServer } from "ws";

const [target, schemaFile, reportFile] = process.argv.slice(2);
if (!reportFile) {
  console.error("usage: node proxy.mjs TARGET SCHEMA REPORT");
  process.exit(2);
}
const ajv = new Ajv.default({ strict: false, allErrors: false, logger: false });
const judges = new Map();
for (const method of JSON.parse(readFileSync(schemaFile, "utf8")).methods) {
  // an empty list is one of hashes as well as one of logs: more than one alternative may fit
  const text = JSON.stringify(method.result.schema).replaceAll('"oneOf"', '"anyOf"');
  // geth 1.13 knows no blockTimestamp in transactions, and Clique chains speak as it does
  const schema = JSON.parse(text, (name, value) => (name === "required" && Array.isArray(value) ? value.filter((one) => one !== "blockTimestamp") : value));
  judges.set(method.name, ajv.compile(schema));
}

const report = { answers: 0, judged: 0, methods: {}, misfits: [] };
function save() {
  writeFileSync(reportFile, JSON.stringify(report, null, 1));
}

function misfit(call, answer, why) {
  const text = (value) => JSON.stringify(value)?.slice(0, 2_000);
  report.misfits.push({ why, call: text(call), answer: text(answer) });
  console.error(`MISFIT ${call?.method}: ${why}\n  call   ${text(call)}\n  answer ${text(answer)}`);
}

const isPending = (call) => JSON.stringify(call.params ?? []).includes('"pending"');

/// One answer to one call.
function judge(call, answer) {
  report.answers += 1;
  if (typeof answer !== "object" || answer === null || answer.jsonrpc !== "2.0") {
    return misfit(call, answer, "no answer object of version 2.0");
  }
  const has = ["result", "error"].filter((member) => member in answer);
  if (has.length !== 1) return misfit(call, answer, "not exactly one of result and error");
  if (has[0] === "error") {
    const { code, message } = answer.error ?? {};
    if (!Number.isInteger(code) || typeof message !== "string") misfit(call, answer, "no error object");
    return undefined;
  }
  const known = judges.get(call.method);
  // the document gives a waiting transaction no null fields; every client's answer has them
  if (/^eth_getTransactionBy/.test(call.method) && answer.result?.blockHash === null) return undefined;
  // of a filled transaction it wants a gasPrice that its own recorded exchange gives as null
  if (call.method === "eth_fillTransaction") return undefined;
  if (!known || (isPending(call) && /Block|Transaction/.test(call.method))) return undefined;
  report.judged += 1;
  report.methods[call.method] = (report.methods[call.method] ?? 0) + 1;
  if (!known(answer.result)) misfit(call, answer, ajv.errorsText(known.errors));
  return undefined;
}

/// A whole body and what came back; what is no JSON is nobody's call.
function judgeAll(sent, got) {
  let calls;
  let answers;
  try {
    calls = JSON.parse(sent);
  } catch {
    return;
  }
  try {
    answers = JSON.parse(got);
  } catch {
    if (got !== "") misfit(calls, got, "no JSON came back");
    return;
  }
  if (!Array.isArray(calls)) return judge(calls, answers);
  if (!Array.isArray(answers)) return;
  for (const answer of answers) {
    const call = calls.find((one) => one?.id === answer.id);
    if (call) judge(call, answer);
  }
}

const server = createServer((incoming, outgoing) => {
  const parts = [];
  incoming.on("data", (part) => parts.push(part));
  incoming.on("end", () => {
    const body = Buffer.concat(parts);
    const url = new URL(incoming.url, target);
    const headers = { ...incoming.headers, host: url.host };
    const onward = request(url, { method: incoming.method, headers }, (answer) => {
      const back = [];
      answer.on("data", (part) => back.push(part));
      answer.on("end", () => {
        const text = Buffer.concat(back);
        if (answer.statusCode === 200) judgeAll(body.toString(), text.toString());
        outgoing.writeHead(answer.statusCode, answer.headers);
        outgoing.end(text);
      });
    });
    onward.on("error", () => outgoing.destroy());
    onward.end(body);
  });
});

const sockets = new WebSocketServer({ server });
sockets.on("connection", (client) => {
  const upstream = new WebSocket(target.replace(/^http/, "ws"), { maxPayload: 256 * 1024 * 1024 });
  const calls = new Map();
  const waiting = [];
  const note = (call) => call?.id !== undefined && calls.set(JSON.stringify(call.id), call);
  const settle = (answer) => {
    const call = calls.get(JSON.stringify(answer?.id));
    calls.delete(JSON.stringify(answer?.id));
    if (call) judge(call, answer);
  };
  const onward = (text) => {
    try {
      const sent = JSON.parse(text);
      [sent].flat().forEach(note);
    } catch {
      // nobody's call
    }
    upstream.send(text);
  };
  client.on("message", (data) => {
    if (upstream.readyState === WebSocket.OPEN) onward(data.toString());
    else waiting.push(data.toString());
  });
  upstream.on("open", () => waiting.splice(0).forEach(onward));
  upstream.on("message", (data) => {
    const text = data.toString();
    [JSON.parse(text)].flat().forEach((answer) => {
      if (answer.method === undefined) settle(answer);
    });
    client.send(text);
  });
  client.on("close", () => upstream.close());
  upstream.on("close", () => client.close());
  client.on("error", () => upstream.terminate());
  upstream.on("error", () => client.terminate());
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    save();
    process.exit(0);
  });
}
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
