// viem against a node: node check.mjs URL
// Deploys, fills and sends transactions, watches blocks, events and pending transactions over both transports, simulates,
// proves, makes access lists, reads fees, and tells errors apart.
import assert from "node:assert/strict";
import {
  createPublicClient, createWalletClient, defineChain, http, webSocket, parseEther, encodeFunctionData, keccak256, getAddress,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { KEYS, call, compileGreeter, eventually, inTime, main, raw, seen, sleep } from "../lib.mjs";

await main(async (url) => {
  const isAnvil = (await call(url, "web3_clientVersion")).startsWith("anvil");
  const id = Number(await call(url, "eth_chainId"));
  const chain = defineChain({
    id, name: "msnet", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
  const account = privateKeyToAccount(KEYS[1]);
  const client = createPublicClient({ chain, transport: http(url), pollingInterval: 200, cacheTime: 0 });
  const batched = createPublicClient({ chain, transport: http(url, { batch: true }), pollingInterval: 200 });
  const live = createPublicClient({ chain, transport: webSocket(url.replace(/^http/, "ws")) });
  const wallet = createWalletClient({ account, chain, transport: http(url) });
  assert.equal(await client.getChainId(), id);
  seen(`chain id ${id}`);

  const { abi, bytecode } = compileGreeter();
  const created = await wallet.deployContract({ abi, bytecode, args: ["hello"] });
  const { contractAddress: address, status } = await inTime(client.waitForTransactionReceipt({ hash: created }), "deployment");
  assert.equal(status, "success");
  const greeting = () => client.readContract({ address, abi, functionName: "greeting" });
  assert.equal(await greeting(), "hello");
  seen(`deployed ${address} and read it`);

  const heads = [];
  const polled = [];
  const events = [];
  const polledEvents = [];
  const pending = [];
  const fail = (error) => { throw error; };
  const stops = [
    live.watchBlocks({ onBlock: (block) => heads.push(block), onError: fail }),
    live.watchContractEvent({ address, abi, eventName: "Greeted", onLogs: (logs) => events.push(...logs), onError: fail }),
    live.watchPendingTransactions({ onTransactions: (hashes) => pending.push(...hashes), onError: fail }),
    client.watchBlockNumber({ onBlockNumber: (number) => polled.push(number), onError: fail }),
    client.watchContractEvent({ address, abi, eventName: "Greeted", onLogs: (logs) => polledEvents.push(...logs), onError: fail }),
  ];
  await live.getBlockNumber();
  await sleep(1_000);
  const { request } = await client.simulateContract({ account, address, abi, functionName: "greet", args: ["good morning"] });
  const hash = await wallet.writeContract(request);
  const receipt = await inTime(client.waitForTransactionReceipt({ hash }), "receipt");
  assert.equal(receipt.status, "success");
  assert.equal(await greeting(), "good morning");
  seen("simulated, wrote, waited");
  await eventually(() => events.some((log) => log.transactionHash === hash), "event over WebSocket");
  await eventually(() => polledEvents.some((log) => log.transactionHash === hash), "event by filter");
  await eventually(() => pending.includes(hash), "pending transaction over WebSocket");
  await eventually(() => heads.some((block) => block.number >= receipt.blockNumber), "block over WebSocket");
  await eventually(() => polled.some((number) => number >= receipt.blockNumber), "block number by polling");
  stops.forEach((stop) => stop());
  assert.deepEqual(events[0].args, { by: account.address, greeting: "good morning" });
  seen("watchers over WebSocket and HTTP: blocks, events, pending transactions");

  const found = await client.getContractEvents({ address, abi, eventName: "Greeted", fromBlock: 0n });
  assert.equal(found.length, 1);
  const filter = await client.createContractEventFilter({ address, abi, eventName: "Greeted", fromBlock: 0n });
  assert.equal((await client.getFilterLogs({ filter })).length, 1);
  assert.equal(await client.uninstallFilter({ filter }), true);
  const blocks = await client.createBlockFilter();
  await sleep(2_500);
  assert.ok((await client.getFilterChanges({ filter: blocks })).length > 0);
  await client.uninstallFilter({ filter: blocks });
  seen("events by query and by filter, block filter");

  const [number, balance, block, gasPrice] = await Promise.all([
    batched.getBlockNumber(), batched.getBalance({ address: account.address }), batched.getBlock({ includeTransactions: true }), batched.getGasPrice(),
  ]);
  assert.ok(number > 0n && balance > 0n && block.number >= number - 1n && gasPrice >= 0n);
  seen("a batch of calls");

  const reverted = await client.readContract({ account, address, abi, functionName: "greet", args: [""] }).catch((error) => error);
  assert.match(reverted.shortMessage ?? "", /say something/);
  const custom = await client.simulateContract({ account, address, abi, functionName: "greet", args: ["x".repeat(65)] }).catch((error) => error);
  assert.equal(custom.walk((error) => error.data?.errorName === "TooLong")?.data.args[0], 65n);
  const forced = await wallet.writeContract({ address, abi, functionName: "greet", args: [""], gas: 100_000n });
  assert.equal((await inTime(client.waitForTransactionReceipt({ hash: forced }), "failed receipt")).status, "reverted");
  seen("revert reason, custom error, reverted receipt");

  const proof = await client.getProof({ address, storageKeys: [`0x${"00".repeat(32)}`] });
  assert.equal(getAddress(proof.address), getAddress(address));
  assert.equal(proof.codeHash, keccak256(await client.getCode({ address })));
  assert.ok(proof.accountProof.length > 0 && proof.storageProof[0].proof.length > 0);
  const head = await client.getBlock({ blockNumber: await client.getBlockNumber() });
  const then = await client.getProof({ address, storageKeys: [], blockNumber: head.number });
  assert.equal(keccak256(then.accountProof[0]), head.stateRoot);
  seen("account and storage proof, rooted in the block's state root");

  const data = encodeFunctionData({ abi, functionName: "greet", args: ["again"] });
  const list = await client.createAccessList({ account, to: address, data });
  assert.ok(list.gasUsed > 21_000n && list.accessList.some((item) => getAddress(item.address) === getAddress(address)));
  seen("access list");
  const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] });
  assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1);
  const fees = await client.estimateFeesPerGas();
  assert.ok(fees.maxFeePerGas >= fees.maxPriorityFeePerGas);
  seen(`fee history, fees ${fees.maxFeePerGas} and ${fees.maxPriorityFeePerGas}`);

  const { results } = await client.simulateCalls({
    account: account.address,
    calls: [
      { to: address, abi, functionName: "greet", args: ["simulated"] },
      { to: address, abi, functionName: "greeting" },
      { to: address, abi, functionName: "greet", args: [""] },
    ],
  });
  assert.deepEqual(results.map((result) => result.status), ["success", "success", "failure"]);
  assert.equal(results[1].result, "simulated");
  assert.equal(await greeting(), "good morning");
  seen("simulateCalls: later calls see earlier ones, nothing stays");
  const simulated = await client.simulateBlocks({
    blocks: [{ calls: [{ to: address, data, from: account.address }], blockOverrides: { feeRecipient: account.address } }],
  });
  assert.equal(simulated.at(-1).calls[0].status, "success");
  seen("simulateBlocks with an override");

  if (!isAnvil) {
    const filled = await raw(url, "eth_fillTransaction", [{ from: account.address, to: address, data }]);
    assert.ok(filled.result.raw.startsWith("0x02") && filled.result.tx.nonce !== undefined, JSON.stringify(filled));
    seen("fillTransaction");
  }
  const prepared = await wallet.prepareTransactionRequest({ to: KEYS[2].slice(0, 42), value: parseEther("0.001") });
  const sent = await wallet.sendRawTransaction({ serializedTransaction: await wallet.signTransaction(prepared) });
  const paid = await inTime(client.waitForTransactionReceipt({ hash: sent }), "prepared transaction");
  assert.equal(paid.gasUsed, 21_000n);
  assert.equal((await client.getTransaction({ hash: sent })).value, parseEther("0.001"));
  seen("prepared, signed and sent a value");

  const missing = await raw(url, "eth_notThere", []);
  assert.equal(missing.error.code, -32601);
  const bare = await raw(url, "eth_newBlockFilter");
  assert.ok(bare.result.startsWith("0x"));
  seen("unknown method -32601, absent params");
});
