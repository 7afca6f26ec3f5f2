"""Cut a character out of its background."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.values import Failure, ObjectRef
from services.matting.domain.matte import cut_out, kept, not_cut_out
from services.matting.handlers.ports import Matter, Mattes, Pictures


@dataclass(frozen=True)
class MatteCharacter:
    """Cuts every figure out once, and answers as often as it is asked, well or badly."""

    mattes: Mattes
    matter: Matter
    pictures: Pictures

    async def __call__(
        self, project: str, character_id: str, version: int, picture: ObjectRef, keep_background: bool
    ) -> None:
        """Cut the figure out and store it, or tell of it again. Raises what the matter does."""
        if await self.mattes.tell_again(project, character_id, version, picture):
            return
        if keep_background:
            await self.mattes.add(project, kept(character_id, version, picture))
            return
        matte = await self.matter.cut_out(await self.pictures.read(picture.key))
        stored = await self.pictures.store(project, matte)
        await self.mattes.add(project, cut_out(character_id, version, stored))

    async def give_up(self, project: str, character_id: str, version: int, failure: Failure) -> None:
        """Record why there is no matte."""
        await self.mattes.add(project, not_cut_out(character_id, version, failure))
