"""A pinhole camera over a ground plane.

World: metres, x to the right of the stage, y up from the ground, z away from the audience; the figures stand near the
origin. Image: pixels, x right, y down, the centre of the top left pixel at (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FULL_FRAME_WIDTH_MM = 36.0
NEAR_M = 0.05


@dataclass(frozen=True)
class Camera:
    """Position in metres; pan (to the right), tilt (up) and roll (clockwise picture) in radians; lens on full frame."""

    width_px: int
    height_px: int
    lens_mm: float
    position: tuple[float, float, float]
    pan: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0

    @property
    def focal_px(self) -> float:
        """Focal length in pixels. A frame narrower than 16:9 keeps the height of the 16:9 picture."""
        return self.lens_mm / FULL_FRAME_WIDTH_MM * max(self.width_px, self.height_px * 16 / 9)

    @property
    def axes(self) -> Array:
        """Rows: the camera's right, up and forward as world vectors, roll applied. (3, 3)."""
        sin_p, cos_p = math.sin(self.pan), math.cos(self.pan)
        sin_t, cos_t = math.sin(self.tilt), math.cos(self.tilt)
        right = np.array([cos_p, 0.0, -sin_p])
        up = np.array([-sin_p * sin_t, cos_t, -cos_p * sin_t])
        forward = np.array([sin_p * cos_t, sin_t, cos_p * cos_t])
        sin_r, cos_r = math.sin(self.roll), math.cos(self.roll)
        return np.stack([cos_r * right - sin_r * up, sin_r * right + cos_r * up, forward])

    @property
    def matrix(self) -> Array:
        """Maps a vector from the camera, in world axes, to homogeneous pixels; the third row is the depth. (3, 3)."""
        right, up, forward = self.axes
        centre_x, centre_y = self.width_px / 2, self.height_px / 2
        return np.stack([self.focal_px * right + centre_x * forward, -self.focal_px * up + centre_y * forward, forward])

    def project(self, points: npt.ArrayLike) -> tuple[Array, Array]:
        """World points (n, 3) to pixels (n, 2) and depths along the axis (n,), in metres."""
        homogeneous = (np.asarray(points, np.float64).reshape(-1, 3) - self.position) @ self.matrix.T
        depth = homogeneous[:, 2]
        return homogeneous[:, :2] / depth[:, None], depth

    def homography(self, origin: npt.ArrayLike, across: npt.ArrayLike, down: npt.ArrayLike) -> Array:
        """Maps (s, t, 1) of the plane origin + s·across + t·down to homogeneous pixels. (3, 3)."""
        offset = np.asarray(origin, np.float64) - self.position
        return self.matrix @ np.stack([np.asarray(across, np.float64), np.asarray(down, np.float64), offset], axis=1)

    def horizon_y(self, x_px: float | None = None) -> float:
        """The ground's horizon at this column (the middle one by default), in pixels from the top."""
        x = (self.width_px / 2 if x_px is None else x_px) - self.width_px / 2
        # The horizon holds the directions d with d_y = 0; solve axes[:, 1] · (x, -y, f) = 0 for y.
        right_y, up_y, forward_y = self.axes[:, 1]
        return float(self.height_px / 2 + (right_y * x + forward_y * self.focal_px) / up_y)

    def placed(self, anchor: npt.ArrayLike, pixel: tuple[float, float], depth_m: float) -> Camera:
        """This camera, moved so that it sees the world point ``anchor`` at ``pixel`` and ``depth_m``."""
        right, up, forward = self.axes
        x = (pixel[0] - self.width_px / 2) * depth_m / self.focal_px
        y = (self.height_px / 2 - pixel[1]) * depth_m / self.focal_px
        position = np.asarray(anchor, np.float64) - (x * right + y * up + depth_m * forward)
        return replace(self, position=(float(position[0]), float(position[1]), float(position[2])))

    def blur_px(self, depth_m: float, focus_m: float, f_number: float) -> float:
        """Diameter of the circle of confusion, in pixels, of a point at ``depth_m`` (thin lens)."""
        lens_m = self.lens_mm / 1000
        circle_m = lens_m**2 / (f_number * max(focus_m - lens_m, 1e-3)) * abs(depth_m - focus_m) / max(depth_m, 1e-3)
        return circle_m / (FULL_FRAME_WIDTH_MM / 1000) * self.width_px
