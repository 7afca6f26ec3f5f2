"""Run the matting service alone."""

from continuity.hosting.run import run_service
from services.matting.bootstrap import COLLECTIONS, bootstrap
from services.matting.settings import Settings

if __name__ == "__main__":
    run_service("matting", Settings, COLLECTIONS, bootstrap)
