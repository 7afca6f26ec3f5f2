"""Triton's side of the diffusion engine: tensors in, steps and pictures out. All the work is the engine's."""

import json
import os
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

# Triton's interpreter starts isolated: it reads no PYTHONPATH, so what that names is added here.
sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
sys.path.append(str(Path(__file__).parent))

from cancellation import Watch  # noqa: E402

from engine.crashes import Crashes  # noqa: E402
from engine.door import EXIT_CODE, build  # noqa: E402
from engine.errors import ModelUnusable, NotAPicture, OutOfMemory, QueueFull, Refused, Stopped  # noqa: E402
from engine.preparation import RawRequest  # noqa: E402

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
_PRIORITY_PARAMETER = "job_priority"
_WORDS = (
    (Refused, "refused", "INVALID_ARG"),
    (ModelUnusable, "model", "INVALID_ARG"),
    (QueueFull, "full", "UNAVAILABLE"),
    (OutOfMemory, "memory", "UNAVAILABLE"),
    (MemoryError, "memory", "UNAVAILABLE"),
    (NotAPicture, "picture", "INTERNAL"),
    (Stopped, "cancelled", "CANCELLED"),
)
"""Code words, and the names of Triton's codes: the backend adds these only when this module is loaded."""


class TritonPythonModel:
    """Hands requests to the engine and returns at once; a failure is that request's error alone."""

    def initialize(self, args):
        """Called once: there is one instance."""
        state = Path(os.environ["CONTINUITY_ENGINE_STATE"])
        self._crashes = Crashes(state)
        self._watch = Watch(pb_utils.Logger.log_error, partial(os._exit, EXIT_CODE))
        self._engine = build(
            Path(os.environ["CONTINUITY_MODELS"]),
            os.environ.get("CONTINUITY_ENGINE_DEVICE", "auto"),
            int(os.environ.get("CONTINUITY_ENGINE_THREADS", "1")),
            state,
        )

    def execute(self, requests):
        """Submit each request with a sender of its own, as the decoupled policy asks."""
        for request in requests:
            answer = _Answer(request.get_response_sender(), self._watch)
            try:
                self._submit(request, answer)
            except Exception as failure:
                answer.failed(failure)

    def _submit(self, request, answer):
        id = request.request_id()
        if deaths := self._crashes.charged(id):
            answer.end(_failure(f"[crashed] the engine died over it {deaths} times", "INTERNAL"))
        else:
            alone = self._crashes.is_suspect(id)
            answer.ticket = self._engine.submit(id, _raw(request), answer, _priority(request), alone)

    def finalize(self):
        """Called when the server unloads the model."""
        self._engine.close()
        self._watch.end()


class _Answer:
    """The engine's listener of one request; its methods are called from the engine's sender threads.

    Triton before 24.12 lets go of a cancelled request when its final flag comes, and crashes when a write to its stream
    ends after that (server pull request 7840), or when it is asked of that request again. So a picture is held back
    until it is known whether it is the last response, which takes the flag along; behind a cancellation the flag waits
    until the write before it has had time to end; and nobody asks while the flag goes out.
    """

    def __init__(self, sender, watch):
        self.ticket = None
        self._sender = sender
        self._watch = watch
        self._held = None
        self._steps = (0, 0)
        self._lock = threading.Lock()
        self._open = True
        watch.open(self)

    def progress(self, step, steps, preview_jpeg):
        self._watch.begun(self)
        self._flush()
        self._steps = (step, steps)
        self._sender.send(_response(step, steps, preview_jpeg))

    def picture(self, picture, manifest_json):
        self._flush()
        self._held = _response(*self._steps, b"", *_picture(picture, manifest_json))

    def finished(self):
        self._answer(self._held or _failure("[fault] the engine ended without a picture", "INTERNAL"))

    def failed(self, error):
        self._answer(_failed(error))

    def cancel_if_unwanted(self):
        """Tell whether nobody wants the answer any more; its ticket is then cancelled."""
        unwanted = self.ticket is not None and self._is_unwanted()
        if unwanted:
            self.ticket.cancel()
        return unwanted

    def end(self, response):
        """Send the last response."""
        with self._lock:
            was_open, self._open = self._open, False
        self._watch.close(self)
        if was_open:
            self._send_last(response)

    def _send_last(self, response):
        """Send the final flag, with something shorter where there is no memory for the response; or end the process.

        A request whose last response cannot be sent would never end, and only a new process can give it back.
        """
        try:
            self._sender.send(response, flags=_FINAL)
        except Exception as failure:
            try:
                self._sender.send(_failure(f"[memory] the answer could not be sent: {failure}", "UNAVAILABLE"), _FINAL)
            except Exception as again:
                with suppress(Exception):
                    pb_utils.Logger.log_error(f"the engine can end no request any more: {failure}; {again}")
                os._exit(EXIT_CODE)

    def _answer(self, response):
        if self._is_unwanted():
            self._watch.end_later(self, response)
        else:
            self.end(response)

    def _is_unwanted(self):
        with self._lock:
            return self._open and self._sender.is_cancelled()

    def _flush(self):
        if self._held is not None:
            held, self._held = self._held, None
            self._sender.send(held)


def _raw(request):
    return RawRequest(
        spec=_texts(request, "spec")[0],
        image=_text(request, "image"),
        mask=_text(request, "mask"),
        layout=_text(request, "layout"),
        references=_texts(request, "references"),
        reference_masks=_texts(request, "reference_masks"),
    )


def _priority(request):
    """Return what the request's parameter says; None leaves it to the spec."""
    priority = json.loads(request.parameters() or "{}").get(_PRIORITY_PARAMETER)
    return None if priority is None else int(priority)


def _text(request, name):
    return next(iter(_texts(request, name)), None)


def _texts(request, name):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return [] if tensor is None else [bytes(value) for value in tensor.as_numpy().reshape(-1)]


def _failed(error):
    for kind, word, code in _WORDS:
        if isinstance(error, kind):
            return _failure(f"[{word}] {error}", code)
    return _failure(f"[fault] {type(error).__name__}: {error}", "INTERNAL")


def _failure(text, code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, getattr(pb_utils.TritonError, code)))


def _response(step, steps, preview_jpeg, *more):
    tensors = (
        pb_utils.Tensor("step", np.array([step], np.int32)),
        pb_utils.Tensor("steps", np.array([steps], np.int32)),
        pb_utils.Tensor("preview", np.array([preview_jpeg], np.object_)),
    )
    return pb_utils.InferenceResponse([*tensors, *more])


def _picture(picture, manifest_json):
    return (
        pb_utils.Tensor("index", np.array([picture.index], np.int32)),
        pb_utils.Tensor("image", np.ascontiguousarray(picture.pixels)),
        pb_utils.Tensor("manifest", np.array([manifest_json], np.object_)),
    )
