"""gRPC: the server that services run in, its interceptors, the error table, conversion of messages."""
