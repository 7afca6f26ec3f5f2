"""What a command says: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.table import Table

_UNWRAPPED = 10_000  # columns where nobody looks at a screen: a line stays a line


class Output:
    """Says things to people, or one JSON document to programs; ``command`` is how the user calls this program."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.command = "continuity"
        self._results = _console(sys.stdout)
        self.notes = _console(sys.stderr)

    def note(self, text: str) -> None:
        """Say something that is no result."""
        self.notes.print(text, soft_wrap=True)

    def show(self, document: object, *seen: RenderableType) -> None:
        """Give the result: ``document`` to programs, ``seen`` to people."""
        if self.as_json:
            json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
            sys.stdout.write("\n")
            return
        for each in seen:
            if isinstance(each, str) or self._results.is_terminal:
                self._results.print(each, soft_wrap=isinstance(each, str))
            else:
                self._print_trimmed(each)

    def _print_trimmed(self, table: RenderableType) -> None:
        """Write a table without the blanks that fill up its last column, which matter to nobody but programs."""
        with self._results.capture() as captured:
            self._results.print(table)
        for line in captured.get().splitlines():
            self._results.print(line.rstrip(), soft_wrap=True)

    def fail(self, failure: Mapping[str, Any]) -> None:
        """Say what went wrong; programs get it as the document, too."""
        message: str = failure["message"]
        for line in message.splitlines():
            self.note(f"continuity: {line}" if line == message else line)
        if self.as_json:
            self.show({"error": failure})


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return rows under headings, without lines."""
    made = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*row)
    return made


def facts(pairs: Mapping[str, str]) -> Table:
    """Return names and values below one another, leaving out what is empty."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value:
            made.add_row(name, value)
    return made


def _console(stream: TextIO) -> Console:
    return Console(
        file=stream, markup=False, highlight=False, emoji=False, width=None if stream.isatty() else _UNWRAPPED
    )
