// Compares two living deployments: addresses, code, roles, timelock, founders. `node deployed.js <url> <file> <url> <file>`
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { Contract, JsonRpcProvider, id } = require("ethers");

const root = path.resolve(__dirname, "../..");
const abi = (name) => JSON.parse(fs.readFileSync(path.join(root, `contracts/abi/${name}.json`), "utf8")).abi;
const rows = fs
  .readFileSync(path.join(root, "contracts/deploy/roles.tsv"), "utf8")
  .split("\n")
  .map((line) => line.split("\t"))
  .filter((row) => row.length === 4 && !row[0].startsWith("#"));
const GUARDIAN = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";
const DEPLOYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955";

function check(condition, text) {
  if (!condition) throw new Error(text);
}

/** Everything that must be the same on both chains, as plain data. */
async function facts(url, file) {
  const deployment = JSON.parse(fs.readFileSync(file, "utf8"));
  const provider = new JsonRpcProvider(url, undefined, { staticNetwork: true });
  const at = (name) => new Contract(deployment.contracts[name].address, abi(name), provider);
  const said = { contracts: deployment.contracts, code: {}, functions: {}, members: {} };
  for (const [name, { address }] of Object.entries(deployment.contracts)) {
    said.code[name] = await provider.getCode(address);
    check(said.code[name].length > 2 && (said.code[name].length - 2) / 2 <= 24_576, `${url}: code of ${name}`);
  }
  const manager = at("AccessManager");
  const accounts = { DEPLOYER, GUARDIAN };
  for (const [name, { address }] of Object.entries(deployment.contracts)) accounts[name] = address;
  for (const [what, contract, signature, role] of rows) {
    if (what !== "function") continue;
    const have = await manager.getTargetFunctionRole(deployment.contracts[contract].address, id(signature).slice(0, 10));
    check(have === BigInt(role), `${url}: ${contract}.${signature} has role ${have}`);
    said.functions[`${contract}.${signature}`] = have.toString();
  }
  const may = new Set(rows.filter(([what]) => what === "member").map(([, contract, , role]) => `${role} ${contract}`));
  for (const extra of ["0 TimelockController", "1 TimelockController", "2 GUARDIAN"]) may.add(extra);
  for (const role of [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18]) {
    for (const [name, account] of Object.entries(accounts)) {
      const [member] = await manager.hasRole(role, account);
      check(member === may.has(`${role} ${name}`), `${url}: ${name} ${member ? "holds" : "lacks"} role ${role}`);
      if (member) said.members[`${role} ${name}`] = account;
    }
  }
  const timelock = at("TimelockController");
  for (const role of ["PROPOSER_ROLE", "CANCELLER_ROLE", "EXECUTOR_ROLE", "DEFAULT_ADMIN_ROLE"]) {
    const word = await timelock[role]();
    for (const [name, account] of Object.entries(accounts)) {
      if (await timelock.hasRole(word, account)) said.members[`${role} ${name}`] = account;
    }
  }
  said.delay = (await timelock.getMinDelay()).toString();
  const institutions = at("InstitutionRegistry");
  said.north = (await institutions.isActive(id("msnet dev institution 1").slice(0, 34))).toString();
  check(said.north === "true", `${url}: the first founder is not active`);
  provider.destroy();
  return said;
}

async function main() {
  const [urlA, fileA, urlB, fileB] = process.argv.slice(2);
  const [a, b] = [await facts(urlA, fileA), await facts(urlB, fileB)];
  for (const part of Object.keys(a)) {
    check(JSON.stringify(a[part]) === JSON.stringify(b[part]), `the chains differ in ${part}`);
  }
  check(!Object.keys(a.members).some((member) => member.endsWith(" DEPLOYER")), "the deployer holds a role");
  const count = Object.keys(a.contracts).length;
  console.log(`${count} contracts, ${Object.keys(a.functions).length} restricted functions, ${Object.keys(a.members).length} holders: the same on both chains, the deployer holds nothing`);
}

main().catch((error) => {
  console.error(`error: ${error.message}`);
  process.exit(1);
});
