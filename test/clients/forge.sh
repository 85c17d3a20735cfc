#!/usr/bin/env bash
# Foundry's forge against a development chain: forge.sh http://127.0.0.1:8545
# Creates a contract, then deploys and wires msnet's whole set by its script.
set -euo pipefail
cd "$(dirname "$0")/../.."
url=$1
# first key of the public test phrase
key=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80

out=$(.ci/forge create --rpc-url "$url" --private-key "$key" --broadcast test/clients/Greeter.sol:Greeter --constructor-args hello)
case $out in
  *"Deployed to: 0x"*) echo "ok  forge create" ;;
  *) printf 'forge create:\n%s\n' "$out" >&2; exit 1 ;;
esac

deployment=target/forge/deployment.json
mkdir -p target/forge
rm -f "$deployment"
MSNET_DEPLOYMENT=$deployment .ci/forge script contracts/deploy/Deploy.s.sol --rpc-url "$url" --private-key "$key" --broadcast >/dev/null
count=$(grep -c '"codeHash"' "$deployment")
[ "$count" -ge 12 ] || { echo "forge script deployed $count contracts, not 12" >&2; exit 1; }
echo "ok  forge script: $count contracts deployed, wired and founded"
