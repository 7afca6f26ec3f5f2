"""Run the prompts service alone."""

from continuity.hosting.run import run_service
from services.prompts.bootstrap import COLLECTIONS, bootstrap
from services.prompts.settings import Settings

if __name__ == "__main__":
    run_service("prompts", Settings, COLLECTIONS, bootstrap)
