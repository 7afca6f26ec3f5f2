"""How long the storyboard composer takes for a frame of 1024×576 on one core, PNG included."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from previz.compose import compose
from previz.spec import FaceBox, FigureSpec, FrameSpec, LocationSpec

TARGET_MS = 150.0
_ROUNDS = 3
_SHOTS = ("close-up", "medium", "full", "wide", "establishing", "over-the-shoulder", "two-shot", "insert")
_PLACES = (
    LocationSpec("interior", "Mission control", "control room"),
    LocationSpec("exterior", "Pad 39", "launch pad"),
)
_PHOTOGRAPH = Path(__file__).parents[2] / "examples/photographs/eileen_collins.png"


def run() -> dict[str, dict[str, float]]:
    """Median and worst CPU milliseconds a frame, by stage; sets and mattes are warm, as in a film's second shot."""
    matte = _matte()
    figure = FigureSpec("Ada", FaceBox(0.34, 0.125, 0.193, 0.193), palette=((214, 84, 44),), screen_order=0)
    partner = FigureSpec("Ben", palette=((60, 80, 120),), screen_order=1)
    totals: list[float] = []
    stages: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        for number, shot_type in enumerate(_SHOTS * 2):
            spec = FrameSpec(shot_type=shot_type, location=_PLACES[number // len(_SHOTS)], figures=(figure, partner))
            laps = _timed(spec, [matte, None])
            totals.append(sum(laps.values()))
            for stage, lap in laps.items():
                stages.setdefault(stage, []).append(lap)
    warm = totals[2 * len(_SHOTS) :]
    figures = {
        "warm frame, median": {"ms": round(statistics.median(warm), 1), "target": TARGET_MS},
        "warm frame, worst": {"ms": round(max(warm), 1), "target": TARGET_MS},
        "first frame of a place and a figure, worst": {"ms": round(max(totals), 1)},
    }
    return figures | {
        f"stage {stage}, median": {"ms": round(statistics.median(laps), 1)} for stage, laps in stages.items()
    }


def _timed(spec: FrameSpec, mattes: list[npt.NDArray[np.uint8] | None]) -> dict[str, float]:
    laps: dict[str, float] = {}
    last = time.thread_time()

    def lap(stage: str, number: int = 0, total: int = 0, picture: object = None) -> None:
        nonlocal last
        now = time.thread_time()
        laps[stage] = (now - last) * 1000
        last = now

    frame = compose(spec, mattes, on_stage=lap)
    cv2.imencode(".png", frame, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    lap("png")
    return laps


def _matte() -> npt.NDArray[np.uint8]:
    """The photograph with an oval for an alpha: what is cut out does not matter for time."""
    photograph = cv2.cvtColor(cv2.imread(str(_PHOTOGRAPH)), cv2.COLOR_BGR2RGBA)
    alpha = np.zeros(photograph.shape[:2], np.uint8)
    cv2.ellipse(alpha, (225, 420), (215, 405), 0, 0, 360, 255, -1, cv2.LINE_AA)
    photograph[:, :, 3] = alpha
    return np.asarray(photograph, np.uint8)
