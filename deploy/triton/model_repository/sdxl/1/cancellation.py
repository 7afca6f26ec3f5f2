"""Who asks Triton whether anybody still wants an answer, and when the last word behind a cancellation goes out."""

import threading
import time
from itertools import islice

from engine.threads import needed

_LOOK_S = 0.005
"""Pause between two rounds of asking."""
_ROUNDS, _ASKED_AT_ONCE = 16, 4
"""Within so many rounds everybody who waits is asked, unless that would be more at once."""
_LAST_WRITE_S = 0.05
"""How long the server may take to see the end of a write to a stream that was cut."""


class Watch:
    """A thread of its own asks whether requests are cancelled, because the device's thread never does.

    To ask takes some 90 µs of three threads, and the interpreter's lock twice. So requests that have begun are asked
    every time, of the waiting ones a few in turn, and where there is nobody the thread sleeps.
    ``fatal`` is called where it fails: nobody's cancelling would be seen any more.
    """

    def __init__(self, log, fatal):
        self._log = log
        self._begun = {}
        self._waiting = {}
        self._late = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._needed = threading.Event()
        self._thread = threading.Thread(target=needed(self._run, fatal), name="cancellations", daemon=True)
        self._thread.start()

    def open(self, answer):
        """Ask about a request from now on."""
        with self._lock:
            self._waiting[answer] = None
        self._needed.set()

    def begun(self, answer):
        """Ask about it every time."""
        with self._lock:
            if answer in self._waiting:
                del self._waiting[answer]
                self._begun[answer] = None

    def close(self, answer):
        """Ask no more."""
        with self._lock:
            self._waiting.pop(answer, None)
            self._begun.pop(answer, None)

    def end_later(self, answer, response):
        """Have the last response sent when writes that are under way have ended."""
        self.close(answer)
        with self._lock:
            self._late.append((time.monotonic() + _LAST_WRITE_S, answer, response))
        self._needed.set()

    def end(self):
        """Return when what was to be sent is sent."""
        self._ended.set()
        self._needed.set()
        self._thread.join()

    def _run(self):
        while not self._ended.wait(_LOOK_S) or self._late:
            self._rest()
            for answer, response in self._due():
                self._tried(answer.end, response)
            for answer in self._asked():
                if self._tried(answer.cancel_if_unwanted):
                    self.close(answer)

    def _rest(self):
        """Return when there is somebody to ask or to answer, or the end has come."""
        self._needed.clear()  # first, so that who comes now is seen below or by the wait
        if not (self._begun or self._waiting or self._late or self._ended.is_set()):
            self._needed.wait()

    def _due(self):
        now = time.monotonic()
        with self._lock:
            due = [each[1:] for each in self._late if each[0] <= now]
            self._late = [each for each in self._late if each[0] > now]
        return due

    def _asked(self):
        with self._lock:
            some = list(islice(self._waiting, min(_ASKED_AT_ONCE, -(-len(self._waiting) // _ROUNDS))))
            for answer in some:  # they come again when all others have been asked
                self._waiting[answer] = self._waiting.pop(answer)
            return [*self._begun, *some]

    def _tried(self, action, *arguments):
        """Return what ``action`` returns; one request's failure must not keep the others from being asked."""
        try:
            return action(*arguments)
        except Exception as failure:
            self._log(f"{type(failure).__name__}: {failure}")
            return None
