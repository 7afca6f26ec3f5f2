"""The options of a film and of each of its shots, and what each of them is called in a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.rendering.domain.render_options import NOTHING_ASKED, RenderOptions, merged


@dataclass(frozen=True)
class AskedOptions:
    """``film`` are those of every shot; a shot's own, in the order of the shots, go before."""

    film: RenderOptions | None
    shots: tuple[RenderOptions | None, ...]

    def different(self) -> Iterator[tuple[int, RenderOptions]]:
        """Yield the options that there are, each once, with the first shot that is drawn with them."""
        seen: set[RenderOptions] = set()
        for place, own in enumerate(self.shots):
            options = merged(self.film, own)
            if options is not None and options not in seen:
                seen.add(options)
                yield place, options

    def path(self, place: int, field: str) -> str:
        """Return where in the request a field of the options stands that the shot at ``place`` is drawn with."""
        own = self.shots[place] or NOTHING_ASKED
        return f"shots[{place}].options.{field}" if own.gives(option_of(field)) else f"options.{field}"


def option_of(field: str) -> str:
    """Return the option that a path such as ``hires.scale`` or ``loras[1].name`` leads into."""
    return re.split(r"[.\[]", field, maxsplit=1)[0]
