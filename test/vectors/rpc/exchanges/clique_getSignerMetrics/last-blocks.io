// how many blocks each signer made among the last ten
>> {"jsonrpc":"2.0","id":1,"method":"clique_getSignerMetrics","params":["0xaf","0xb8"]}
<< {"jsonrpc":"2.0","id":1,"result":[{"address":"0x08135da0a343e492fa2d4282f2ae34c6c5cc1bbe","lastProposedBlockNumber":"0xb7","proposedBlockCount":"0x3"},{"address":"0x09db0a93b389bef724429898f539aeb7ac2dd55f","lastProposedBlockNumber":"0xb8","proposedBlockCount":"0x4"},{"address":"0x5e661b79fe2d3f6ce70f5aac07d8cd9abb2743f1","lastProposedBlockNumber":"0xb6","proposedBlockCount":"0x3"}]}
