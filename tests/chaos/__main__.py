"""``python -m tests.chaos``: ends with one JSON line, and with exit code 0 only when nothing is amiss."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.__main__ import RESULTS, machine
from tests.chaos import distributed, embedded
from tests.chaos.distributed import Wanted
from tests.chaos.outcome import Outcome, summed

RECORD = RESULTS / "chaos.json"
SMALL_SEED = 4
SMALL_SHOTS, SMALL_KILLS = 200, 8
SHOTS, KILLS = 2_000, 40
EMBEDDED_SHOTS = 60
EMBEDDED_KILLS = {False: 6, True: 3}
SHOWN = 40


def main() -> int:
    """Run it; return the exit code."""
    asked = asked_for(sys.argv[1:])
    here = machine()
    if asked.record and str(here["commit"]).endswith("-dirty") and not asked.allow_dirty:
        print(f"--record: the tree differs from its commit ({here['commit']}); commit it, or say --allow-dirty")
        return 2
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    seed = asked.seed if asked.seed is not None else SMALL_SEED if asked.small else secrets.randbelow(2**31)
    folder = Path(tempfile.mkdtemp(prefix="continuity-chaos-"))
    print(f"the same faults again: {replayed(asked, seed)}\nlogs in {folder}", flush=True)
    outcomes: list[Outcome] = []
    amiss = not asyncio.run(_run(asked, seed, folder, outcomes)) or any(outcome.amiss for outcome in outcomes)
    if amiss:
        print(f"the same faults again: {replayed(asked, seed)}\nlogs in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    line = summed(seed, outcomes)
    if asked.record:
        RECORD.write_text(json.dumps({"name": "chaos", **here, "result": json.loads(line)}, indent=2) + "\n")
    print(line)
    return int(amiss)


async def _run(asked: argparse.Namespace, seed: int, folder: Path, outcomes: list[Outcome]) -> bool:
    """Append the outcome of each run; false when a run came to no end."""
    wanted = Wanted(
        seed=seed,
        shots=asked.shots or (SMALL_SHOTS if asked.small else SHOTS),
        kills=asked.kills or (SMALL_KILLS if asked.small else KILLS),
        every_s=asked.every,
        complete=not asked.small and not asked.kills,
        allow_skipped=asked.allow_skipped,
    )
    runs = [
        distributed.run(folder / "distributed", wanted),
        embedded.run(folder / "embedded", seed=seed, shots=EMBEDDED_SHOTS, kills=EMBEDDED_KILLS[asked.small]),
    ]
    ended = True
    for run in runs:
        try:
            outcomes.append(await run)
            _show(outcomes[-1])
        except Exception:
            ended = False
            logging.exception("a run broke; its seed is %d", seed)
    return ended


def _show(outcome: Outcome) -> None:
    for fault, why in outcome.skipped.items():
        print(f"{outcome.name}: {fault} was skipped: {why}")
    for waiting in outcome.waiting:
        print(f"{outcome.name}: {waiting} did not come to rest")
    for finding in outcome.findings[:SHOWN]:
        print(f"{outcome.name}: {finding}")
    if len(outcome.findings) > SHOWN:
        print(f"{outcome.name}: and {len(outcome.findings) - SHOWN} more")


def replayed(asked: argparse.Namespace, seed: int) -> str:
    """Return the command line whose run has the same faults and the same load."""
    words = [f"--seed {seed}", *(["--small"] if asked.small else [])]
    for name in ("shots", "every", "kills"):
        value = getattr(asked, name)
        words += [f"--{name} {value}"] if value is not None else []
    words += ["--allow-skipped"] if asked.allow_skipped else []
    return f'make chaos CHAOS_ARGS="{" ".join(words)}"'


def asked_for(words: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--shots", type=int, help=f"how many are submitted ({SHOTS}, small {SMALL_SHOTS})")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two kills")
    parser.add_argument("--kills", type=int, help=f"how many ({KILLS}, small {SMALL_KILLS})")
    parser.add_argument("--seed", type=int, help="whom the faults strike, and when; random unless small")
    parser.add_argument("--small", action="store_true", help="the short run, with a fixed seed")
    parser.add_argument("--allow-skipped", action="store_true", help="a fault that this machine can't have is no fault")
    parser.add_argument("--record", action="store_true", help=f"write the result to {RECORD}")
    parser.add_argument("--allow-dirty", action="store_true", help="record though the tree differs from its commit")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
