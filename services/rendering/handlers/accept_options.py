"""Refuse options that nothing could be drawn with, before anything is accepted, and keep what they name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continuity.kernel.errors import InvalidValue
from services.rendering.domain.render_options import SourceImage
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
        asked = submission.asked_options
        for place, options in asked.different():
            try:
                for refused in self.rules.refusals(options, submission.width_px, submission.height_px):
                    raise refused
                if options.source is not None and options.source not in kept:
                    await self._keep(project, options.source)
                    kept.add(options.source)
            except InvalidValue as error:
                raise replace(error, field=asked.path(place, error.field)) from None

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
