// The calls that Blockscout's indexer makes of a geth (ETHEREUM_JSONRPC_VARIANT=geth, BLOCK_TRANSFORMER=clique), in its batches
// and forms: node check.mjs URL [ANVIL]
// What it reads of each answer must be there; with ANVIL the traces of the same transactions must be the same.
import assert from "node:assert/strict";
import { ethers } from "ethers";
import WebSocket from "ws";
import { KEYS, call, compileGreeter, eventually, inTime, main, raw, seen } from "../lib.mjs";

const anvil = process.argv[3];
const HASH = /^0x[0-9a-f]{64}$/;
const QUANTITY = /^0x(0|[1-9a-f][0-9a-f]*)$/;
const DATA = /^0x([0-9a-f]{2})*$/;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

/// Several calls in one body, as its catch-up indexer sends them; results in the order of the calls.
async function batch(url, calls) {
  const body = JSON.stringify(calls.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params })));
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(answer.status, 200);
  const answers = await answer.json();
  assert.equal(answers.length, calls.length);
  return calls.map(([method], id) => {
    const found = answers.find((one) => one.id === id);
    assert.ok(found && found.error === undefined, `${method}: ${JSON.stringify(found)}`);
    return found.result;
  });
}

function check(object, forms, what) {
  for (const [name, form] of Object.entries(forms)) {
    assert.ok(name in object, `${what}: no ${name}`);
    const isOptional = Array.isArray(form);
    if (isOptional && object[name] === null) continue;
    assert.match(String(object[name]), isOptional ? form[0] : form, `${what}.${name}`);
  }
}

const BLOCK = {
  difficulty: QUANTITY, extraData: DATA, gasLimit: QUANTITY, gasUsed: QUANTITY, hash: HASH, logsBloom: DATA, miner: ADDRESS, mixHash: HASH, nonce: DATA,
  number: QUANTITY, parentHash: HASH, receiptsRoot: HASH, sha3Uncles: HASH, size: QUANTITY, stateRoot: HASH, timestamp: QUANTITY, totalDifficulty: QUANTITY,
  transactionsRoot: HASH,
};
const TRANSACTION = {
  blockHash: HASH, blockNumber: QUANTITY, from: ADDRESS, gas: QUANTITY, gasPrice: QUANTITY, hash: HASH, input: DATA, nonce: QUANTITY, r: QUANTITY, s: QUANTITY,
  to: [ADDRESS], transactionIndex: QUANTITY, v: QUANTITY, value: QUANTITY, type: QUANTITY,
};
const RECEIPT = {
  contractAddress: [ADDRESS], cumulativeGasUsed: QUANTITY, gasUsed: QUANTITY, status: /^0x[01]$/, transactionHash: HASH, transactionIndex: QUANTITY,
  effectiveGasPrice: QUANTITY,
};
const LOG = { address: ADDRESS, blockHash: HASH, blockNumber: QUANTITY, data: DATA, logIndex: QUANTITY, transactionHash: HASH, transactionIndex: QUANTITY };

/// The signer of a Clique block, as its block transformer takes it from the header; what it shows as miner.
function signer(block) {
  const extra = ethers.getBytes(block.extraData);
  const [unsealed, seal] = [extra.slice(0, -65), extra.slice(-65)];
  const fields = [
    block.parentHash, block.sha3Uncles, block.miner, block.stateRoot, block.transactionsRoot, block.receiptsRoot, block.logsBloom, block.difficulty,
    block.number, block.gasLimit, block.gasUsed, block.timestamp, ethers.hexlify(unsealed), block.mixHash, block.nonce,
  ];
  if (block.baseFeePerGas !== undefined) fields.push(block.baseFeePerGas);
  const numbers = new Set([7, 8, 9, 10, 11, 15]);
  const rlp = fields.map((field, index) => (numbers.has(index) ? ethers.stripZerosLeft(ethers.toBeHex(field)) : field));
  const digest = ethers.keccak256(ethers.encodeRlp(rlp));
  const [r, s] = [ethers.hexlify(seal.slice(0, 32)), ethers.hexlify(seal.slice(32, 64))];
  return ethers.recoverAddress(digest, { r, s, v: 27 + seal[64] });
}

