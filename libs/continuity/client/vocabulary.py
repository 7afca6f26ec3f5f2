"""The words that shots may use."""

from __future__ import annotations

from continuity.api.prompts.v1.prompt_service_pb2 import GetVocabularyRequest, Word
from continuity.api.prompts.v1.prompt_service_pb2_grpc import PromptServiceStub
from continuity.client.transport import Transport


class Vocabulary:
    """The vocabulary of the prompt service. Every method raises ``CallFailed``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = PromptServiceStub(transport.channel)

    async def words(self) -> tuple[Word, ...]:
        """Return every word with its field and meaning."""
        answer = await self._transport.unary(self._stub.GetVocabulary, GetVocabularyRequest(), repeatable=True)
        return tuple(answer.words)

    async def spellings(self) -> dict[str, dict[str, str]]:
        """Return, for each field, every accepted spelling and its word, as ``read_shot_list`` wants them."""
        fields: dict[str, dict[str, str]] = {}
        for word in await self.words():
            spellings = dict.fromkeys((word.word, *word.aliases), word.word)
            fields.setdefault(word.field, {}).update(spellings)
        return fields
