"""Triton's side of the storyboard composer: tensors in, stages and the frame out."""

import os
import sys
import time

import numpy as np
import triton_python_backend_utils as pb_utils

# Triton's interpreter starts isolated: it reads no PYTHONPATH, so what that names is added here.
sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]

from previz.compose import STAGES, compose_with_masks  # noqa: E402
from previz.errors import Abandoned, PrevizError  # noqa: E402
from previz.pictures import MatteCache, decoded, preview  # noqa: E402
from previz.spec import FrameSpec  # noqa: E402

_MATTE_CACHE_BYTES = 128 * 1024 * 1024
_LAST_WRITE_S = 0.05
"""How long the server may take to see the end of a write to a stream that was cut."""


class TritonPythonModel:
    """Draws one frame per request; a failure is that request's error alone."""

    def initialize(self, args):
        """Called once per instance."""
        self._mattes = MatteCache(_MATTE_CACHE_BYTES)

    def execute(self, requests):
        """Answer each request through its own sender, as the decoupled policy asks.

        Triton before 24.12 lets go of a cancelled request when its final flag comes, and crashes when a write to its
        stream ends after that (server pull request 7840). So the flag goes out with the last response, never behind it,
        and behind a cancellation only when the write before it has had time to end; nothing tells a model that it has.
        """
        for request in requests:
            sender = request.get_response_sender()
            sender.send(self._last_response(request, sender), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _last_response(self, request, sender):
        try:
            return self._draw(request, sender)
        except PrevizError as refusal:
            return _failure(str(refusal), pb_utils.TritonError.INVALID_ARG)
        except Abandoned:
            time.sleep(_LAST_WRITE_S)
            return _failure("cancelled", pb_utils.TritonError.CANCELLED)
        except Exception as failure:
            return _failure(f"{type(failure).__name__}: {failure}", pb_utils.TritonError.INTERNAL)

    def _draw(self, request, sender):
        def on_stage(stage, number, total, picture):
            if request.is_cancelled():
                raise Abandoned
            if number < total:
                sender.send(_response(number, total, preview(picture) if picture is not None else b""))

        spec, mattes, plate = self._arguments(request)
        frame, masks = compose_with_masks(spec, mattes, plate, on_stage)
        return _response(len(STAGES), len(STAGES), preview(frame), frame, masks if spec.masks else None)

    def _arguments(self, request):
        spec = FrameSpec.from_json(_texts(request, "spec")[0])
        mattes = [self._mattes.matte(f"mattes[{i}]", encoded) for i, encoded in enumerate(_texts(request, "mattes"))]
        plate = (_texts(request, "plate") or [b""])[0]
        return spec, mattes, decoded("plate", plate, 3) if plate else None


def _texts(request, name):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return [] if tensor is None else [bytes(value) for value in tensor.as_numpy().reshape(-1)]


def _failure(text, code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, code))


def _response(step, steps, picture, frame=None, masks=None):
    tensors = [
        pb_utils.Tensor("step", np.array([step], np.int32)),
        pb_utils.Tensor("steps", np.array([steps], np.int32)),
        pb_utils.Tensor("preview", np.array([picture], np.object_)),
    ]
    if frame is not None:
        tensors.append(pb_utils.Tensor("image", frame))
    if masks is not None:
        tensors.append(pb_utils.Tensor("masks", masks))
    return pb_utils.InferenceResponse(tensors)
