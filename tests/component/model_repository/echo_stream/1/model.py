"""A model for tests: streams steps, and misbehaves on request."""

import json
import os
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
POLL_S = 0.002


class TritonPythonModel:
    """Obeys the ``command`` of each request on a thread of its own."""

    def initialize(self, args):
        self._cancelled = []
        self._commands = {
            "echo": self._echo,
            "parameters": self._parameters,
            "cancelled": self._list_cancelled,
            "refuse": self._refuse,
            "fail": self._fail,
            "wait": self._wait,
            "crash": self._crash,
        }

    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self._obey, args=(request, request.get_response_sender()), daemon=True).start()

    def _obey(self, request, sender):
        self._commands[_strings(request, "command")[0].decode()](request, sender)
        sender.send(flags=FINAL)

    def _echo(self, request, sender):
        steps = int(pb_utils.get_input_tensor_by_name(request, "steps").as_numpy()[0])
        for step in range(1, steps + 1):
            sender.send(_answer(step, steps, _strings(request, "payload")))

    def _parameters(self, request, sender):
        sender.send(
            _answer(1, 1, [json.dumps(json.loads(request.parameters())).encode(), request.request_id().encode()])
        )

    def _list_cancelled(self, request, sender):
        sender.send(_answer(1, 1, self._cancelled))

    def _refuse(self, request, sender):
        sender.send(_error("the light falls from two suns", pb_utils.TritonError.INVALID_ARG))

    def _fail(self, request, sender):
        sender.send(_error("the lens fell off", pb_utils.TritonError.INTERNAL))

    def _wait(self, request, sender):
        sender.send(_answer(1, 2, []))
        while not request.is_cancelled():
            time.sleep(POLL_S)
        self._cancelled.append(request.request_id().encode())
        sender.send(_error("cut", pb_utils.TritonError.CANCELLED))

    def _crash(self, request, sender):
        os._exit(1)


def _strings(request, name):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return [] if tensor is None else list(tensor.as_numpy().ravel())


def _answer(step, steps, payload):
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor("step", np.array([step], np.int32)),
            pb_utils.Tensor("steps", np.array([steps], np.int32)),
            pb_utils.Tensor("payload", np.array(payload, np.object_)),
        ]
    )


def _error(text, code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, code))
