"""``python -m engine.models``: what installs, lists, checks and removes models."""

import sys

from engine.models.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
