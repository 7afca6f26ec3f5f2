"""Run the vision service alone."""

from continuity.hosting.run import run_service
from services.vision.bootstrap import COLLECTIONS, bootstrap
from services.vision.settings import Settings

if __name__ == "__main__":
    run_service("vision", Settings, COLLECTIONS, bootstrap)
