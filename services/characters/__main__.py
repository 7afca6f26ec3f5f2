"""Run the characters service alone."""

from continuity.hosting.run import run_service
from services.characters.bootstrap import COLLECTIONS, bootstrap
from services.characters.settings import Settings

if __name__ == "__main__":
    run_service("characters", Settings, COLLECTIONS, bootstrap)
