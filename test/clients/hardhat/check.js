// Hardhat 2 against a node: MSNET_URL=… npx hardhat run check.js --network msnet
// Deploys, sends, reads, sees a revert's reason and a custom error, finds the event.
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const path = require("node:path");
const hre = require("hardhat");

let checks = 0;
function seen(what) {
  checks += 1;
  console.log(`ok  ${what}`);
}

async function main() {
  const { ethers } = hre;
  const made = execFileSync("node", [path.join(__dirname, "..", "compile.mjs"), "--json"], { encoding: "utf8" });
  const { abi, bytecode } = JSON.parse(made);
  const [signer] = await ethers.getSigners();
  assert.equal(BigInt(await hre.network.provider.send("eth_chainId")), (await ethers.provider.getNetwork()).chainId);
  assert.ok((await ethers.provider.getBalance(signer)) > 0n);
  seen(`chain id ${(await ethers.provider.getNetwork()).chainId}, a funded signer`);

  const greeter = await ethers.deployContract(abi, bytecode, ["hello"], signer).catch(async () => {
    const factory = new ethers.ContractFactory(abi, bytecode, signer);
    return factory.deploy("hello");
  });
  await greeter.waitForDeployment();
  assert.equal(await greeter.greeting(), "hello");
  seen(`deployed ${await greeter.getAddress()}`);
  const receipt = await (await greeter.greet("good morning")).wait();
  assert.equal(receipt.status, 1);
  assert.equal(receipt.logs[0].args.greeting, "good morning");
  const found = await greeter.queryFilter(greeter.filters.Greeted(), receipt.blockNumber);
  assert.equal(found.length, 1);
  seen("sent, event in receipt and by query");
  await assert.rejects(greeter.greet(""), /say something/);
  await assert.rejects(greeter.greet.staticCall("x".repeat(65)), (error) => error.revert?.name === "TooLong" || /TooLong|0x/.test(error.message));
  const forced = await greeter.greet("", { gasLimit: 100_000 });
  await assert.rejects(forced.wait(), (error) => error.receipt?.status === 0);
  seen("revert reason, custom error, failed receipt");
  const paid = await (await signer.sendTransaction({ to: signer.address, value: 1n })).wait();
  assert.equal(paid.gasUsed, 21_000n);
  seen("a value sent with Hardhat's own fees and gas");
  await assert.rejects(hre.network.provider.send("hardhat_mine", []), /does not exist|not found|not supported|hardhat_mine/);
  seen("hardhat_* is not there");
  console.log(`${checks} checks held`);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error("FAILED", error);
    process.exit(1);
  },
);
