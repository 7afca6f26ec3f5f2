"""Run all services in one process: ``python -m services.embedded [--exit-when-idle | --check]``."""

import argparse
import asyncio
import logging
import sys

from continuity.hosting.observed import observed
from continuity.hosting.run import unless_misconfigured
from services.embedded.claim import RuntimeExists
from services.embedded.runtime import check, run
from services.embedded.settings import Settings

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="services.embedded")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when nobody calls and nothing is unfinished")
    parser.add_argument("--check", action="store_true", help="look at the settings, and end")
    arguments = parser.parse_args()
    with unless_misconfigured():
        settings = Settings()
        if arguments.check:
            check(settings)
            sys.exit()
        with observed(settings, "embedded"):
            try:
                asyncio.run(run(settings, exit_when_idle=arguments.exit_when_idle))
            except RuntimeExists as error:
                logging.getLogger("services.embedded").info("%s", error)
