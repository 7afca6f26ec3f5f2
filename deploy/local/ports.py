"""Free ports."""

from __future__ import annotations

import itertools
import random
import socket

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 31_999
"""Below the ports that the kernel gives to outgoing connections, so that a port stays free while its server is down."""
TRIES = 200
_candidates = itertools.cycle(random.sample(range(FIRST, LAST + 1), LAST + 1 - FIRST))
"""In another order in each process; what one has given away it gives again only after all others."""


def free_port() -> int:
    """Return a port that nobody listens on, never one twice. Raises ``OSError`` when none is found."""
    for port in itertools.islice(_candidates, TRIES):
        if is_free(port):
            return port
    raise OSError(f"no free port found between {FIRST} and {LAST}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Tell whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
