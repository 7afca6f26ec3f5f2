"""All services in memory, behind one real gRPC port."""

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from PIL import Image

from continuity.api.characters.v1 import character_pb2, character_service_pb2, character_service_pb2_grpc
from continuity.api.common.v1.object_pb2 import Failure, ObjectRef
from continuity.api.locations.v1 import location_pb2, location_service_pb2, location_service_pb2_grpc
from continuity.api.prompts.v1 import prompt_pb2, prompt_service_pb2, prompt_service_pb2_grpc
from continuity.api.rendering.v1 import job_pb2, render_service_pb2, render_service_pb2_grpc, verification_pb2
from continuity.kernel.errors import InvalidValue
from services.prompts.adapters.vocabulary_csv import read_vocabulary
from services.rendering.adapters.sdxl_models import FolderModels
from services.rendering.adapters.sdxl_options import SdxlChoice
from services.rendering.adapters.sdxl_rules import EngineRules
from services.rendering.entrypoints.mapping import options_asked, refusals_response
from services.rendering.handlers.check_options import CheckOptions
from services.rendering.settings import Settings as RenderingSettings
from tests.unit.client.studio import Finished, NameTaken, NotThere, Studio, page, refuse

READY = character_pb2.CHARACTER_STATE_READY
SUCCEEDED, FAILED, CANCELLED = job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED


class Characters(character_service_pb2_grpc.CharacterServiceServicer):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def _find(self, id: str) -> character_pb2.Character | None:
        return next((each for each in self.studio.characters.values() if id in {each.id, each.name}), None)

    async def CreateCharacter(self, request, context):
        await self.studio.admit("CreateCharacter", request, context)
        if not request.photo:
            await refuse(context, InvalidValue(field="photo", value="0 bytes", limit="a picture is wanted"))
        if self._find(request.name):
            await refuse(context, NameTaken())
        made = character_pb2.Character(
            id=f"character-{self.studio.calls['CreateCharacter']}",
            name=request.name,
            description=request.description,
            height_m=request.height_m or 1.70,
            state=character_pb2.CHARACTER_STATE_INGESTED,
            photo=ObjectRef(sha256=hashlib.sha256(request.photo).hexdigest(), size_bytes=len(request.photo)),
            figure_source=character_pb2.FIGURE_SOURCE_BACKGROUND_KEPT
            if request.keep_background
            else character_pb2.FIGURE_SOURCE_MATTE,
        )
        self.studio.characters[made.id] = made
        return character_service_pb2.CreateCharacterResponse(character=made)

    async def GetCharacter(self, request, context):
        await self.studio.admit("GetCharacter", request, context)
        found = self._find(request.id)
        if found is None:
            await refuse(context, NotThere())
        return character_service_pb2.GetCharacterResponse(character=found, image_url=f"https://cdn/{found.id}")

    async def ListCharacters(self, request, context):
        await self.studio.admit("ListCharacters", request, context)
        found, token = page(list(self.studio.characters.values()), request)
        return character_service_pb2.ListCharactersResponse(characters=found, next_page_token=token)

    async def WatchCharacter(self, request, context):
        found = self._find(request.id)
        if found is not None:
            yield character_service_pb2.WatchCharacterResponse(character=found)
        await self.studio.admit("WatchCharacter", request, context)
        if request.id in self.studio.characters:
            found.state = READY
            yield character_service_pb2.WatchCharacterResponse(character=found)

    async def DeleteCharacter(self, request, context):
        await self.studio.admit("DeleteCharacter", request, context)
        found = self._find(request.id)
        if found is None:
            await refuse(context, NotThere())
        del self.studio.characters[found.id]
        return character_service_pb2.DeleteCharacterResponse()


