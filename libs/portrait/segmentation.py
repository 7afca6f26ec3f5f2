"""The coarse mask of the figure: GrabCut (Rother et al. 2004) on a small picture, seeded by where a person must be.

Colour alone cannot tell a flag's white from a shirt's. Two more things can: what reaches the picture's sides in colours
that the clothes do not have is background, and so is what stands beside the head on one side only, unless its colour is
one that nothing behind the figure has.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from portrait.errors import NoFigure
from portrait.faces import Face
from portrait.pictures import Bytes, Floats, Mask, checked, fitted, grown, lab, resized, settle_opencv
from portrait.silhouettes import around_centre, around_face

COARSE_PX = 256
LEAST_SHARE, MOST_SHARE = 0.01, 0.97

_ROUNDS = 4
_SURELY_IN, _SURELY_OUT = -0.35, 1.0
_SPINE_HALF_WIDTH = 0.55
_SIDE_PX = 2
_CLOTHES_COLOUR_DISTANCE, _CLOTHES_LEAST_SHARE = 12.0, 0.05
_DOUBT_TOLERANCE, _DOUBT_LEAST_AREA = 0.12, 0.02
_CUT_TOLERANCE, _CUT_REACH = 0.01, 0.4
_FACE_WIDTH_AS_COLOUR, _LEAST_SAMPLES = 30.0, 12
_SURELY_FIGURE_COLOUR = 0.4
_HOLE_FACES, _HOLE_SHARE = 0.3, 0.005


def figure_mask(rgb: Bytes, face: Face | None) -> Mask:
    """Coarse mask (H, W) of the person in an RGB uint8 picture; `face` in its pixels. Raises NoFigure."""
    settle_opencv()
    picture = checked(rgb)
    small = fitted(picture, COARSE_PX)
    mask = _with_face(small, face.scaled(max(small.shape) / max(picture.shape))) if face else _without_face(small)
    share = float(mask.mean())
    if not LEAST_SHARE <= share <= MOST_SHARE:
        raise NoFigure(round(share, 4), LEAST_SHARE, MOST_SHARE)
    return _smooth(mask, *picture.shape[:2])


def _with_face(small: Bytes, face: Face) -> Mask:
    outside = around_face(small.shape, face)
    seeds = _seeds(small, face, outside)
    figure = _attached(_grab_cut(small, seeds), seeds == cv2.GC_FGD)
    figure = _without_one_sided(small, figure, seeds, face, outside)
    return _filled(_attached(_opened(figure, face), seeds == cv2.GC_FGD), _HOLE_FACES * face.width**2)


def _without_face(small: Bytes) -> Mask:
    outside = around_centre(small.shape)
    seeds = np.where(outside < 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[_frame(outside.shape)] = cv2.GC_BGD
    figure = _grab_cut(small, seeds)
    return _filled(_largest(figure), _HOLE_SHARE * figure.size)


def _seeds(small: Bytes, face: Face, outside: Floats) -> Bytes:
    """GrabCut labels. The shoulders of somebody who leans are elsewhere: below the neck only the spine is sure."""
    rows, columns = np.mgrid[: small.shape[0], : small.shape[1]]
    seeds = np.where(outside < 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[outside > _SURELY_OUT] = cv2.GC_BGD
    spine = np.abs(columns - face.centre[0]) < _SPINE_HALF_WIDTH * face.width
    seeds[(outside < _SURELY_IN) & (spine | (rows < face.chin + 0.3 * face.height))] = cv2.GC_FGD
    frame = _frame(outside.shape)
    seeds[frame & (rows < face.chin) & (outside > -0.1)] = cv2.GC_BGD
    seeds[frame & (rows >= face.chin) & _unlike_clothes(small, face, outside, frame)] = cv2.GC_BGD
    return seeds


def _frame(shape: tuple[int, ...]) -> Mask:
    """The picture's outermost pixels at both sides and the top; a figure may go on below."""
    frame = np.ones(shape, np.bool_)
    frame[_SIDE_PX:, _SIDE_PX:-_SIDE_PX] = False
    return frame


def _unlike_clothes(small: Bytes, face: Face, outside: Floats, where: Mask) -> Mask:
    """Pixels of `where` that are far from the torso or in a colour that hardly any of the torso has."""
    rows = np.arange(small.shape[0])[:, np.newaxis]
    torso = (outside < -0.3) & (rows > face.chin + 0.25 * face.height)
    colours = lab(small)
    unlike = where & (outside > 0.3)
    if torso.any():
        alike = cKDTree(colours[torso]).query_ball_point(colours[where], _CLOTHES_COLOUR_DISTANCE, return_length=True)
        unlike[where] |= np.asarray(alike) < _CLOTHES_LEAST_SHARE * torso.sum()
    return unlike


