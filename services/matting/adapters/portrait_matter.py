"""The embedded matter: ``portrait``, which needs no weights, in the CPU pool."""

from __future__ import annotations

import cv2
import numpy as np

from continuity.compute.pool import CpuPool
from portrait.errors import PortraitError
from portrait.faces import find_faces
from portrait.matting import cut_out, rgba
from services.matting.domain.errors import NoFigureFound


class PortraitMatter:
    """The ``Matter`` port."""

    def __init__(self, pool: CpuPool) -> None:
        self._pool = pool

    async def cut_out(self, picture: bytes) -> bytes:
        """Return the figure of an upright picture (PNG) as a PNG with straight alpha. Raises ``NoFigureFound``."""
        return await self._pool.run(_cut_out, picture)


def _cut_out(picture: bytes) -> bytes:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded.ndim == 3 and decoded.shape[2] == 4:
        return picture  # it came cut out: whoever did that knew better
    rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    faces = find_faces(rgb)
    try:
        figure = rgba(cut_out(rgb, faces[0] if faces else None))
    except PortraitError as error:
        raise NoFigureFound(cause=str(error)) from None
    _, png = cv2.imencode(".png", cv2.cvtColor(figure, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return png.tobytes()