class Locations(location_service_pb2_grpc.LocationServiceServicer):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def _find(self, id: str) -> location_pb2.Location | None:
        return next((each for each in self.studio.locations.values() if id in {each.id, each.name}), None)

    async def SaveLocation(self, request, context):
        await self.studio.admit("SaveLocation", request, context)
        found = self._find(request.name)
        saved = location_pb2.Location(
            id=found.id if found else f"location-{len(self.studio.locations)}",
            name=request.name,
            type=request.type,
            description=request.description,
            time_of_day=request.time_of_day,
            weather=request.weather,
        )
        if request.photo:
            saved.picture.size_bytes = len(request.photo)
        self.studio.locations[saved.id] = saved
        return location_service_pb2.SaveLocationResponse(location=saved)

    async def GetLocation(self, request, context):
        await self.studio.admit("GetLocation", request, context)
        found = self._find(request.id)
        if found is None:
            await refuse(context, NotThere())
        return location_service_pb2.GetLocationResponse(location=found)

    async def ListLocations(self, request, context):
        await self.studio.admit("ListLocations", request, context)
        found, token = page(list(self.studio.locations.values()), request)
        return location_service_pb2.ListLocationsResponse(locations=found, next_page_token=token)

    async def DeleteLocation(self, request, context):
        await self.studio.admit("DeleteLocation", request, context)
        found = self._find(request.id)
        if found is None:
            await refuse(context, NotThere())
        del self.studio.locations[found.id]
        return location_service_pb2.DeleteLocationResponse()


class Prompts(prompt_service_pb2_grpc.PromptServiceServicer):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    async def GetVocabulary(self, request, context):
        await self.studio.admit("GetVocabulary", request, context)
        spellings = read_vocabulary().spellings
        words = [
            prompt_service_pb2.Word(field=name, word=word)
            for name, known in spellings.items()
            for word in dict.fromkeys(known.values())
        ]
        return prompt_service_pb2.GetVocabularyResponse(words=words)

    async def GetPrompt(self, request, context):
        raise NotImplementedError


