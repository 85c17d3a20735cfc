// an address that no transaction touched
>> {"jsonrpc":"2.0","id":1,"method":"ots_searchTransactionsAfter","params":["0x00000000000000000000000000000000deadbeef",0,5]}
<< {"jsonrpc":"2.0","id":1,"result":{"firstPage":true,"lastPage":true,"receipts":[],"txs":[]}}
