// a vote over open TCP
>> {"jsonrpc":"2.0","id":1,"method":"clique_propose","params":["0x00000000000000000000000000000000deadbeef",true]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method clique_propose does not exist/is not available"}}
