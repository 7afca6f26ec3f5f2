"""gRPC calls ⇄ use cases."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.api.prompts.v1 import prompt_service_pb2 as pb
from continuity.api.prompts.v1 import prompt_service_pb2_grpc as pb_grpc
from continuity.rpc.calls import current_project
from continuity.rpc.errors import Context
from services.prompts.domain.vocabulary import Vocabulary
from services.prompts.entrypoints.mapping import record_message, vocabulary_message
from services.prompts.handlers.ports import Prompts

RPC_NAMES = (pb.DESCRIPTOR.services_by_name["PromptService"].full_name,)


@dataclass(frozen=True)
class PromptServicer(pb_grpc.PromptServiceServicer):
    """``continuity.api.prompts.v1.PromptService``."""

    prompts: Prompts
    vocabulary: Vocabulary

    async def GetVocabulary(self, request: pb.GetVocabularyRequest, context: Context) -> pb.GetVocabularyResponse:
        """Return every word that shots may use."""
        return vocabulary_message(self.vocabulary)

    async def GetPrompt(self, request: pb.GetPromptRequest, context: Context) -> pb.GetPromptResponse:
        """Return the prompt of a job."""
        return record_message(await self.prompts.get(current_project(), request.job_id))
