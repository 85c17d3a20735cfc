#!/usr/bin/env bash
# cast against a development chain: cast.sh http://127.0.0.1:8545
# Deploys, sends, waits, calls, reads logs and blocks, hears the event over WebSocket, and gets a revert reason.
set -euo pipefail
url=${1:?usage: cast.sh URL}
here=$(cd "$(dirname "$0")" && pwd)
# The native program: npm's launcher hides exit codes.
arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
cast="$here/../../node_modules/@foundry-rs/cast-linux-$arch/bin/cast"
[ -x "$cast" ] || { echo "cast is missing: run npm ci" >&2; exit 2; }
export ETH_RPC_URL=$url
# First account of the public test phrase.
key=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80
from=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266

seen() { echo "ok  $*"; }
fail() { echo "FAILED $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: got '$1', want '$2'"; }
field() { node -e 'const o = JSON.parse(require("fs").readFileSync(0)); console.log(o[process.argv[1]])' "$1"; }

seen "chain id $("$cast" chain-id), client $("$cast" client)"
bytecode=$(node "$here/compile.mjs")
arguments=$("$cast" abi-encode 'constructor(string)' hello)
deployed=$("$cast" send --json --private-key "$key" --create "$bytecode${arguments#0x}")
address=$(field contractAddress <<<"$deployed")
is "$(field status <<<"$deployed")" 0x1 deployment
seen "deployed to $address"
is "$("$cast" call "$address" 'greeting()(string)')" '"hello"' "call"
seen "call"

heard=$(mktemp)
trap 'rm -f "$heard"; [ -z "${listener:-}" ] || kill "$listener" 2>/dev/null || true' EXIT
ETH_RPC_URL=${url/http/ws} "$cast" logs --subscribe --address "$address" >"$heard" &
listener=$!
sleep 2
sent=$("$cast" send --json --private-key "$key" "$address" 'greet(string)' 'good morning')
is "$(field status <<<"$sent")" 0x1 "transaction"
hash=$(field transactionHash <<<"$sent")
for _ in $(seq 100); do grep -q "$hash" "$heard" && break; sleep 0.1; done
grep -q "$hash" "$heard" || fail "no event over WebSocket: $(cat "$heard")"
seen "event over WebSocket"
is "$("$cast" receipt --json "$hash" | field status)" 0x1 "receipt"
"$cast" logs --from-block 0 --address "$address" 'Greeted(address indexed,string)' | grep -q "$hash" || fail "no event by query"
seen "receipt and event by query"
block=$("$cast" receipt "$hash" blockNumber)
is "$("$cast" block "$block" --field number)" "$block" "block"
[ "$("$cast" nonce "$from")" -ge 2 ] || fail "nonce"
[ "$("$cast" balance "$from")" != 0 ] || fail "balance"
seen "block $block, nonce, balance"

if reason=$("$cast" call "$address" 'greet(string)' '' 2>&1); then fail "an empty greeting was taken"; fi
grep -q 'say something' <<<"$reason" || fail "no revert reason: $reason"
if reason=$("$cast" send --private-key "$key" "$address" 'greet(string)' '' 2>&1); then fail "an empty greeting was sent"; fi
grep -q 'say something' <<<"$reason" || fail "no revert reason: $reason"
seen "revert reason of call and send"
