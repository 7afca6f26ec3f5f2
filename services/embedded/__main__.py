"""Run all services in one process: ``python -m services.embedded [--exit-when-idle]``."""

import argparse
import asyncio
import logging

from continuity.hosting.observed import observed
from continuity.hosting.run import unless_misconfigured
from services.embedded.claim import RuntimeExists
from services.embedded.runtime import run
from services.embedded.settings import Settings

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="services.embedded")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when nobody calls and nothing is unfinished")
    arguments = parser.parse_args()
    with unless_misconfigured():
        settings = Settings()
        with observed(settings, "embedded"):
            try:
                asyncio.run(run(settings, exit_when_idle=arguments.exit_when_idle))
            except RuntimeExists as error:
                logging.getLogger("services.embedded").info("%s", error)
