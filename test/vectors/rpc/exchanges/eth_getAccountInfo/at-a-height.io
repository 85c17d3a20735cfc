// balance, nonce and code at once, in the past
>> {"jsonrpc":"2.0","id":1,"method":"eth_getAccountInfo","params":["0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266","0x5c"]}
<< {"jsonrpc":"2.0","id":1,"result":{"balance":"0x36319d9ce52a87b265","code":"0x","nonce":"0x31"}}
