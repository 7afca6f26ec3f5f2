import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from continuity.client import CallFailed, ContinuityClient
from continuity.client.transport import Backoff

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

async def ask():
    async with ContinuityClient("127.0.0.1:1", backoff=Backoff(attempts=1)) as client:
        with trace.get_tracer("host").start_as_current_span("work"):
            try:
                await client.shots.get("j")
            except CallFailed:
                pass

asyncio.run(ask())
call, work = exporter.get_finished_spans()
print(call.name, call.parent.span_id == work.context.span_id, call.attributes["rpc.response.status_code"])
"""


def test_a_program_with_a_trace_of_its_own_finds_the_clients_calls_in_it() -> None:
    """In a process of its own: a process's ambient providers cannot be taken back."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["continuity.api.rendering.v1.RenderService/GetJob", "True", "UNAVAILABLE"]
