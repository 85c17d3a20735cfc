// The calls that the Remix editor makes of an external HTTP provider, in its order: node check.mjs URL
// A page of its origin may ask; a deployment and a call go out; the debugger walks over a reverted transaction.
// Keys are the node's own (a development chain), or the first of the test phrase where it has none.
import assert from "node:assert/strict";
import { ethers } from "ethers";
import { KEYS, call, compileGreeter, eventually, main, raw, seen } from "../lib.mjs";

const ORIGIN = "https://remix.ethereum.org";

await main(async (url) => {
  const isDev = (await call(url, "eth_accounts", [])).length > 0;
  if (isDev) {
    const answer = await fetch(url, {
      method: "OPTIONS",
      headers: { origin: ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
    });
    assert.equal(answer.headers.get("access-control-allow-origin"), ORIGIN);
    assert.match(answer.headers.get("access-control-allow-headers"), /content-type/);
    seen("a page of Remix may ask (preflight)");
  }
  assert.equal(await call(url, "net_version", []), String(Number(await call(url, "eth_chainId", []))));
  const genesis = await call(url, "eth_getBlockByNumber", ["0x0", false]);
  assert.equal(genesis.number, "0x0");
  seen(`net_version and block 0 ${genesis.hash}`);

  const { abi, bytecode } = compileGreeter();
  const greeter = new ethers.Interface(abi);
  const provider = new ethers.JsonRpcProvider(url, undefined, { polling: true, pollingInterval: 200 });
  const wallet = new ethers.Wallet(KEYS[0], provider);
  const from = (await call(url, "eth_accounts", []))[0] ?? wallet.address;
  assert.ok(BigInt(await call(url, "eth_getBalance", [from, "latest"])) > 0n);
  const send = async (transaction) => {
    const gas = transaction.gas ?? (await call(url, "eth_estimateGas", [{ from, ...transaction }]));
    if (isDev) return call(url, "eth_sendTransaction", [{ from, ...transaction, gas }]);
    const { gas: _, ...fields } = transaction;
    return (await wallet.sendTransaction({ ...fields, gasLimit: gas })).hash;
  };
  const receiptOf = (hash) => eventually(() => call(url, "eth_getTransactionReceipt", [hash]), `receipt of ${hash}`);
  const creation = bytecode + greeter.encodeDeploy(["hello"]).slice(2);
  const deployed = await receiptOf(await send({ data: creation }));
  assert.equal(deployed.status, "0x1");
  const to = deployed.contractAddress;
  assert.ok((await call(url, "eth_getCode", [to, "latest"])).length > 2);
  const said = await call(url, "eth_call", [{ from, to, data: greeter.encodeFunctionData("greeting") }, "latest"]);
  assert.deepEqual([...greeter.decodeFunctionResult("greeting", said)], ["hello"]);
  seen(`deployed ${to} and called it`);

  const data = greeter.encodeFunctionData("greet", [""]);
  const refused = await raw(url, "eth_estimateGas", [{ from, to, data }]);
  assert.equal(refused.error.code, 3);
  assert.equal(greeter.parseError(refused.error.data).args[0], "say something");
  const hash = await send({ to, data, gas: "0x186a0" });
  const failed = await receiptOf(hash);
  assert.equal(failed.status, "0x0");
  seen("a transaction that reverts");

  const trace = await call(url, "debug_traceTransaction", [hash, {}]);
  assert.equal(trace.failed, true);
  assert.ok(trace.structLogs.length > 20, "steps to walk over");
  const steps = trace.structLogs;
  assert.equal(steps.at(-1).op, "REVERT");
  for (const [index, step] of steps.entries()) {
    assert.ok(Number.isInteger(step.pc) && Number.isInteger(step.gas) && Array.isArray(step.stack), `step ${index}`);
    if (index > 0 && step.depth === steps[index - 1].depth) assert.ok(step.gas <= steps[index - 1].gas, `gas of step ${index}`);
  }
  seen(`debugger: ${steps.length} steps from ${steps[0].op} to ${steps.at(-1).op}`);
  const transaction = await call(url, "eth_getTransactionByHash", [hash]);
  const range = await call(url, "debug_storageRangeAt", [
    transaction.blockHash, Number(transaction.transactionIndex), to, `0x${"0".repeat(64)}`, 1000,
  ]);
  const slots = Object.values(range.storage);
  assert.equal(slots.length, 1);
  assert.equal(ethers.toUtf8String(`0x${slots[0].value.slice(2, 12)}`), "hello");
  seen("debugger: storage before the transaction");
  const key = slots[0].key ?? (await call(url, "debug_preimage", [Object.keys(range.storage)[0]]));
  assert.equal(BigInt(key), 0n);
  seen("debugger: the slot behind its hash");
});
