"""The engine without its loop and its networks: what is not here is the real one's."""

from pathlib import Path

__path__.append(str(Path(__file__).resolve().parents[4] / "libs" / "engine"))