/// A trace without what differs from chain to chain.
const shape = ({ from, to, type, value, input, output, error, calls = [] }, own) => ({
  from: from.toLowerCase(), to: to?.toLowerCase() === own ? "own" : to?.toLowerCase(), type, value, input, output, error, calls: calls.map((frame) => shape(frame, own)),
});

await main(async (url) => {
  const { abi, bytecode } = compileGreeter();
  const greeter = new ethers.Interface(abi);
  const account = new ethers.Wallet(KEYS[1]);
  const sides = [];
  for (const node of [url, anvil].filter(Boolean)) {
    const chainId = BigInt(await call(node, "eth_chainId", []));
    let nonce = Number(await call(node, "eth_getTransactionCount", [account.address, "latest"]));
    const send = async (fields) => {
      const signed = await account.signTransaction({
        type: 2, chainId, nonce, gasLimit: 1_000_000n, maxFeePerGas: 10_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n, ...fields,
      });
      nonce += 1;
      const hash = await call(node, "eth_sendRawTransaction", [signed]);
      return eventually(() => call(node, "eth_getTransactionReceipt", [hash]), `receipt of ${hash}`);
    };
    const created = await send({ data: bytecode + greeter.encodeDeploy(["hello"]).slice(2) });
    const to = created.contractAddress;
    const greeted = await send({ to, data: greeter.encodeFunctionData("greet", ["good morning"]) });
    const failed = await send({ to, data: greeter.encodeFunctionData("greet", [""]) });
    sides.push({ node, to, created, greeted, failed });
  }
  const { to, created, greeted, failed } = sides[0];
  seen("a creation, a call with an event, a call that reverts");

  // start: who is there, how far is it
  const version = await call(url, "net_version", []);
  assert.match(version, /^[0-9]+$/);
  assert.match(await call(url, "web3_clientVersion", []), /./);
  const [chainId, head, syncing, peers] = await batch(url, [["eth_chainId", []], ["eth_blockNumber", []], ["eth_syncing", []], ["net_peerCount", []]]);
  assert.equal(BigInt(chainId), BigInt(version));
  assert.match(head, QUANTITY);
  assert.equal(syncing, false);
  assert.match(peers, QUANTITY);
  seen("chain, client, height, peers");

  // catch-up: ranges of blocks with transactions, then their receipts, by batches
  const last = Number(failed.blockNumber);
  const numbers = Array.from({ length: last + 1 }, (_, number) => ethers.toQuantity(number));
  const blocks = await batch(url, numbers.map((number) => ["eth_getBlockByNumber", [number, true]]));
  for (const [index, block] of blocks.entries()) {
    check(block, BLOCK, `block ${index}`);
    if (index > 0) assert.equal(block.parentHash, blocks[index - 1].hash);
    for (const transaction of block.transactions) check(transaction, TRANSACTION, `transaction of ${index}`);
    assert.deepEqual(block.uncles, []);
  }
  seen(`blocks 0 to ${last} with their transactions, linked`);
  const hashes = blocks.flatMap((block) => block.transactions.map(({ hash }) => hash));
  const receipts = await batch(url, hashes.map((hash) => ["eth_getTransactionReceipt", [hash]]));
  for (const receipt of receipts) {
    check(receipt, RECEIPT, "receipt");
    for (const log of receipt.logs) check(log, LOG, "log");
  }
  const byBlock = await batch(url, numbers.map((number) => ["eth_getBlockReceipts", [number]]));
  assert.deepEqual(byBlock.flat(), receipts);
  seen(`${receipts.length} receipts, one by one and by block`);
  const signers = await call(url, "clique_getSigners", ["latest"]);
  for (const block of blocks.slice(1)) {
    const who = signer(block).toLowerCase();
    assert.ok(signers.map((one) => one.toLowerCase()).includes(who), `block ${block.number} is by ${who}`);
  }
  seen("its Clique transformer finds the sealer in each header");
  const beyond = ethers.toQuantity(last + 1_000_000);
  assert.deepEqual(await batch(url, [["eth_getBlockByNumber", [beyond, true]], ["eth_getBlockByHash", [`0x${"ab".repeat(32)}`, true]]]), [null, null]);
  seen("blocks that are not there are null");

  // internal transactions
  const tracer = { tracer: "callTracer", timeout: "5s" };
  const traces = await batch(url, [created, greeted, failed].map(({ transactionHash }) => ["debug_traceTransaction", [transactionHash, tracer]]));
  assert.deepEqual(traces.map(({ type }) => type), ["CREATE", "CALL", "CALL"]);
  assert.equal(traces[2].error, "execution reverted");
  const ofBlock = await call(url, "debug_traceBlockByNumber", [greeted.blockNumber, tracer]);
  const mine = ofBlock.find(({ txHash }) => txHash === greeted.transactionHash);
  assert.deepEqual(mine?.result, traces[1]);
  seen("traces of calls, one by one and by block");
  if (sides.length > 1) {
    const other = await batch(sides[1].node, [sides[1].created, sides[1].greeted, sides[1].failed].map(({ transactionHash }) => ["debug_traceTransaction", [transactionHash, tracer]]));
    const own = traces.map((trace) => shape(trace, to.toLowerCase()));
    const theirs = other.map((trace) => shape(trace, sides[1].to.toLowerCase()));
    for (const index of [0, 1]) assert.deepEqual(own[index], theirs[index]);
    seen("the same frames as anvil's");
  }

  // balances, code and contracts at a block, by batches
  const at = greeted.blockNumber;
  const [balance, code, slot, count] = await batch(url, [
    ["eth_getBalance", [account.address, at]],
    ["eth_getCode", [to, at]],
    ["eth_getStorageAt", [to, "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc", "latest"]],
    ["eth_getTransactionCount", [account.address, at]],
  ]);
  assert.match(balance, QUANTITY);
  assert.ok(code.length > 2);
  assert.equal(slot, ethers.ZeroHash);
  assert.match(count, QUANTITY);
  const greeting = await call(url, "eth_call", [{ to, data: greeter.encodeFunctionData("greeting", []) }, at]);
  assert.equal(greeter.decodeFunctionResult("greeting", greeting)[0], "good morning");
  const refused = await raw(url, "eth_call", [{ to, data: greeter.encodeFunctionData("greet", [""]) }, "latest"]);
  assert.equal(refused.error.code, 3);
  assert.match(refused.error.data, DATA);
  seen("balances, code, proxies' slots, nonces and calls at a block; the reason of a refusal");
  const logs = await call(url, "eth_getLogs", [{ fromBlock: "0x0", toBlock: "latest", address: to, topics: [greeted.logs[0].topics[0]] }]);
  assert.ok(logs.length >= 1);
  seen("logs of an address");

  // the pool, and heads as they come
  const pool = await call(url, "txpool_content", []);
  assert.deepEqual(Object.keys(pool).sort(), ["pending", "queued"]);
  const pending = await call(url, "eth_getBlockByNumber", ["pending", true]);
  assert.equal(pending.hash, null);
  seen("the pool and the pending block");
  const socket = new WebSocket(url.replace("http", "ws"));
  const message = await inTime(
    new Promise((resolve, reject) => {
      socket.on("open", () => socket.send(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "eth_subscribe", params: ["newHeads"] })));
      socket.on("message", (data) => {
        const message = JSON.parse(data);
        if (message.method === "eth_subscription") resolve(message.params.result);
      });
      socket.on("error", reject);
    }),
    "a new head",
  );
  check(message, { number: QUANTITY, hash: HASH, parentHash: HASH, timestamp: QUANTITY }, "head");
  socket.close();
  seen("new heads over WebSocket");
});
