"""A checkpoint with LoRAs: weights merged from untouched ones and copied in place, and the licences they come under."""

from engine.variants.licence import permitted, require_licence
from engine.variants.variants import Variants

__all__ = ["Variants", "permitted", "require_licence"]
