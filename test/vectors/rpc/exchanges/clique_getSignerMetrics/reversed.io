// a range that ends before it begins
>> {"jsonrpc":"2.0","id":1,"method":"clique_getSignerMetrics","params":["0x9","0x5"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"invalid block range params"}}
