"""Holds ``docs/asyncapi.yaml`` to AsyncAPI's own JSON schema: ``python -m deploy.local.asyncapi_schema``.

The schema comes with ``deploy.local.set_up buf``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from deploy.local.cache import ROOT

SCHEMAS = ROOT / ".buf" / "node_modules" / "@asyncapi" / "specs" / "schemas"
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"


def mistakes(document: dict[str, Any], schemas: Path = SCHEMAS) -> list[str]:
    """Return what the schema of the document's version has against it, each with its place."""
    schema = json.loads((schemas / f"{document['asyncapi']}.json").read_text())
    found = jsonschema.Draft7Validator(schema).iter_errors(document)
    return ["/".join(map(str, each.absolute_path)) + f": {each.message[:500]}" for each in found]


def main() -> int:
    """Print the mistakes; return the exit code."""
    found = mistakes(yaml.safe_load(DOCUMENT.read_text()))
    for mistake in found:
        print(f"docs/asyncapi.yaml: {mistake}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
