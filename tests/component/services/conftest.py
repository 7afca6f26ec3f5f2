"""All services behind one port on one broker and one home, without a renderer; one such house for each module."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.characters.v1.character_service_pb2 import (
    CreateCharacterRequest,
    GetCharacterRequest,
    WatchCharacterRequest,
)
from continuity.api.characters.v1.character_service_pb2_grpc import CharacterServiceStub
from continuity.api.locations.v1.location_service_pb2_grpc import LocationServiceStub
from continuity.api.matting.v1.matting_service_pb2_grpc import MattingServiceStub
from continuity.api.prompts.v1.prompt_service_pb2_grpc import PromptServiceStub
from continuity.api.rendering.v1.job_pb2 import Job
from continuity.api.rendering.v1.render_service_pb2 import GetJobRequest, SubmitShotsRequest, WatchJobsRequest
from continuity.api.rendering.v1.render_service_pb2_grpc import RenderServiceStub
from continuity.api.vision.v1.vision_service_pb2_grpc import VisionServiceStub
from continuity.hosting.hosted import Host
from continuity.hosting.platform import Platform, open_platform
from continuity.kernel.values import ObjectRef
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics
from continuity.objects.filesystem import FilesystemObjectStore
from continuity.rpc.calls import PROJECT_HEADER
from continuity.rpc.channel import open_channel
from services.characters import bootstrap as characters
from services.characters.handlers import reconcile as characters_reconcile
from services.characters.settings import Settings as CharactersSettings
from services.embedded.runtime import COLLECTIONS
from services.matting import bootstrap as matting
from services.matting.settings import Settings as MattingSettings
from services.prompts import bootstrap as prompts
from services.prompts.settings import Settings as PromptsSettings
from services.rendering import bootstrap as rendering
from services.rendering.handlers import reconcile as rendering_reconcile
from services.rendering.settings import Settings as RenderingSettings
from services.vision import bootstrap as vision
from services.vision.settings import Settings as VisionSettings

LIMIT_S = 90.0
NOBODY_LISTENS = "127.0.0.1:1"
PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "examples" / "photographs"
_projects = count(1)


class WornDisk(FilesystemObjectStore):
    """Loses a bit of everything that projects named ``worn-…`` put there."""

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        ref = await super().put(key, data, content_type)
        if key.startswith("worn-"):
            path = self._path(key)
            damaged = bytearray(path.read_bytes())
            damaged[len(data) // 2] ^= 1
            path.write_bytes(damaged)
        return ref


@dataclass(frozen=True)
class Refusal:
    """What a caller sees of an error."""

    code: grpc.StatusCode
    reason: str
    values: dict[str, str]
    message: str


@dataclass(frozen=True)
class Crew:
    """A caller of one project."""

    house: House
    project: str

    async def call(self, method: str, request: Any) -> Any:
        return await self.house.method(method)(request, metadata=self._metadata, timeout=LIMIT_S)

    async def stream(self, method: str, request: Any) -> list[Any]:
        call = self.house.method(method)(request, metadata=self._metadata, timeout=LIMIT_S)
        return [response async for response in call]

    async def refused(self, method: str, request: Any) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            if method in ("WatchCharacter", "WatchJobs", "DownloadKeyframe"):
                await self.stream(method, request)
            else:
                await self.call(method, request)
        return _refusal(caught.value)

    async def create(self, name: str, photo: bytes, **fields: Any) -> Character:
        request = CreateCharacterRequest(name=name, photo=photo, **fields)
        return (await self.call("CreateCharacter", request)).character

    async def ready(self, name: str, photo: bytes, **fields: Any) -> Character:
        made = await self.create(name, photo, **fields)
        return (await self.stream("WatchCharacter", WatchCharacterRequest(id=made.id)))[-1].character

    async def character(self, id: str) -> Character:
        return (await self.call("GetCharacter", GetCharacterRequest(id=id))).character

    async def submit(self, *shots: Any, **fields: Any) -> list[Job]:
        return list((await self.call("SubmitShots", SubmitShotsRequest(shots=shots, **fields))).jobs)

    async def job(self, id: str) -> Job:
        return (await self.call("GetJob", GetJobRequest(job_id=id))).job

    async def job_becomes(self, id: str, state: int) -> Job:
        """Watch the job until it is in the state; the deadline of the call bounds it."""
        watch = self.house.method("WatchJobs")(WatchJobsRequest(job_ids=[id]), metadata=self._metadata, timeout=LIMIT_S)
        async for update in watch:
            if update.job.state == state:
                watch.cancel()
                return update.job
        raise AssertionError(f"the job ended otherwise: {await self.job(id)}")

    async def objects(self) -> tuple[ObjectRef, ...]:
        """Everything that the project has in the object store."""
        return (await self.house.platform.objects.list(f"{self.project}/")).objects

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return ((PROJECT_HEADER, self.project),)


@dataclass(frozen=True)
class House:
    """The running services."""

    address: str
    platform: Platform
    host: Host
    stubs: tuple[Any, ...]

    def method(self, name: str) -> Any:
        return next(getattr(stub, name) for stub in self.stubs if hasattr(stub, name))


STUBS = (
    CharacterServiceStub,
    LocationServiceStub,
    VisionServiceStub,
    MattingServiceStub,
    PromptServiceStub,
    RenderServiceStub,
)


@pytest.fixture(scope="module")
def short_intervals() -> Iterator[None]:
    """Have the services look again soon for what they look at every few seconds."""
    with pytest.MonkeyPatch.context() as patched:
        for look in (characters_reconcile, rendering_reconcile):
            patched.setattr(look, "INTERVAL_S", 0.1)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, short_intervals: None
) -> AsyncIterator[House]:
    """A module's ``SETTINGS`` are those of its rendering service that differ from what others have."""
    home = tmp_path_factory.mktemp("home")
    broker = EmbeddedBroker()
    settings = RenderingSettings(
        home=home,
        bootstrap_servers=broker.bootstrap_servers,
        triton_address=NOBODY_LISTENS,
        **getattr(request.module, "SETTINGS", {}),
    )
    opened = await open_platform(settings, COLLECTIONS)
    await opened.objects.close()
    platform = replace(opened, objects=WornDisk(settings.objects_folder))
    await broker.create(broker_topics(platform.topics))
    common = settings.model_dump()
    services = [
        await characters.bootstrap(CharactersSettings(**common), platform),
        await vision.bootstrap(VisionSettings(**common), platform),
        await matting.bootstrap(MattingSettings(**common), platform),
        await prompts.bootstrap(PromptsSettings(**common), platform),
        await rendering.bootstrap(settings, platform),
    ]
    host = Host("127.0.0.1:0", services)
    address = await host.start()
    channel = open_channel(address)
    yield House(address, platform, host, tuple(stub(channel) for stub in STUBS))
    await channel.close()
    await host.stop(0)
    await platform.close()
    broker.close()


@pytest.fixture
def crew_of(house: House) -> Callable[..., Crew]:
    """Make a caller of a project that nobody else has; its name begins with ``kind``."""
    return lambda kind="project": Crew(house, f"{kind}-{next(_projects)}")


@pytest.fixture
def crew(crew_of: Callable[..., Crew]) -> Crew:
    return crew_of()


@pytest.fixture(scope="session")
def hopper() -> bytes:
    """A photograph of one person, small enough to be quick."""
    return encoded(Image.open(PHOTOGRAPHS / "grace_hopper.jpg").convert("RGB"), "JPEG", quality=92)


@pytest.fixture(scope="session")
def grey() -> bytes:
    """A photograph of nobody and nothing."""
    return encoded(Image.new("RGB", (256, 256), (128, 128, 128)), "PNG")


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _refusal(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(error)
    assert status is not None, error
    info = error_details_pb2.ErrorInfo()
    assert next(detail for detail in status.details if detail.Unpack(info))
    return Refusal(error.code(), info.reason, dict(info.metadata), status.message)
