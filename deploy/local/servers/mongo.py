"""A server that speaks MongoDB's protocol, for machines that have no MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local import programs
from deploy.local.ports import accepts, free_port
from deploy.local.servers.base import Server


class MongoStandIn(Server):
    """Stop it with ``stop``: its file is flushed about once a second, so ``kill`` may lose the last second."""

    name = "mongo"

    def __init__(self, folder: Path, port: int = 0, *, detached: bool = False) -> None:
        super().__init__(folder, port or free_port(), detached=detached)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"mongodb://{self.address}"

    @property
    def variables(self) -> dict[str, str]:
        """What a service is told to keep its documents here."""
        return {"CONTINUITY_MONGODB_URL": self.url}

    def command(self) -> Sequence[str]:
        """Return the command line."""
        jars, classes = programs.mongo_stand_in()
        return [
            *(programs.java(), "-Xmx256m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            *("-cp", f"{classes}:{jars}/*", "MongoStandIn"),
            *("127.0.0.1", str(self.port), str(self.folder / "documents.h2")),
        ]

    def answers(self) -> bool:
        """Tell whether it answers a ping."""
        if not accepts(self.port):
            return False
        with MongoClient[dict[str, object]](self.url, serverSelectionTimeoutMS=2_000, socketTimeoutMS=2_000) as client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return False
        return True
