"""Every service as processes of its own, several replicas each, behind one address."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.cache import ROOT
from deploy.local.servers.base import Server, ServerFailed, at_once
from deploy.local.servers.caddy import Caddy
from deploy.local.servers.program import Program, Triton

_log = logging.getLogger(__name__)

LOOK_S = 0.2
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
SETTLED_S = 30.0
ENDED_WELL = "exit code 0"
DRAIN_LIMIT_S = 30.0


def service_names() -> tuple[str, ...]:
    """Return the services that can run alone, by name."""
    return tuple(sorted(path.parent.name for path in (ROOT / "services").glob("*/bootstrap.py")))


class Member:
    """A process that is to run: started again when it dies, later each time it dies soon."""

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self.server = server
        self._clock = clock
        self._lock = threading.RLock()
        self._wanted = False
        self._deaths = 0
        self._began_s = 0.0
        self._not_before_s = 0.0

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._lock:
            self._wanted = True
            self._began_s = self._clock()
            self.server.start()

    def stop(self) -> None:
        """Let it end; it stays down."""
        with self._lock:
            self._wanted = False
            self.server.stop(DRAIN_LIMIT_S)

    def restart(self) -> None:
        """Let it end and start it again."""
        with self._lock:
            self.stop()
            self.start()

    def roll(self) -> None:
        """Let it end and start it again, unless it is to stay down."""
        with self._lock:
            if self._wanted:
                self.restart()

    def look_after(self) -> None:
        """Start it again if it is dead and its time has come."""
        if not self._lock.acquire(blocking=False):
            return  # somebody starts or stops it
        try:
            if self._wanted and not self.server.alive():
                self._revive(self._clock())
        finally:
            self._lock.release()

    def _revive(self, now_s: float) -> None:
        if self._not_before_s <= self._began_s:  # this death is news
            self._plan(now_s)
        if now_s < self._not_before_s:
            return
        self._began_s = now_s
        try:
            self.server.launch()
        except ServerFailed as failure:
            _log.error("%s", failure)

    def _plan(self, now_s: float) -> None:
        self._deaths = 0 if now_s - self._began_s > SETTLED_S else self._deaths
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**self._deaths)
        self._deaths += 1
        self._not_before_s = now_s + delay_s
        self._say(f"it starts again in {delay_s:.1f} s, its log is {self.server.log}")

    def _say(self, what_follows: str) -> None:
        ending = self.server.ending
        if ending == ENDED_WELL:  # somebody asked it to
            _log.info("%s ended with %s; %s", self.server.name, ending, what_follows)
        else:
            _log.warning("%s died%s; %s", self.server.name, f" of {ending}" if ending else "", what_follows)


class Distributed:
    """Triton, ``replicas`` of each service and the proxy before them, in one folder.

    ``variables`` say where the servers are, ``own`` what one replica (``rendering-2``) is told besides. What dies is
    started again on its port. Methods block; call them from a thread beside an event loop. All of it dies with this
    process.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        *,
        replicas: int = 2,
        port: int = 0,
        services: Sequence[str] | None = None,
        own: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        home = {"CONTINUITY_HOME": str(folder.absolute() / "home"), "CONTINUITY_CPU_WORKERS": "1"}
        logs = folder / "logs"
        self.triton = Triton(logs, {**home, **variables})
        shared = {"CONTINUITY_TRITON_ADDRESS": self.triton.address, "CONTINUITY_RENDER_REPLICAS": str(replicas)}
        told = {**home, **shared, **variables}
        self.replicas = {
            name: tuple(
                Program(logs, f"services.{name}", {**told, **(own or {}).get(each, {})}, name=each)
                for each in (f"{name}-{number}" for number in range(1, replicas + 1))
            )
            for name in services or service_names()
        }
        upstreams = {name: [each.address for each in every] for name, every in self.replicas.items()}
        self.proxy = Caddy(logs, upstreams, port)
        self._members = {server.name: Member(server) for server in self.servers}
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="supervisor", daemon=True)

    @property
    def address(self) -> str:
        """Where clients go."""
        return self.proxy.address

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every process, as started: Triton, the replicas, the proxy."""
        return (self.triton, *self._programs(), self.proxy)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the processes: ``triton``, ``rendering-1``, ``rendering-2``, …, ``caddy``."""
        return tuple(self._members)

    def server(self, name: str) -> Server:
        """Return one process by name. Raises ``KeyError``."""
        return self._members[name].server

    def start(self) -> None:
        """Return when all answer. Raises ``ServerFailed`` and leaves nothing running."""
        try:
            at_once([member.start for member in self._members.values()])
        except BaseException:
            self.stop()
            raise
        self._watch.start()

    def stop(self) -> None:
        """Let the services finish what they are at, then end Triton and the proxy; data and logs stay."""
        self._ended.set()
        if self._watch.is_alive():
            self._watch.join()
        at_once([self._members[program.name].stop for program in self._programs()])
        at_once([self._members[server.name].stop for server in (self.triton, self.proxy)])

    def kill(self, name: str) -> int | None:
        """Kill one process, even while it starts; return its process id. It is started again by itself."""
        server = self.server(name)
        pid = server.pid
        server.signal(signal.SIGKILL)
        return pid

    def halt(self, name: str) -> None:
        """Drain one process; it stays down until it is restarted."""
        self._members[name].stop()

    def restart(self, name: str) -> None:
        """Drain one process and start it again; return when it answers."""
        self._members[name].restart()

    def rolling_restart(self) -> None:
        """Restart every replica of every service, one after the other; ends early when all is stopped meanwhile."""
        for program in self._programs():
            if not self._ended.is_set():
                self._members[program.name].roll()

    def _programs(self) -> tuple[Program, ...]:
        return tuple(program for every in self.replicas.values() for program in every)

    def _look_after(self) -> None:
        while not self._ended.wait(LOOK_S):
            for member in self._members.values():
                member.look_after()
