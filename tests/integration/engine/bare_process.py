"""The program ``bare``, which draws beside the tests what they compare with."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

from tests.integration.engine.cases import CASES, Case

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
VARIABLES = {
    "PATH": "/usr/bin:/bin",
    "PYTHONPATH": str(ROOT / "libs"),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}

Expected = Callable[[str], list[str]]
"""The SHA-256 of each picture of a case, by its name."""


class Bare:
    """Begins with the first of the cases named; ``sharing`` is the number of slots of a batch."""

    def __init__(self, models: Path, names: Sequence[str], sharing: int) -> None:
        self._names = iter(names)
        self._known: dict[str, list[str]] = {}
        with TemporaryFile("w+") as orders:
            orders.writelines(json.dumps([_order(CASES[name])]) + "\n" for name in names)
            orders.seek(0)
            program = [PYTHON, Path(__file__).with_name("bare.py"), models, str(sharing)]
            self._process = subprocess.Popen(program, env=VARIABLES, stdin=orders, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def of(self, name: str) -> list[str]:
        """Return what a case gives, as soon as it is drawn."""
        assert self._process.stdout
        while name not in self._known:
            line = self._process.stdout.readline()
            assert line, "the program that draws what is to be compared with has ended; its error is above"
            (self._known[next(self._names)],) = json.loads(line)
        return self._known[name]


def _order(case: Case) -> tuple[dict[str, object], dict[str, list[str]]]:
    pictures = {name: [base64.b64encode(each).decode() for each in several] for name, several in case.pictures.items()}
    return case.spec("bare"), pictures