class Rendering(render_service_pb2_grpc.RenderServiceServicer):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    async def SubmitShots(self, request, context):
        await self.studio.admit("SubmitShots", request, context)
        if request.request_id not in self.studio.submissions:
            id = f"submission-{len(self.studio.submissions)}"
            jobs = [
                job_pb2.Job(
                    id=f"{id}-job-{number}",
                    submission_id=id,
                    film=request.film,
                    shot=shot,
                    state=job_pb2.JOB_STATE_REQUESTED,
                )
                for number, shot in enumerate(request.shots)
            ]
            self.studio.images |= {job.id: job.shot.options.images or request.options.images or 1 for job in jobs}
            self.studio.submissions[request.request_id] = render_service_pb2.SubmitShotsResponse(
                submission_id=id, jobs=jobs
            )
        return self.studio.submissions[request.request_id]

    async def CheckOptions(self, request, context):
        await self.studio.admit("CheckOptions", request, context)
        made = RenderingSettings(renderer="sdxl", identity="off", models=self.studio.models)
        check = CheckOptions(EngineRules(SdxlChoice(made)), FolderModels(made))
        return refusals_response(await check(options_asked(request)))

    async def UploadSource(self, request, context):
        await self.studio.admit("UploadSource", request, context)
        if refused := self.studio.refused_pictures.get(request.picture):
            await refuse(context, refused)
        return render_service_pb2.UploadSourceResponse(sha256=hashlib.sha256(request.picture).hexdigest())

    async def GetJob(self, request, context):
        await self.studio.admit("GetJob", request, context)
        job = await self._job(request.job_id, context)
        image_url = f"https://cdn/{job.id}.png" if job.HasField("keyframe") else ""
        return render_service_pb2.GetJobResponse(job=job, image_url=image_url)

    async def ListJobs(self, request, context):
        await self.studio.admit("ListJobs", request, context)
        jobs = [
            job
            for job in self.studio.jobs.values()
            if request.submission_id in {"", job.submission_id} and request.state in {0, job.state}
        ]
        found, token = page(jobs, request)
        return render_service_pb2.ListJobsResponse(jobs=found, next_page_token=token)

    async def WatchJobs(self, request, context) -> AsyncIterator[render_service_pb2.WatchJobsResponse]:
        jobs = [
            job
            for job in self.studio.jobs.values()
            if job.id in request.job_ids or (request.submission_id and job.submission_id == request.submission_id)
        ]
        for job in jobs:
            yield render_service_pb2.WatchJobsResponse(job=job)
        await self.studio.admit("WatchJobs", request, context)
        for job in jobs:
            if job.state in {SUCCEEDED, FAILED, CANCELLED}:
                continue
            half = job_pb2.JobProgress(job_id=job.id, state=job_pb2.JOB_STATE_RENDERING, step=1, steps=2)
            yield render_service_pb2.WatchJobsResponse(progress=half)
            self._finish(job)
            yield render_service_pb2.WatchJobsResponse(job=job)

    async def CancelJob(self, request, context):
        await self.studio.admit("CancelJob", request, context)
        job = await self._job(request.job_id, context)
        if job.state in {SUCCEEDED, FAILED}:
            await refuse(context, Finished())
        job.state = CANCELLED
        return render_service_pb2.CancelJobResponse(job=job)

    async def DownloadKeyframe(self, request, context):
        await self.studio.admit("DownloadKeyframe", request, context)
        png = self.studio.damage or keyframe_png(await self._job(request.job_id, context), request.take)
        for first in range(0, len(png), 100):
            yield render_service_pb2.DownloadKeyframeResponse(chunk=png[first : first + 100])

    async def VerifyKeyframe(self, request, context):
        await self.studio.admit("VerifyKeyframe", request, context)
        job = await self._job(request.job_id, context)
        if job.state != SUCCEEDED:
            await refuse(context, Finished())
        half = job_pb2.JobProgress(job_id=job.id, state=job.state, step=1, steps=2)
        yield render_service_pb2.VerifyKeyframeResponse(progress=half)
        told = self.studio.verdicts.get(job.id, {"verdict": verification_pb2.VERDICT_SAME})
        yield render_service_pb2.VerifyKeyframeResponse(verification={"job_id": job.id, **told})

    async def _job(self, id: str, context) -> job_pb2.Job:
        if id not in self.studio.jobs:
            await refuse(context, NotThere())
        return self.studio.jobs[id]

    def _finish(self, job: job_pb2.Job) -> None:
        if (job.shot.scene_id, job.shot.shot_number) in self.studio.failing_shots:
            job.state = FAILED
            job.failure.CopyFrom(Failure(reason="RENDERER_FAILED", message="the renderer gave up"))
            return
        job.prompt.CopyFrom(prompt_pb2.Prompt(text=f"prompt of {job.shot.description}", negative="blurry", seed=7))
        job.takes.extend(keyframe(job, take) for take in range(self.studio.images[job.id]))
        job.keyframe.CopyFrom(job.takes[0])
        job.state = SUCCEEDED


def keyframe(job: job_pb2.Job, take: int) -> job_pb2.Keyframe:
    png = keyframe_png(job, take)
    sha256 = hashlib.sha256(png).hexdigest()
    return job_pb2.Keyframe(
        object=ObjectRef(key=f"default/{sha256}", sha256=sha256, size_bytes=len(png)),
        width_px=64,
        height_px=36,
        seed=7 + take,
        renderer="previz 1",
        timings=job_pb2.StageTimings(render_s=0.25, store_s=0.5),
    )


def keyframe_png(job: job_pb2.Job, take: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 36), (job.shot.shot_number * 20 % 256, 90 + take, 120)).save(buffer, "PNG")
    return buffer.getvalue()


def build_server(studio: Studio) -> grpc.aio.Server:
    server = grpc.aio.server()
    character_service_pb2_grpc.add_CharacterServiceServicer_to_server(Characters(studio), server)
    location_service_pb2_grpc.add_LocationServiceServicer_to_server(Locations(studio), server)
    prompt_service_pb2_grpc.add_PromptServiceServicer_to_server(Prompts(studio), server)
    render_service_pb2_grpc.add_RenderServiceServicer_to_server(Rendering(studio), server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    return server


@contextmanager
def serving(studio: Studio) -> Iterator[str]:
    """Serve in a thread with a loop of its own, so that the code under test may run a loop, too; yield the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[grpc.aio.Server, int]:
        server = build_server(studio)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
