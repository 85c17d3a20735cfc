// who sealed the head
>> {"jsonrpc":"2.0","id":1,"method":"clique_getSigner","params":["latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x09db0a93b389bef724429898f539aeb7ac2dd55f"}
