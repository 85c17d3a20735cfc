// EthereumJS's unmodified libraries take a chain that msnet exported: node accept.mjs GENESIS CHAIN.rlp FACTS
// Clique seals, turns and votes by its blockchain, state, receipts, bloom and gas by its EVM; one changed byte is refused.
// FACTS: {"number": n, "hash": "0x…", "signers": [sorted addresses]} as msnet tells them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cliqueSigner, createBlockFromRLP } from "@ethereumjs/block";
import { CliqueConsensus, createBlockchain } from "@ethereumjs/blockchain";
import { Common, Hardfork, createCommonFromGethGenesis, parseGethGenesisState } from "@ethereumjs/common";
import { RLP } from "@ethereumjs/rlp";
import { bytesToHex, equalsBytes } from "@ethereumjs/util";
import { createVM, runBlock } from "@ethereumjs/vm";

const [genesisFile, chainFile, factsFile] = process.argv.slice(2);
let checks = 0;
function seen(what) {
  checks += 1;
  console.log(`ok  ${what}`);
}

/// The blocks of a file, one behind the other.
function split(bytes) {
  const blocks = [];
  let rest = bytes;
  while (rest.length > 0) {
    const { remainder } = RLP.decode(rest, true);
    blocks.push(rest.subarray(0, rest.length - remainder.length));
    rest = remainder;
  }
  return blocks;
}

const genesis = JSON.parse(readFileSync(genesisFile, "utf8"));
const facts = JSON.parse(readFileSync(factsFile, "utf8"));
const common = createCommonFromGethGenesis(genesis, { chain: "msnet", genesisHash: undefined });
common.setHardfork(Hardfork.London);
const genesisState = parseGethGenesisState(genesis);
const consensusDict = { clique: new CliqueConsensus() };
const open = () => createBlockchain({ common, validateBlocks: true, validateConsensus: true, consensusDict: { clique: new CliqueConsensus() }, genesisState });
const blockchain = await createBlockchain({ common, validateBlocks: true, validateConsensus: true, consensusDict, genesisState });
const vm = await createVM({ common, blockchain, evmOpts: { cliqueSigner } });
await vm.stateManager.generateCanonicalGenesis?.(genesisState);
assert.ok(equalsBytes(await vm.stateManager.getStateRoot(), blockchain.genesisBlock.header.stateRoot), "state root of block 0");
seen(`genesis ${bytesToHex(blockchain.genesisBlock.hash())}`);

const raw = split(readFileSync(chainFile));
let transactions = 0;
let parent = blockchain.genesisBlock;
for (const bytes of raw) {
  const block = createBlockFromRLP(bytes, { common, setHardfork: false });
  await blockchain.putBlock(block);
  const result = await runBlock(vm, { block, root: parent.header.stateRoot, skipHeaderValidation: false });
  assert.ok(equalsBytes(result.stateRoot, block.header.stateRoot), `state root of block ${block.header.number}`);
  assert.ok(equalsBytes(result.receiptsRoot, block.header.receiptTrie), `receipts root of block ${block.header.number}`);
  assert.ok(equalsBytes(result.logsBloom, block.header.logsBloom), `bloom of block ${block.header.number}`);
  assert.equal(result.gasUsed, block.header.gasUsed, `gas of block ${block.header.number}`);
  transactions += block.transactions.length;
  parent = block;
}
const head = await blockchain.getCanonicalHeadBlock();
assert.equal(Number(head.header.number), facts.number);
assert.equal(bytesToHex(head.hash()), facts.hash);
seen(`${raw.length} blocks with ${transactions} transactions: seals, turns, state, receipts, bloom, gas`);
const signers = consensusDict.clique.cliqueActiveSigners(head.header.number + 1n).map((one) => one.toString().toLowerCase());
assert.deepEqual(signers.sort(), facts.signers);
seen(`signers after all votes: ${signers.length}`);

const other = await open();
for (const bytes of raw.slice(0, 2)) await other.putBlock(createBlockFromRLP(bytes, { common, setHardfork: false }));
const broken = Uint8Array.from(raw[2]);
// a byte of the seal: it stands at the end of extraData, before mixHash (33 bytes) and nonce (9 bytes) and the base fee
const fields = RLP.decode(broken);
fields[0][12][fields[0][12].length - 20] ^= 1;
await assert.rejects(async () => other.putBlock(createBlockFromRLP(RLP.encode(fields), { common, setHardfork: false })));
seen("a changed byte of a seal is refused");
console.log(`${checks} checks held`);
