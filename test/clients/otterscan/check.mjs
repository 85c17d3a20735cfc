// The calls that Otterscan makes, with answers equal to anvil's for the same transactions: node check.mjs URL ANVIL
// Each address, creation, transfer and failure is signed once and sent to both; hashes, block hashes, roots, the sealer
// and times aside, what the explorer shows must be the same.
import assert from "node:assert/strict";
import { ethers } from "ethers";
import { KEYS, call, compileGreeter, eventually, main, raw, seen } from "../lib.mjs";

const anvil = process.argv[3];

/// Members that differ from chain to chain.
const OWN = new Set([
  "hash", "blockHash", "parentHash", "stateRoot", "receiptsRoot", "transactionsRoot", "logsBloom", "miner", "extraData", "mixHash", "nonceOfBlock",
  "timestamp", "blockTimestamp", "difficulty", "totalDifficulty", "size", "gasLimit", "baseFeePerGas", "blockNumber", "number", "gasPrice",
  "effectiveGasPrice", "withdrawals", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash", "totalFees",
  "transactionHash", "r", "s", "v", "yParity", "sha3Uncles", "slotsOf", "blobGasPrice", "chainId", "root", "cumulativeGasUsed", "transactionIndex", "logIndex",
]);

/// What is left of a value without them.
function shape(value) {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === "string") return value.toLowerCase();
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name, item]) => !OWN.has(name) && item !== null && item !== undefined);
  return Object.fromEntries(kept.map(([name, item]) => [name, shape(item)]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

await main(async (url) => {
  const nodes = [url, anvil].filter(Boolean);
  assert.ok(BigInt(await call(url, "ots_getApiLevel", [])) >= 8n);
  const header = await call(url, "erigon_getHeaderByNumber", [0]);
  assert.equal(header.number, "0x0");
  seen("API level and header by number, as its start page asks");

  const { abi, bytecode } = compileGreeter();
  const greeter = new ethers.Interface(abi);
  const account = new ethers.Wallet(KEYS[2]);
  const sides = [];
  for (const node of nodes) {
    const chainId = BigInt(await call(node, "eth_chainId", []));
    let nonce = Number(await call(node, "eth_getTransactionCount", [account.address, "latest"]));
    const first = nonce;
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
    const paid = await send({ to: "0x00000000000000000000000000000000000007e5", value: 7n });
    sides.push({ node, to, created, greeted, failed, paid, first });
  }
  assert.deepEqual(sides.map(({ failed }) => failed.status), sides.map(() => "0x0"));
  seen(`the same four transactions on ${nodes.length} nodes`);

  const ask = async (what, method, params, read = (answer) => answer) => {
    const answers = [];
    for (const side of sides) answers.push(read(await call(side.node, method, params(side)), side));
    assert.notEqual(answers[0], undefined, what);
    if (answers.length > 1) assert.deepEqual(shape(answers[0]), shape(answers[1]), what);
    seen(what);
    return answers[0];
  };
  const n = (receipt) => Number(receipt.blockNumber);
  await ask("ots_hasCode", "ots_hasCode", ({ to }) => [to, "latest"]);
  await ask("ots_getTransactionError: the reason", "ots_getTransactionError", ({ failed }) => [failed.transactionHash]);
  await ask("ots_getTransactionError: none", "ots_getTransactionError", ({ greeted }) => [greeted.transactionHash]);
  await ask("ots_getInternalOperations", "ots_getInternalOperations", ({ created }) => [created.transactionHash]);
  await ask("ots_traceTransaction", "ots_traceTransaction", ({ greeted }) => [greeted.transactionHash]);
  await ask("ots_getBlockDetails", "ots_getBlockDetails", ({ greeted }) => [n(greeted)], ({ block, issuance }) => ({ count: Number(block.transactionCount), issuance }));
  await ask("ots_getBlockDetailsByHash", "ots_getBlockDetailsByHash", ({ greeted }) => [greeted.blockHash], ({ block }) => Number(block.transactionCount));
  await ask("ots_getBlockTransactions", "ots_getBlockTransactions", ({ greeted }) => [n(greeted), 0, 25], (page) => ({
    transactions: page.fullblock.transactions.map(({ from, to, input, nonce }) => ({ from, to, input, nonce })),
    receipts: page.receipts.map(({ status, gasUsed, contractAddress }) => ({ status, gasUsed, contractAddress })),
  }));
  await ask("ots_getTransactionBySenderAndNonce", "ots_getTransactionBySenderAndNonce", ({ first }) => [account.address, first + 1], (hash, side) => hash === side.greeted.transactionHash);
  await ask("ots_getContractCreator", "ots_getContractCreator", ({ to }) => [to], ({ hash, creator }, side) => ({ creator, isIt: hash === side.created.transactionHash }));
  const page = ({ txs, firstPage, lastPage }) => ({ txs: txs.map(({ from, to, input, value, nonce }) => ({ from, to, input, value, nonce })), firstPage, lastPage });
  await ask("ots_searchTransactionsBefore", "ots_searchTransactionsBefore", ({ to }) => [to, 0, 25], page);
  await ask("ots_searchTransactionsAfter", "ots_searchTransactionsAfter", ({ to }) => [to, 0, 25], page);
  for (const side of sides.slice(0, 1)) {
    const block = await call(side.node, "ots_getBlockDetails", [n(side.paid)]);
    const signer = await raw(side.node, "clique_getSigner", [side.paid.blockNumber]);
    assert.equal(block.block.miner, signer.result, "its page shows who sealed");
  }
  seen("the sealer stands as miner");
});
