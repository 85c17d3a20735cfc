// MetaMask's controllers without a browser against a node: node check.mjs URL
// The network is added and found fit, fees are estimated from the node, value sent, a contract deployed, a call that
// cannot succeed flagged before it is sent, a reverted transaction told as failed, a pending one speeded up, messages
// signed; every call that the wallet lets a page make goes through its provider.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { call, compileGreeter, eventually, inTime, main, seen, sleep } from "../lib.mjs";

const require = createRequire(import.meta.url);
const { Messenger } = require("@metamask/messenger");
const { NetworkController } = require("@metamask/network-controller");
const { GasFeeController } = require("@metamask/gas-fee-controller");
const { TransactionController, TransactionType } = require("@metamask/transaction-controller");
const { KeyringController, SignTypedDataVersion } = require("@metamask/keyring-controller");
const { ApprovalController } = require("@metamask/approval-controller");

// sixth key of the public test phrase
const KEY = "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba";
/// A user needs so long to click.
const CLICK_MS = 300;

const root = new Messenger({ namespace: "Root" });
function child(namespace, actions = [], events = []) {
  const messenger = new Messenger({ namespace, parent: root });
  root.delegate({ messenger, actions, events });
  return messenger;
}
function stand(namespace, actions) {
  const messenger = new Messenger({ namespace, parent: root });
  for (const [name, handler] of Object.entries(actions)) messenger.registerActionHandler(`${namespace}:${name}`, handler);
}

