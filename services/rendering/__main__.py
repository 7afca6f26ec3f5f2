"""Run the rendering service alone."""

from continuity.hosting.run import run_service
from services.rendering.bootstrap import COLLECTIONS, bootstrap
from services.rendering.settings import Settings

if __name__ == "__main__":
    run_service("rendering", Settings, COLLECTIONS, bootstrap)
