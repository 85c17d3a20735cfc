#!/usr/bin/env bash
# cast and forge against a node: check.sh URL STRICT|FREE
# send, several scripted transactions at once and one by one, legacy ones, a fork test, cast run, proof, access list,
# logs, the pool, storage at a past block.
set -euo pipefail
url=${1:?usage: check.sh URL KIND}
kind=${2:-FREE}
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
cd "$root"
arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
cast="$root/node_modules/@foundry-rs/cast-linux-$arch/bin/cast"
forge="$root/node_modules/@foundry-rs/forge-linux-$arch/bin/forge"
for tool in "$cast" "$forge"; do
  [ -x "$tool" ] || { echo "skipped: no native $(basename "$tool") for this platform"; exit 0; }
done
export ETH_RPC_URL=$url
# fourth account of the public test phrase
key=0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6
from=0x90F79bf6EB2c4f870365E785982E1f101E93b906
checks=0
seen() { checks=$((checks + 1)); echo "ok  $*"; }
fail() { echo "FAILED $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: got '$1', want '$2'"; }
field() { node -e 'const o = JSON.parse(require("fs").readFileSync(0)); console.log(o[process.argv[1]])' "$1"; }

bytecode=$(node test/clients/compile.mjs)
arguments=$("$cast" abi-encode 'constructor(string)' hello)
address=$("$cast" send --json --private-key "$key" --create "$bytecode${arguments#0x}" | field contractAddress)
before=$("$cast" block-number)
sent=$("$cast" send --json --private-key "$key" "$address" 'greet(string)' 'good morning' | field transactionHash)
is "$("$cast" call "$address" 'greeting()(string)')" '"good morning"' call
is "$("$cast" call --block "$before" "$address" 'greeting()(string)')" '"hello"' "call at a past block"
[ "$("$cast" storage "$address" 0)" != "$("$cast" storage --block "$before" "$address" 0)" ] || fail "storage at a past block"
seen "deployed, sent, read now and at block $before"

"$cast" run --quick "$sent" 2>&1 | grep -q 'Greeted' || fail "cast run shows no event"
"$cast" run "$sent" 2>&1 | grep -q 'success\|Transaction successfully executed' || fail "cast run"
seen "cast run: the transaction again, from the state before it"
is "$("$cast" proof "$address" 0x0 | field address | tr A-Z a-z)" "$(tr A-Z a-z <<<"$address")" proof
"$cast" access-list --from "$from" "$address" 'greet(string)' hi | grep -qi "${address#0x}" || fail "access list"
"$cast" logs --from-block 0 --address "$address" | grep -q "$sent" || fail "logs"
"$cast" rpc txpool_status | grep -q pending || fail "txpool_status"
"$cast" receipt "$sent" status | grep -q 1 || fail "receipt"
"$cast" tx "$sent" nonce >/dev/null || fail "tx"
"$cast" estimate --from "$from" "$address" 'greet(string)' hi >/dev/null || fail "estimate"
"$cast" gas-price >/dev/null && "$cast" base-fee >/dev/null || fail "fees"
seen "proof, access list, logs, pool, receipt, transaction, estimate, fees"

work=target/clients/foundry
rm -rf "$work" && mkdir -p "$work/script" "$work/test"
cp test/clients/foundry/Many.s.sol "$work/script/"
cp test/clients/foundry/Fork.t.sol "$work/test/"
cp test/clients/Greeter.sol "$work/"
cat >"$work/foundry.toml" <<TOML
[profile.default]
src = "."
script = "script"
test = "test"
libs = []
solc = "$root/contracts/solc"
evm_version = "$([ "$kind" = STRICT ] && echo london || echo cancun)"
offline = true
remappings = ["forge-std/=$root/node_modules/@layerzerolabs/toolbox-foundry/lib/forge-std/src/"]
allow_paths = ["$root"]
TOML
script() { (cd "$work" && "$forge" script script/Many.s.sol:Many --rpc-url "$url" --private-key "$key" --broadcast "$@" 2>&1); }
nonce() { "$cast" nonce "$from"; }
for how in "" --slow --legacy; do
  first=$(nonce)
  out=$(script $how) || fail "forge script $how: $out"
  grep -q 'ONCHAIN EXECUTION COMPLETE' <<<"$out" || fail "forge script $how: $out"
  is "$(nonce)" "$((first + 6))" "nonce after forge script $how"
done
seen "forge script, six transactions each: at once, one by one, legacy"
out=$(cd "$work" && GREETER=$address "$forge" test --fork-url "$url" 2>&1) || fail "forge test --fork-url: $out"
grep -q '2 passed' <<<"$out" || fail "forge test --fork-url: $out"
seen "forge test on a fork of the chain"
out=$(cd "$work" && "$forge" create --rpc-url "$url" --private-key "$key" --broadcast Greeter.sol:Greeter --constructor-args hello 2>&1) || fail "forge create: $out"
grep -q 'Deployed to: 0x' <<<"$out" || fail "forge create: $out"
seen "forge create"
if reason=$("$cast" call "$address" 'greet(string)' '' 2>&1); then fail "an empty greeting was taken"; fi
grep -q 'say something' <<<"$reason" || fail "no revert reason: $reason"
seen "revert reason"
echo "$checks checks held"
