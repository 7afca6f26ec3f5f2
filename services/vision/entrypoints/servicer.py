"""gRPC calls ⇄ use cases."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.api.vision.v1 import vision_service_pb2 as pb
from continuity.api.vision.v1 import vision_service_pb2_grpc as pb_grpc
from continuity.rpc.calls import current_project
from continuity.rpc.errors import Context
from services.vision.entrypoints.mapping import record_message
from services.vision.handlers.ports import Analyses

RPC_NAMES = (pb.DESCRIPTOR.services_by_name["VisionService"].full_name,)


@dataclass(frozen=True)
class VisionServicer(pb_grpc.VisionServiceServicer):
    """``continuity.api.vision.v1.VisionService``."""

    analyses: Analyses

    async def GetAnalysis(self, request: pb.GetAnalysisRequest, context: Context) -> pb.GetAnalysisResponse:
        """Return the analysis of a character."""
        return record_message(await self.analyses.latest(current_project(), request.character_id))
