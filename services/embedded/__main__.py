"""Run all services in one process: ``python -m services.embedded [--exit-when-idle]``."""

import argparse
import asyncio
import logging

from continuity.hosting.run import set_up_logging
from services.embedded.claim import RuntimeExists
from services.embedded.runtime import run
from services.embedded.settings import Settings

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="services.embedded")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when nobody calls and nothing is unfinished")
    arguments = parser.parse_args()
    settings = Settings()
    set_up_logging(settings.log_level)
    try:
        asyncio.run(run(settings, exit_when_idle=arguments.exit_when_idle))
    except RuntimeExists as error:
        logging.getLogger("services.embedded").info("%s", error)
