"""The document store on MongoDB: a replica set, a single server, or whatever speaks its protocol."""

from continuity.documents.mongo.store import MongoDocuments

__all__ = ["MongoDocuments"]
