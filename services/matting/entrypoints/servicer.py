"""gRPC calls ⇄ use cases."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.api.matting.v1 import matting_service_pb2 as pb
from continuity.api.matting.v1 import matting_service_pb2_grpc as pb_grpc
from continuity.rpc.calls import current_project
from continuity.rpc.errors import Context
from services.matting.entrypoints.mapping import record_message
from services.matting.handlers.ports import Mattes

RPC_NAMES = (pb.DESCRIPTOR.services_by_name["MattingService"].full_name,)


@dataclass(frozen=True)
class MattingServicer(pb_grpc.MattingServiceServicer):
    """``continuity.api.matting.v1.MattingService``."""

    mattes: Mattes

    async def GetMatte(self, request: pb.GetMatteRequest, context: Context) -> pb.GetMatteResponse:
        """Return the matte of a character."""
        return record_message(await self.mattes.latest(current_project(), request.character_id))
