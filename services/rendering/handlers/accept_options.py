"""Refuse options that nothing could be drawn with, before anything is accepted, and keep what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from continuity.kernel.errors import InvalidValue
from services.rendering.domain.render_options import NOTHING_ASKED, RenderOptions, SourceImage
from services.rendering.domain.submission import Submission
from services.rendering.handlers.ports import OptionRules, SourcePicture, Sources


@dataclass(frozen=True)
class AcceptOptions:
    """Looks at options that several shots share once."""

    rules: OptionRules
    sources: Sources

    async def __call__(self, project: str, submission: Submission) -> None:
        """Raise ``InvalidValue`` naming the field of the shot, or of all shots; keep the pictures that are named."""
        kept: set[SourceImage] = set()
        for place, options in _different(submission):
            try:
                self.rules.check(options, submission.width_px, submission.height_px)
                if options.source is not None and options.source not in kept:
                    await self._keep(project, options.source)
                    kept.add(options.source)
            except InvalidValue as error:
                raise replace(error, field=_path(submission, place, error.field)) from None

    async def _keep(self, project: str, source: SourceImage) -> None:
        image = await self._found(project, "source.image_sha256", source.image_sha256)
        if not source.mask_sha256:
            return
        mask = await self._found(project, "source.mask_sha256", source.mask_sha256)
        if (mask.width_px, mask.height_px) != (image.width_px, image.height_px):
            limit = f"it must be as large as the picture, {image.width_px}×{image.height_px}"
            raise InvalidValue("source.mask_sha256", f"a mask of {mask.width_px}×{mask.height_px}", limit)

    async def _found(self, project: str, field: str, sha256: str) -> SourcePicture:
        found = await self.sources.keep(project, sha256)
        if found is None:
            raise InvalidValue(field, sha256, "it must be a picture that was uploaded to this project within the hour")
        return found


def _different(submission: Submission) -> Iterator[tuple[int, RenderOptions]]:
    """Yield the options that there are, each with the first shot that is drawn with them."""
    seen: set[RenderOptions] = set()
    for place, shot in enumerate(submission.shots):
        options = submission.optioned(shot).options
        if options is not None and options not in seen:
            seen.add(options)
            yield place, options


def _path(submission: Submission, place: int, field: str) -> str:
    """Return where in the request a field of the options stands that the shot at ``place`` is drawn with."""
    own = submission.shots[place].options or NOTHING_ASKED
    name = re.split(r"[.\[]", field, maxsplit=1)[0]
    return f"shots[{place}].options.{field}" if own.gives(name) else f"options.{field}"
