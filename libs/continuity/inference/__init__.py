"""Triton: its server process, a client that streams, and the tensors that go over the wire."""
