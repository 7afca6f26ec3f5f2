"""An engine that obeys: each request's ``spec`` says what becomes of it."""

import json
import os
import threading
from dataclasses import asdict, dataclass

import numpy as np

from engine import errors

EXIT_CODE = 70
ERRORS = {
    "refused": errors.Refused("steps", 0, "1 to 150"),
    "model": errors.ModelUnusable("sdxl", "its weights are damaged"),
    "full": errors.QueueFull(256, 256),
    "memory": errors.OutOfMemory("decode", 10, 5),
    "picture": errors.NotAPicture("decode", "NaN"),
    "fault": ZeroDivisionError("by zero"),
}


@dataclass
class Picture:
    index: int
    pixels: np.ndarray


class Ticket:
    def __init__(self):
        self.cancelled = threading.Event()

    def cancel(self):
        self.cancelled.set()


class Engine:
    def __init__(self):
        self._cancelled = []

    def submit(self, id, raw, listener, priority, alone=False):
        spec = json.loads(raw.spec)
        if spec["do"] == "refuse at the door":
            raise ERRORS["full"]
        ticket = Ticket()
        threading.Thread(target=self._obey, args=(id, raw, spec, listener, priority, ticket), daemon=True).start()
        return ticket

    def close(self):
        pass

    def _obey(self, id, raw, spec, listener, priority, ticket):
        match spec["do"]:
            case "draw":
                self._draw(spec, listener)
            case "tell":
                told = asdict(raw) | {"id": id, "priority": priority}
                listener.picture(Picture(0, np.zeros((8, 8, 3), np.uint8)), repr(told).encode())
                listener.finished()
            case "wait":
                listener.progress(1, 2, b"")
                if not ticket.cancelled.wait(30):
                    os._exit(3)
                self._cancelled.append(id)
                listener.failed(errors.Stopped())
            case "cancelled":
                listener.picture(Picture(0, np.zeros((8, 8, 3), np.uint8)), json.dumps(self._cancelled).encode())
                listener.finished()
            case "die":
                os._exit(3)
            case word:
                listener.progress(1, 2, b"")
                listener.failed(ERRORS[word])

    def _draw(self, spec, listener):
        for index in range(spec.get("images", 1)):
            for step in range(1, 4):
                listener.progress(3 * index + step, 3 * spec.get("images", 1), b"jpeg" if step == 2 else b"")
            pixels = np.full((16, 24, 3), index, np.uint8)
            listener.picture(Picture(index, pixels), json.dumps({"index": index}).encode())
        listener.finished()


def build(models_folder, device="auto", threads=1, state_path=None):
    return Engine()
