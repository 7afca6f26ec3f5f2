"""A model for tests: streams steps, and misbehaves on request."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
POLL_S = 0.002
STEP_S = 0.05
"""What a slow step takes."""
LAST_WRITE_S = 0.05
"""Triton 2.51 crashes when a cancelled request gets its final flag while a response is still being written."""


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
            "slowly": self._slowly,
            "crash": self._crash,
            "detach": self._detach,
        }

    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self._obey, args=(request, request.get_response_sender()), daemon=True).start()

    def _obey(self, request, sender):
        command = _strings(request, "command")[0].decode()
        sender.send(self._commands[command](request, sender), flags=FINAL)

    def _echo(self, request, sender):
        steps = int(pb_utils.get_input_tensor_by_name(request, "steps").as_numpy()[0])
        for step in range(1, steps):
            sender.send(_answer(step, steps, _strings(request, "payload")))
        return _answer(steps, steps, _strings(request, "payload"))

    def _parameters(self, request, sender):
        parameters = json.dumps(json.loads(request.parameters())).encode()
        return _answer(1, 1, [parameters, request.request_id().encode()])

    def _list_cancelled(self, request, sender):
        return _answer(1, 1, self._cancelled)

    def _refuse(self, request, sender):
        return _error("the light falls from two suns", pb_utils.TritonError.INVALID_ARG)

    def _fail(self, request, sender):
        return _error("the lens fell off", pb_utils.TritonError.INTERNAL)

    def _wait(self, request, sender):
        sender.send(_answer(1, 2, []))
        while not request.is_cancelled():
            time.sleep(POLL_S)
        self._cancelled.append(request.request_id().encode())
        time.sleep(LAST_WRITE_S)
        return _error("cut", pb_utils.TritonError.CANCELLED)

    def _slowly(self, request, sender):
        steps = int(pb_utils.get_input_tensor_by_name(request, "steps").as_numpy()[0])
        for step in range(1, steps):
            time.sleep(STEP_S)
            sender.send(_answer(step, steps, []))
        time.sleep(STEP_S)
        return _answer(steps, steps, [])

    def _crash(self, request, sender):
        os._exit(1)

    def _detach(self, request, sender):
        """Start a process that outlives everything here, with the server's output in its hands."""
        sleep = ["sleep", "60"]
        process = subprocess.Popen(sleep, stdin=subprocess.DEVNULL, stdout=sys.__stdout__, start_new_session=True)
        return _answer(1, 1, [str(process.pid).encode()])


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
