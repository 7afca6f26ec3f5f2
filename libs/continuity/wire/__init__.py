"""Protobuf messages and dataclasses, converted."""
