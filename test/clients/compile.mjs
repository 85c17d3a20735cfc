// Compiles Greeter.sol with npm's solc and its defaults (newest EVM), so that the test meets what users' compilers emit.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const solc = createRequire(import.meta.url)("solc");

export function compileGreeter(evmVersion = process.env.EVM_VERSION) {
  const content = readFileSync(new URL("Greeter.sol", import.meta.url), "utf8");
  const input = {
    language: "Solidity",
    sources: { "Greeter.sol": { content } },
    settings: { ...(evmVersion ? { evmVersion } : {}), outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  const { abi, evm } = output.contracts["Greeter.sol"].Greeter;
  return { abi, bytecode: `0x${evm.bytecode.object}` };
}

// `node compile.mjs` prints the bytecode, `--json` the ABI too, for clients that are not JavaScript.
if (process.argv[1] === new URL(import.meta.url).pathname) {
  const greeter = compileGreeter();
  process.stdout.write(process.argv[2] === "--json" ? JSON.stringify(greeter) : greeter.bytecode);
  process.exit(0);
}