await main(async (url) => {
  const chainId = await call(url, "eth_chainId");
  stand("ErrorReportingService", { captureException: (error) => console.error("reported:", error.message) });
  stand("RemoteFeatureFlagController", { getState: () => ({ remoteFeatureFlags: {}, cacheTimestamp: 0 }) });

  const keyring = new KeyringController({ messenger: child("KeyringController") });
  await keyring.createNewVaultAndKeychain("a password");
  const from = (await keyring.importAccountWithStrategy("privateKey", [KEY])).toLowerCase();
  const account = { id: "1", address: from, type: "eip155:eoa", methods: [], options: {}, scopes: ["eip155:0"], metadata: { name: "a", keyring: { type: "Simple Key Pair" }, importTime: 0 } };
  stand("AccountsController", {
    getSelectedAccount: () => account,
    getState: () => ({ internalAccounts: { accounts: { 1: account }, selectedAccount: "1" } }),
  });

  const network = new NetworkController({
    messenger: child("NetworkController", ["ErrorReportingService:captureException"]),
    infuraProjectId: "0".repeat(32),
    getRpcServiceOptions: () => ({ fetch, btoa }),
    getBlockTrackerOptions: () => ({ pollingInterval: 500 }),
  });
  const added = network.addNetwork({
    chainId, name: "msnet", nativeCurrency: "ETH", blockExplorerUrls: [], defaultRpcEndpointIndex: 0,
    rpcEndpoints: [{ type: "custom", name: "msnet", url }],
  });
  const networkClientId = added.rpcEndpoints[0].networkClientId;
  await network.setActiveNetwork(networkClientId);
  const { provider, blockTracker } = network.getNetworkClientById(networkClientId);
  await network.lookupNetwork(networkClientId);
  const metadata = network.state.networksMetadata[networkClientId];
  assert.equal(metadata.status, "available");
  seen("network added and available");
  assert.equal(await network.getEIP1559Compatibility(networkClientId), true);
  seen("it is taken for an EIP-1559 network");
  const first = Number(await inTime(blockTracker.getLatestBlock(), "block tracker"));
  await eventually(async () => Number(await blockTracker.getLatestBlock()) > first, "a later block of the tracker");
  seen("block tracker moves on");

  const gasFee = new GasFeeController({
    messenger: child("GasFeeController", ["NetworkController:getState", "NetworkController:getNetworkClientById", "NetworkController:getEIP1559Compatibility"], ["NetworkController:networkDidChange"]),
    getCurrentNetworkEIP1559Compatibility: async () => true,
    getCurrentAccountEIP1559Compatibility: () => true,
    getCurrentNetworkLegacyGasAPICompatibility: () => false,
    getProvider: () => provider,
    // nobody is there: estimates have to come from the node
    EIP1559APIEndpoint: "http://127.0.0.1:9/<chain_id>",
    legacyAPIEndpoint: "http://127.0.0.1:9/<chain_id>",
    clientId: "test",
  });
  const estimates = await inTime(gasFee.fetchGasFeeEstimates({ networkClientId }), "fee estimates");
  assert.equal(estimates.gasEstimateType, "eth_gasPrice");
  seen(`fee estimate by eth_gasPrice: ${estimates.gasFeeEstimates.gasPrice} gwei`);

  const approval = new ApprovalController({
    messenger: child("ApprovalController"), showApprovalRequest: () => {}, typesExcludedFromRateLimiting: ["transaction"],
  });
  const transactions = new TransactionController({
    messenger: child("TransactionController", [
      "AccountsController:getSelectedAccount", "AccountsController:getState", "ApprovalController:addRequest",
      "NetworkController:findNetworkClientIdByChainId", "NetworkController:getNetworkClientById", "RemoteFeatureFlagController:getState",
    ], ["NetworkController:stateChange"]),
    disableHistory: true, disableSendFlowHistory: true, disableSwaps: true, transactionHistoryLimit: 60,
    getCurrentAccountEIP1559Compatibility: async () => true,
    getCurrentNetworkEIP1559Compatibility: async () => true,
    getGasFeeEstimates: (options) => gasFee.fetchGasFeeEstimates(options),
    getNetworkClientRegistry: () => network.getNetworkClientRegistry(),
    getNetworkState: () => network.state,
    getPermittedAccounts: async () => [from],
    getSavedGasFees: () => undefined,
    incomingTransactions: { isEnabled: () => false },
    isSimulationEnabled: () => false,
    isFirstTimeInteractionEnabled: () => false,
    pendingTransactions: { isResubmitEnabled: () => false },
    sign: (transaction, address) => keyring.signTransaction(transaction, address),
    hooks: {},
  });
  const accept = async (id) => {
    await sleep(CLICK_MS);
    await eventually(() => approval.has({ id }), "the question");
    await approval.accept(id, undefined, { waitForResult: false });
  };
  const state = (id) => transactions.state.transactions.find((one) => one.id === id);
  const reach = (id, status) => eventually(() => {
    const now = state(id);
    if (now.status === "failed" && status !== "failed") throw new Error(`failed: ${now.error?.message}`);
    return now.status === status && now;
  }, `${status} transaction`);
  const send = async (fields, options = {}) => {
    const { transactionMeta, result } = await transactions.addTransaction(
      { from, ...fields }, { networkClientId, origin: "metamask", ...options },
    );
    result.catch(() => {});
    return { meta: transactionMeta, result };
  };

  const paid = await send({ to: "0x00000000000000000000000000000000000007e6", value: "0x7" });
  assert.equal(paid.meta.txParams.gas, "0x5208");
  seen("gas of a payment is the node's own estimate, 0x5208");
  await accept(paid.meta.id);
  const hash = await inTime(paid.result, "hash of the payment");
  const confirmed = await reach(paid.meta.id, "confirmed");
  assert.equal(confirmed.hash, hash);
  assert.equal(confirmed.txReceipt.status, "0x1");
  seen("value sent and confirmed");
  assert.equal(confirmed.txParams.type, "0x2");
  seen(`type 2, caps ${confirmed.txParams.maxFeePerGas} and ${confirmed.txParams.maxPriorityFeePerGas}`);
  assert.equal(await call(url, "eth_getBalance", ["0x00000000000000000000000000000000000007e6", "latest"]) !== "0x0", true);
  seen("it arrived");

  const { bytecode } = compileGreeter();
  // constructor("hello")
  const word = (number) => number.toString(16).padStart(64, "0");
  const text = (value) => word(32) + word(value.length) + Buffer.from(value).toString("hex").padEnd(64, "0");
  const deployed = await send({ data: bytecode + text("hello") }, { type: TransactionType.deployContract });
  await accept(deployed.meta.id);
  const { contractAddress: to } = (await reach(deployed.meta.id, "confirmed")).txReceipt;
  assert.ok((await call(url, "eth_getCode", [to, "latest"])).length > 2);
  seen(`deployed ${to}, it has code`);

  // greet("") reverts
  const empty = `0xead710c4${word(32)}${word(0)}`;
  const refused = await send({ to, data: empty });
  assert.ok(refused.meta.simulationFails, "a call that cannot succeed");
  seen(`refused call flagged before it is sent: ${refused.meta.simulationFails.reason ?? refused.meta.simulationFails.debug?.errorKey}`);
  const reverted = await send({ to, data: empty, gas: "0x186a0" });
  await accept(reverted.meta.id);
  const failed = await reach(reverted.meta.id, "failed");
  assert.equal((await call(url, "eth_getTransactionReceipt", [failed.hash])).status, "0x0");
  seen("reverted transaction ends as failed");

  const greeted = await send({ to, data: `0xead710c4${text("good morning")}` });
  await accept(greeted.meta.id);
  await reach(greeted.meta.id, "confirmed");
  seen("contract called and confirmed");

  // The next nonce but one waits, so that it can be replaced for sure; then the gap is filled.
  const nonce = Number(await call(url, "eth_getTransactionCount", [from, "pending"]));
  const waiting = await send({ to: from, value: "0x1", nonce: `0x${(nonce + 1).toString(16)}` });
  await accept(waiting.meta.id);
  await reach(waiting.meta.id, "submitted");
  // a tenth more than nothing is nothing, and the same transaction twice is one: there it is cancelled instead
  const isFree = Number(waiting.meta.txParams.maxFeePerGas) === 0;
  if (isFree) await transactions.stopTransaction(waiting.meta.id, { maxFeePerGas: "0x0", maxPriorityFeePerGas: "0x0" });
  else await transactions.speedUpTransaction(waiting.meta.id);
  const faster = await eventually(() => transactions.state.transactions.find((one) => one.originalTransactionId === waiting.meta.id || (one.type === (isFree ? "cancel" : "retry") && one.txParams.nonce === waiting.meta.txParams.nonce)) ?? transactions.state.transactions.find((one) => one.type === (isFree ? "cancel" : "retry")), "the replacement");
  const gap = await send({ to: from, value: "0x2", nonce: `0x${nonce.toString(16)}` });
  await accept(gap.meta.id);
  await reach(gap.meta.id, "confirmed");
  const replaced = await reach(faster.id, "confirmed");
  assert.equal(Number(replaced.txReceipt.status), 1);
  assert.notEqual(replaced.hash, state(waiting.meta.id)?.hash);
  seen(`${isFree ? "cancel" : "speed-up"} accepted and confirmed in place of the first`);

  const personal = await keyring.signPersonalMessage({ from, data: "0x6d736e6574" });
  assert.match(personal, /^0x[0-9a-f]{130}$/);
  seen("personal_sign");
  const typed = await keyring.signTypedMessage({
    from,
    data: {
      types: { EIP712Domain: [{ name: "name", type: "string" }, { name: "chainId", type: "uint256" }], Note: [{ name: "text", type: "string" }] },
      primaryType: "Note", domain: { name: "msnet", chainId: Number(chainId) }, message: { text: "hello" },
    },
  }, SignTypedDataVersion.V4);
  assert.match(typed, /^0x[0-9a-f]{130}$/);
  seen("eth_signTypedData_v4");

  const ask = (method, params = []) => inTime(provider.request({ method, params, jsonrpc: "2.0", id: 1 }), method);
  for (const [method, params] of [
    ["eth_chainId"], ["net_version"], ["eth_blockNumber"], ["eth_getBalance", [from, "latest"]], ["eth_gasPrice"],
    ["eth_getBlockByNumber", ["latest", false]], ["eth_getTransactionReceipt", [hash]],
  ]) {
    assert.notEqual(await ask(method, params), null, method);
  }
  seen("seven calls through the wallet's provider");
});
