"""Object stores: bytes under a key."""