def _grab_cut(small: Bytes, seeds: Bytes) -> Mask:
    """The figure by colour. OpenCV's odd labels are foreground; it wants some of both."""
    labels = seeds.copy()
    figure = np.asarray(labels % 2, np.bool_)
    if figure.all() or not figure.any():
        return figure
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, (0, 0, 1, 1), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray(labels % 2, np.bool_)


def _without_one_sided(small: Bytes, figure: Mask, seeds: Bytes, face: Face, outside: Floats) -> Mask:
    """The figure less what its head has on one side only and the background has too."""
    rows = np.arange(small.shape[0])[:, np.newaxis]
    beside = figure & (rows < face.chin + 0.3 * face.height) & (outside > -0.25)
    doubtful = beside & (outside > -0.15) & ~_mirrored(figure, face, _DOUBT_TOLERANCE)
    own = figure & ~doubtful & (outside < 0.3)
    other = (~figure & (outside > -0.2)) | (seeds == cv2.GC_BGD)
    if min(own.sum(), other.sum()) < _LEAST_SAMPLES or not doubtful.any():
        return figure
    parts, count = ndimage.label(doubtful)
    evidence = _colour_evidence(small, face, own, other, doubtful)
    sizes = np.bincount(parts[doubtful], minlength=count + 1)
    sums = np.bincount(parts[doubtful], evidence, count + 1)
    false = (sums < _SURELY_FIGURE_COLOUR * sizes) & (sizes > _DOUBT_LEAST_AREA * face.width**2)
    near_false = grown(false[parts], round(_CUT_REACH * face.width)) & ~(doubtful & ~false[parts])
    return np.asarray(figure & ~(near_false & beside & ~_mirrored(figure, face, _CUT_TOLERANCE)), np.bool_)


def _mirrored(figure: Mask, face: Face, tolerance: float) -> Mask:
    """The figure mirrored about the face's axis and grown by `tolerance` face widths."""
    mirror = np.array([[-1, 0, 2 * face.centre[0] - 1], [0, 1, 0]], np.float32)
    size = (figure.shape[1], figure.shape[0])
    flipped = cv2.warpAffine(
        figure.astype(np.uint8), mirror, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return grown(np.asarray(flipped, np.bool_), max(1, round(tolerance * face.width)))


def _colour_evidence(small: Bytes, face: Face, own: Mask, other: Mask, where: Mask) -> Floats:
    """For each pixel of `where`, -1 (background's) to 1 (figure's): whose samples are nearer in colour and place."""
    rows, columns = np.mgrid[: small.shape[0], : small.shape[1]]
    places = np.stack([columns, rows], -1) * (_FACE_WIDTH_AS_COLOUR / face.width)
    features = np.concatenate([lab(small), places], -1)
    to_own, to_other = (
        np.mean(cKDTree(features[side][::2]).query(features[where], k=3)[0], axis=-1) for side in (own, other)
    )
    return np.asarray((to_other - to_own) / (to_other + to_own + 4), np.float32)


def _opened(figure: Mask, face: Face) -> Mask:
    """The figure without threads that are thinner than a fiftieth of the face, which nothing but clutter is."""
    radius = max(1, round(face.width / 100))
    core = cv2.morphologyEx(
        figure.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    )
    return np.asarray(core, np.bool_)


def _attached(figure: Mask, seeds: Mask) -> Mask:
    """The connected parts of the figure that hold a sure pixel."""
    parts, _ = ndimage.label(figure)
    return np.asarray(np.isin(parts, np.unique(parts[seeds & figure])) & figure, np.bool_)


def _largest(figure: Mask) -> Mask:
    parts, count = ndimage.label(figure)
    if count == 0:
        return figure
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]), np.bool_)


def _filled(figure: Mask, most_px: float) -> Mask:
    """Holes up to `most_px` pixels closed; a larger one is what is seen between an arm and the body."""
    holes, _ = ndimage.label(ndimage.binary_fill_holes(figure) & ~figure)
    small = np.bincount(holes.ravel()) <= most_px
    small[0] = False
    return np.asarray(figure | small[holes], np.bool_)


def _smooth(mask: Mask, height: int, width: int) -> Mask:
    """The mask at full size, its staircase rounded off."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    return np.asarray(resized(np.asarray(soft, np.float32), height, width) > 0.5, np.bool_)
