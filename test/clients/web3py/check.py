"""web3.py against a node: python check.py URL

Deploys, sends, reads logs and filters, batches, listens over WebSocket, with the middleware that Clique's extraData needs.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError, ExtraDataLengthError, MethodUnavailable, TransactionNotFound
from web3.middleware import ExtraDataToPOAMiddleware

PATIENCE_SECS = 30
# third key of the public test phrase
KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
checks = 0


def seen(what):
    global checks
    checks += 1
    print(f"ok  {what}", flush=True)


def compile_greeter():
    here = Path(__file__).resolve().parent.parent
    text = subprocess.run(["node", here / "compile.mjs", "--json"], check=True, capture_output=True, text=True).stdout
    made = json.loads(text)
    return made["abi"], made["bytecode"]


def send(w3, account, call, **more):
    fields = {"from": account.address, "nonce": w3.eth.get_transaction_count(account.address, "pending"), **more}
    signed = account.sign_transaction(call.build_transaction(fields))
    return w3.eth.send_raw_transaction(signed.raw_transaction)


def check(url):
    w3 = Web3(Web3.HTTPProvider(url))
    account = Account.from_key(KEY)
    is_clique = "anvil" not in w3.client_version
    assert w3.is_connected() and w3.net.version == str(w3.eth.chain_id)
    if is_clique:
        try:
            w3.eth.get_block("latest")
            raise AssertionError("a Clique block passed without the middleware")
        except ExtraDataLengthError:
            pass
        w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        assert len(w3.eth.get_block("latest")["proofOfAuthorityData"]) >= 97
        seen("extraData of a Clique block, with the middleware")
    seen(f"connected to {w3.client_version}, chain id {w3.eth.chain_id}")

    abi, bytecode = compile_greeter()
    created = send(w3, account, w3.eth.contract(abi=abi, bytecode=bytecode).constructor("hello"))
    receipt = w3.eth.wait_for_transaction_receipt(created, timeout=PATIENCE_SECS)
    assert receipt.status == 1
    greeter = w3.eth.contract(address=receipt.contractAddress, abi=abi)
    assert greeter.functions.greeting().call() == "hello"
    seen(f"deployed {greeter.address} and read it")

    logs, blocks, pending = greeter.events.Greeted.create_filter(from_block="latest"), w3.eth.filter("latest"), w3.eth.filter("pending")
    sent = send(w3, account, greeter.functions.greet("good morning"))
    receipt = w3.eth.wait_for_transaction_receipt(sent, timeout=PATIENCE_SECS)
    (event,) = greeter.events.Greeted().process_receipt(receipt)
    assert event.args.greeting == "good morning" and event.args.by == account.address
    time.sleep(0.5)
    assert [entry.args.greeting for entry in logs.get_new_entries()] == ["good morning"]
    assert receipt.blockHash in blocks.get_new_entries()
    assert sent in pending.get_new_entries()
    for one in (logs, blocks, pending):
        assert w3.eth.uninstall_filter(one.filter_id)
    found = greeter.events.Greeted().get_logs(from_block=0)
    assert [entry.transactionHash for entry in found] == [sent]
    seen("sent, event in receipt, by filter and by query; block and pending filters")

    for text, kind in (("", ContractLogicError), ("x" * 65, ContractCustomError)):
        try:
            greeter.functions.greet(text).call({"from": account.address})
            raise AssertionError("the call did not revert")
        except kind as error:
            assert kind is ContractCustomError or "say something" in str(error), error
    failed = w3.eth.wait_for_transaction_receipt(send(w3, account, greeter.functions.greet(""), gas=100_000), timeout=PATIENCE_SECS)
    assert failed.status == 0
    try:
        w3.eth.get_transaction("0x" + "12" * 32)
        raise AssertionError("an unknown transaction was found")
    except TransactionNotFound:
        pass
    try:
        w3.manager.request_blocking("eth_notThere", [])
        raise AssertionError("an unknown method was answered")
    except MethodUnavailable:
        pass
    seen("revert reason, custom error, failed receipt, unknown transaction, unknown method")

    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_block("latest"))
        batch.add(w3.eth.get_balance(account.address))
        batch.add(greeter.functions.greeting())
        block, balance, greeting = batch.execute()
    assert block.number > 0 and balance > 0 and greeting == "good morning"
    seen("a batch")
    fees = w3.eth.fee_history(4, "latest", [20, 80])
    assert len(fees.baseFeePerGas) == len(fees.gasUsedRatio) + 1
    assert w3.eth.gas_price >= w3.eth.max_priority_fee >= 0
    proof = w3.eth.get_proof(greeter.address, [0], w3.eth.block_number)
    assert len(proof.accountProof) > 0 and len(proof.storageProof) == 1
    listed = w3.eth.create_access_list({"from": account.address, "to": greeter.address, "data": greeter.encode_abi("greet", ["hi"])})
    assert any(item.address == greeter.address for item in listed.accessList)
    seen("fees, proof, access list")
    signed = account.sign_message(encode_defunct(text="msnet"))
    assert Account.recover_message(encode_defunct(text="msnet"), signature=signed.signature) == account.address
    code = w3.eth.call({"to": greeter.address, "data": "0x"}, "latest", {greeter.address: {"code": "0x602a60005260206000f3"}})
    assert int.from_bytes(code, "big") == 42
    seen("signed message, call with an override")
    return greeter.address, abi


async def check_websocket(url, address, abi):
    account = Account.from_key(KEY)
    async with AsyncWeb3(WebSocketProvider(url.replace("http", "ws", 1))) as w3:
        w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        greeter = w3.eth.contract(address=address, abi=abi)
        heads = await w3.eth.subscribe("newHeads")
        logs = await w3.eth.subscribe("logs", {"address": address})
        pending = await w3.eth.subscribe("newPendingTransactions")
        nonce = await w3.eth.get_transaction_count(account.address, "pending")
        built = await greeter.functions.greet("over websocket").build_transaction({"from": account.address, "nonce": nonce})
        sent = await w3.eth.send_raw_transaction(account.sign_transaction(built).raw_transaction)
        got = {}
        async with asyncio.timeout(PATIENCE_SECS):
            async for message in w3.socket.process_subscriptions():
                got.setdefault(message["subscription"], []).append(message["result"])
                is_logged = any(log["transactionHash"] == sent for log in got.get(logs, []))
                is_pending = sent in got.get(pending, [])
                if is_logged and is_pending and heads in got:
                    break
        assert await w3.eth.unsubscribe(heads) and await w3.eth.unsubscribe(logs) and await w3.eth.unsubscribe(pending)
        seen("heads, logs and pending transactions over WebSocket")


url = sys.argv[1]
asyncio.run(check_websocket(url, *check(url)))
print(f"{checks} checks held")
