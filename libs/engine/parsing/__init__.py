"""What comes in from outside, read with limits: the JSON of a request and the pictures beside it."""

from engine.parsing.pictures import decoded, decoded_mask
from engine.parsing.specification import parse

__all__ = ["decoded", "decoded_mask", "parse"]
