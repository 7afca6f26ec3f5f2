"""Closed-form alpha (Levin, Lischinski & Weiss, PAMI 2008), solved in the unknown pixels of a trimap only.

In every 3×3 window alpha is taken to be a linear function of colour; the matting Laplacian L measures how far it is
from that, and the alpha wanted minimises αᵀLα with the known pixels held. A pixel shares windows with its 5×5
neighbours, so L is kept as 25 coefficients a pixel: no triplets to sort, and memory that grows with the band alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from portrait.pictures import Bytes, Floats, Mask

_EPSILON = 1e-6
_MOST_ROUNDS = 600
_TOLERANCE = 1e-5
_WINDOW = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
_REACH = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Laplacian:
    """Rows of the matting Laplacian: `coefficients[k, i]` couples pixel `pixels[i]` with the one `_REACH[k]` away."""

    pixels: NDArray[np.int64]
    coefficients: Doubles
    width: int

    def matrix(self, height: int) -> sparse.csr_matrix:
        """All rows as a sparse (n, H·W) matrix over the flattened picture."""
        columns = self.pixels[:, np.newaxis] + np.array([down * self.width + right for down, right in _REACH])
        there = self.coefficients.T != 0
        starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        shape = (self.pixels.size, height * self.width)
        return sparse.csr_matrix((self.coefficients.T[there], columns[there], starts), shape=shape)


def laplacian(rgb: Bytes, rows: Mask) -> Laplacian:
    """The rows of the matting Laplacian of an RGB uint8 picture that belong to the pixels of `rows`."""
    height, width = rows.shape
    inner = np.zeros_like(rows)
    inner[1:-1, 1:-1] = True
    centres = np.flatnonzero(ndimage.binary_dilation(rows, np.ones((3, 3))) & inner)
    affinities = _affinities(rgb.reshape(-1, 3), centres, width)
    pixels = np.flatnonzero(rows)
    place = np.full(height * width, -1, np.int64)
    place[pixels] = np.arange(pixels.size)
    coefficients = np.zeros((len(_REACH), pixels.size))
    for i, (down, right) in enumerate(_WINDOW):
        home = place[centres + down * width + right]
        held = home >= 0
        for j, (other_down, other_right) in enumerate(_WINDOW):
            reach = _REACH.index((other_down - down, other_right - right))
            coefficients[reach, home[held]] += (i == j) - affinities[held, i, j]
    return Laplacian(pixels, coefficients, width)


def _affinities(colours: Bytes, centres: NDArray[np.int64], width: int) -> Floats:
    """Per window the (9, 9) terms (1 + (Iᵢ-μ)ᵀ(Σ + ε/9·1)⁻¹(Iⱼ-μ)) / 9 of Levin's equation 12."""
    around = centres[:, np.newaxis] + np.array([down * width + right for down, right in _WINDOW])
    window = colours[around].astype(np.float64) / 255
    window -= window.mean(axis=1, keepdims=True)
    covariance = np.einsum("nki,nkj->nij", window, window) / 9
    inverse = np.linalg.inv(covariance + np.eye(3) * (_EPSILON / 9))
    return np.asarray((1 + np.einsum("nki,nij,nlj->nkl", window, inverse, window, optimize=True)) / 9, np.float32)


def solve_alpha(rgb: Bytes, known_alpha: Floats, unknown: Mask, pull: Floats) -> Floats:
    """Alpha (H, W) 0..1: `known_alpha` where it is known, in `unknown` the minimiser of αᵀLα + Σ pull·(α-known)².

    A `pull` of 0 is Levin's alpha; some of it far from the mask's edge keeps a background of the figure's own colour
    from leaking in.
    """
    alpha = known_alpha.astype(np.float64).ravel()
    pixels = np.flatnonzero(unknown)
    if pixels.size:
        system = laplacian(rgb, unknown).matrix(unknown.shape[0])
        held, pulls = np.where(unknown.ravel(), 0, alpha), pull.ravel()[pixels].astype(np.float64)
        target = pulls * alpha[pixels] - system @ held
        alpha[pixels] = _conjugate_gradient(system[:, pixels] + sparse.diags(pulls), target, alpha[pixels])
    return np.clip(alpha, 0, 1).astype(np.float32).reshape(unknown.shape)


def _conjugate_gradient(matrix: sparse.csr_matrix, target: Doubles, start: Doubles) -> Doubles:
    """Jacobi-preconditioned conjugate gradient. Sums are NumPy's own: BLAS adds in an order that depends on threads."""
    scale = 1 / np.maximum(matrix.diagonal(), 1e-9)
    solution, residual = start.copy(), target - matrix @ start
    direction = scale * residual
    energy = float(np.sum(residual * direction))
    enough = _TOLERANCE**2 * max(float(np.sum(target * scale * target)), 1e-12)
    for _ in range(_MOST_ROUNDS):
        if energy <= enough:
            break
        image = matrix @ direction
        step = energy / float(np.sum(direction * image))
        solution += step * direction
        residual -= step * image
        preconditioned = scale * residual
        energy, before = float(np.sum(residual * preconditioned)), energy
        direction = preconditioned + (energy / before) * direction
    return solution
