"""People who are to be recognised: reference pictures become keys and values that the denoiser's attention looks at."""

from engine.identity.attention import install
from engine.identity.identities import Identities
from engine.identity.identity import SLOTS, Identity

__all__ = ["SLOTS", "Identities", "Identity", "install"]
