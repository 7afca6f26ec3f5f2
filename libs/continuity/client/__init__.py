"""The public Python client.

async with ContinuityClient("127.0.0.1:50051") as client:
    character = await client.characters.create("Ward", photo)
"""

from continuity.client.client import ContinuityClient
from continuity.client.errors import CallFailed, CharacterGone, CharacterNotReady, KeyframeDamaged
from continuity.client.transport import Backoff

__all__ = ["Backoff", "CallFailed", "CharacterGone", "CharacterNotReady", "ContinuityClient", "KeyframeDamaged"]
