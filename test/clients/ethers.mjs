// ethers 6 against a development chain: node ethers.mjs http://127.0.0.1:8545
// Deploys, calls, waits, sees the event by WebSocket, filter and query, reads revert reasons, sends a batch.
import assert from "node:assert/strict";
import { ethers } from "ethers";
import { compileGreeter } from "./compile.mjs";

const url = process.argv[2];
if (!url) {
  console.error("usage: node ethers.mjs URL");
  process.exit(2);
}
const PATIENCE_MS = 30_000;
// First key of the public test phrase.
const KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const http = new ethers.JsonRpcProvider(url, undefined, { pollingInterval: 200 });
const socket = new ethers.WebSocketProvider(url.replace(/^http/, "ws"));

function seen(what) {
  console.log(`ok  ${what}`);
}

function inTime(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${what}: nothing after ${PATIENCE_MS} ms`)), PATIENCE_MS).unref();
  });
  return Promise.race([promise, late]);
}

async function main() {
  const wallet = new ethers.Wallet(KEY, http);
  const from = await wallet.getAddress();
  const { chainId } = await http.getNetwork();
  assert.ok((await http.getBalance(from)) > 0n);
  seen(`chain id ${chainId}, the first account is funded`);

  const { abi, bytecode } = compileGreeter();
  const greeter = await new ethers.ContractFactory(abi, bytecode, wallet).deploy("hello");
  await inTime(greeter.waitForDeployment(), "deployment");
  const address = await greeter.getAddress();
  assert.notEqual(await http.getCode(address), "0x");
  assert.equal(await greeter.greeting(), "hello");
  seen(`deployed and read a contract compiled with solc's defaults: ${address}`);

  const live = new ethers.Contract(address, abi, socket);
  const told = new Promise((resolve) => live.once("Greeted", (by, greeting) => resolve({ by, greeting })));
  const polled = new Promise((resolve) => greeter.once("Greeted", (by, greeting) => resolve({ by, greeting })));
  const head = new Promise((resolve) => socket.once("block", resolve));
  // A subscription is in force once the node has answered; one round trip on the same socket is later than that.
  await socket.getBlockNumber();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const receipt = await inTime((await greeter.greet("good morning")).wait(), "receipt");
  assert.equal(receipt.status, 1);
  assert.deepEqual(await inTime(told, "event over WebSocket"), { by: from, greeting: "good morning" });
  seen("event over WebSocket");
  assert.deepEqual(await inTime(polled, "event by filter"), { by: from, greeting: "good morning" });
  seen("event by polling");
  assert.ok((await inTime(head, "newHeads")) > 0);
  seen("new head over WebSocket");
  const found = await greeter.queryFilter(greeter.filters.Greeted(from), 0, "latest");
  assert.deepEqual(found.map((event) => event.args.greeting), ["good morning"]);
  seen("event by query");

  await assert.rejects(greeter.greet.staticCall(""), (error) => error.reason === "say something");
  await assert.rejects(greeter.greet(""), (error) => error.reason === "say something");
  seen("revert reason of call and estimate");
  const tooLong = (error) => error.revert?.name === "TooLong" && error.revert.args[0] === 65n;
  await assert.rejects(greeter.greet.staticCall("x".repeat(65)), tooLong);
  seen("custom error");
  const forced = await greeter.greet("", { gasLimit: 100_000n });
  await assert.rejects(inTime(forced.wait(), "failed receipt"), (error) => error.receipt?.status === 0);
  seen("receipt of a reverted transaction");

  const id = await http.send("eth_newFilter", [{ address, fromBlock: "earliest" }]);
  assert.equal((await http.send("eth_getFilterLogs", [id])).length, 1);
  assert.equal(await http.send("eth_uninstallFilter", [id]), true);
  seen("filter with the logs of its range");
  const domain = { name: "msnet", version: "1", chainId, verifyingContract: address };
  const types = { Note: [{ name: "to", type: "address" }, { name: "text", type: "string" }] };
  const note = { to: from, text: "hello" };
  const signature = await wallet.signTypedData(domain, types, note);
  assert.equal(ethers.verifyTypedData(domain, types, note, signature), from);
  seen("typed data signed and recovered");
  const held = await http.send("eth_accounts", []);
  if (held.length > 0) {
    const signer = await http.getSigner(held[0]);
    const own = await signer.signTypedData(domain, types, note);
    assert.equal(ethers.verifyTypedData(domain, types, note, own), signer.address);
    seen("typed data signed by the node (eth_signTypedData_v4) and recovered");
  }
  const plain = await wallet.signMessage("msnet");
  assert.equal(ethers.verifyMessage("msnet", plain), from);

  // a nonce too far waits in the pool, where it can be replaced for sure; then the gap is filled
  const nonce = await wallet.getNonce("pending");
  const fee = await http.getFeeData();
  const cap = (fee.maxFeePerGas ?? fee.gasPrice) + 2_000_000_000n;
  const caps = (times) => ({ type: 2, maxFeePerGas: cap * times, maxPriorityFeePerGas: 1_000_000_000n * times });
  const first = await wallet.sendTransaction({ to: from, value: 1n, nonce: nonce + 1, gasLimit: 21_000n, ...caps(1n) });
  const second = await wallet.sendTransaction({ to: from, value: 2n, nonce: nonce + 1, gasLimit: 21_000n, ...caps(2n) });
  await wallet.sendTransaction({ to: from, value: 3n, nonce, gasLimit: 21_000n, ...caps(2n) });
  assert.equal((await inTime(second.wait(), "replacement")).status, 1);
  assert.equal(await http.getTransactionReceipt(first.hash), null);
  seen("a waiting transaction replaced by one that pays more");

  const [number, balance, block, fees] = await Promise.all([
    http.getBlockNumber(), http.getBalance(from), http.getBlock("latest", true), http.getFeeData(),
  ]);
  assert.ok(number > 0 && balance > 0n && block.number >= number - 1 && fees.gasPrice !== null);
  seen("batch of calls");
}

try {
  await main();
} catch (error) {
  console.error("FAILED", error);
  process.exitCode = 1;
} finally {
  http.destroy();
  await socket.destroy();
}
