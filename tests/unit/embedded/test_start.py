"""What the embedded runtime loads: every command that finds none waits for it."""

import subprocess
import sys


def test_clients_of_servers_that_it_does_not_talk_to_are_not_loaded():
    code = "import sys, services.embedded.runtime; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "aiokafka" in loaded
    assert {"motor", "pymongo", "bson", "minio"}.isdisjoint(loaded)
