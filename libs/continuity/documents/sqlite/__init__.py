"""The embedded document store: one SQLite file, shared by every service of the machine."""

from continuity.documents.sqlite.events import EventLog, LoggedEvent
from continuity.documents.sqlite.store import SqliteDocuments

__all__ = ["EventLog", "LoggedEvent", "SqliteDocuments"]
