// who made a contract, in which transaction
>> {"jsonrpc":"2.0","id":1,"method":"ots_getContractCreator","params":["0x057ef64e23666f000b34ae31332854acbd1c8544"]}
<< {"jsonrpc":"2.0","id":1,"result":{"creator":"0x90f79bf6eb2c4f870365e785982e1f101e93b906","hash":"0x466e1a9816925b2084c859bc6d6f6baf81621ff73effd6dd1585978e8ef83431"}}
