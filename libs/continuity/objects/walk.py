"""A walk over the objects of one folder in all projects, page by page, round after round."""

from __future__ import annotations

from continuity.objects.port import ListedObject, ObjectStore

PAGE = 500
_BEHIND_SLASH = chr(ord("/") + 1)


class FolderWalk:
    """Keys are ``project/folder/…``; a store lists them in order, so whatever lies beside the folder is skipped."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._project: str | None = None
        self._after = ""

    async def next_page(self) -> tuple[ListedObject, ...]:
        """Return the next objects; none at the end of a round, after which a new one begins."""
        while await self._in_project():
            page = await self._store.list(f"{self._project}/{self._folder}/", limit=PAGE, after=self._after)
            if page.next_after is None:
                self._project, self._after = None, f"{self._project}{_BEHIND_SLASH}"
            else:
                self._after = page.next_after
            if page.objects:
                return page.objects
        self._after = ""
        return ()

    async def _in_project(self) -> bool:
        """Enter the next project unless one is being walked; false when there is none."""
        if self._project is None:
            first = await self._store.list("", limit=1, after=self._after)
            if not first.objects:
                return False
            self._project = first.objects[0].key.partition("/")[0]
        return True
