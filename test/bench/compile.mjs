// Prints Token.sol's creation code, for the oldest EVM among the nodes that are compared (London).
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const solc = createRequire(import.meta.url)("solc");
const content = readFileSync(new URL("Token.sol", import.meta.url), "utf8");
const input = {
  language: "Solidity",
  sources: { "Token.sol": { content } },
  settings: {
    evmVersion: "london",
    optimizer: { enabled: true, runs: 10_000 },
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
process.stdout.write(output.contracts["Token.sol"].Token.evm.bytecode.object, () => process.exit(0));
