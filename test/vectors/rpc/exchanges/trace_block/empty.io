// a block without transactions
>> {"jsonrpc":"2.0","id":1,"method":"trace_block","params":["0x1"]}
<< {"jsonrpc":"2.0","id":1,"result":[]}
