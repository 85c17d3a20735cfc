// no JavaScript, no other name
>> {"jsonrpc":"2.0","id":1,"method":"debug_traceTransaction","params":["0x294f526486191b9eacd6fa4004db1a54c8d7eb9a654c4f05b8325ac2961790bb",{"tracer":"nosuchTracer"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"tracer not found"}}
