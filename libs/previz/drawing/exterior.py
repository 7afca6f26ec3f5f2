"""The drawn exterior set: sky, silhouettes in the haze, ground in perspective, and the things that stand on it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array, Camera
from previz.drawing.canvas import Panel, Pixels, Plane, Rgb, blend, draw_panel, fill, mixed, ramp, scaled, to_bytes
from previz.drawing.landscapes import Landscape, Prop, Silhouette, landscape_of
from previz.drawing.light import Light, outdoors
from previz.drawing.noise import fractal, generator
from previz.drawing.props import card, facade
from previz.drawing.sky import draw_sky, rays, sun_direction
from previz.spec import LocationSpec

_GROUND_STEP = 2
_CLEAR_AIR_M = 2600.0
_UNPAINTED: Pixels = np.zeros((1, 1, 3), np.uint8)


def draw_exterior(camera: Camera, location: LocationSpec, light: Light, weather: str) -> Pixels:
    """The empty set from this camera, RGB."""
    landscape = landscape_of(location)
    place = f"{location.kind} {location.name}"
    canvas = draw_sky(camera, light, weather, place)
    for silhouette in landscape.silhouettes:
        _silhouette(canvas, camera, silhouette, light, place)
    _ground(canvas, camera, landscape, light, weather=weather, place=place)
    for prop in sorted(landscape.props, key=lambda prop: -prop.z):
        _prop(canvas, camera, prop, light, is_wet(weather))
    return canvas


def exposure(light: Light, facing_sun: float) -> Array:
    """Factor for an albedo outdoors."""
    return outdoors(light) + np.array(light.key) * light.sun * 0.52 * facing_sun


def is_wet(weather: str) -> bool:
    """Whether the ground mirrors what stands on it."""
    return weather in ("rain", "storm")


def haze_share(light: Light, distance_m: float) -> float:
    """How much of a thing at this distance is lost in the air, 0..1."""
    return float(1 - np.exp(-distance_m / _CLEAR_AIR_M * (0.6 + 8 * light.haze**2.2)))


def _hazed(colour: Rgb, light: Light, distance_m: float) -> Rgb:
    return mixed(colour, light.horizon, haze_share(light, distance_m))


def _lit(colour: Rgb, light: Light, facing_sun: float) -> Rgb:
    r, g, b = (min(255.0, c * f) for c, f in zip(colour, exposure(light, facing_sun), strict=True))
    return r, g, b


def _silhouette(canvas: Pixels, camera: Camera, line: Silhouette, light: Light, place: str) -> None:
    azimuths = np.linspace(-1.25, 1.25, 420 if line.kind == "trees" else 260)
    heights = _heights(line, len(azimuths), place)
    if line.kind == "skyline":
        azimuths, heights = np.repeat(azimuths, 2)[1:], np.repeat(heights, 2)[:-1]
    x, z = np.sin(azimuths) * line.distance_m, np.cos(azimuths) * line.distance_m
    base = np.stack([x, np.zeros_like(x), z], axis=1)
    top = base + np.stack([np.zeros_like(x), heights, np.zeros_like(x)], axis=1)
    eye = np.array([camera.position[0], 0.0, camera.position[2]])
    pixels, depths = camera.project(np.concatenate([top, base[::-1]]) + eye)
    seen = depths > 1.0
    colour = _hazed(_lit(line.colour, light, 0.45), light, line.distance_m * 1.3)
    fill(canvas, pixels[seen], colour)


def _heights(line: Silhouette, count: int, place: str) -> Array:
    rng = generator("silhouette", place, line.kind, line.distance_m)
    noise = fractal(rng, 64, 512, 4, 6)[7, np.linspace(0, 511, count).astype(int)].astype(np.float64)
    if line.kind == "skyline":
        blocks = rng.random(count // 5 + 1) ** 1.8
        return np.asarray(line.height_m * (0.35 + 1.25 * np.repeat(blocks, 5)[:count]))
    if line.kind == "trees":
        return np.asarray(line.height_m * (0.62 + 0.35 * noise + 0.22 * rng.random(count)))
    if line.kind == "peaks":
        return np.asarray(line.height_m * (0.25 + 0.95 * noise**1.4 + 0.03 * rng.random(count)))
    if line.kind == "mesas":
        return np.asarray(line.height_m * (0.16 + 0.84 * ramp(0.5, 0.6, noise)))
    return np.asarray(line.height_m * (0.3 + 0.9 * noise))


@lru_cache(maxsize=8)
def _ground_tile(place: str, surface: str) -> Plane:
    rng = generator("ground", place, surface)
    tile = fractal(rng, 512, 512, 8, 7)
    if surface in ("concrete", "asphalt"):
        tile = 0.5 + 0.35 * (tile - 0.5)
    if surface == "concrete":
        for joint in range(3):
            tile[joint::256, :] -= np.float32(0.30)
            tile[:, joint::256] -= np.float32(0.30)
    return np.asarray(tile, np.float32)


def _ground(canvas: Pixels, camera: Camera, landscape: Landscape, light: Light, *, weather: str, place: str) -> None:
    """Every pixel below the horizon, by its ray's foot on the ground."""
    across, upward, away = rays(camera, _GROUND_STEP)
    below = np.flatnonzero((upward < -0.0005).any(axis=1))
    if not len(below):
        return
    rows = slice(int(below[0]), int(below[-1]) + 1)
    across, upward, away = across[rows], upward[rows], away[rows]
    distance = np.float32(camera.position[1]) / np.maximum(-upward, np.float32(0.0005))
    x = across * distance + np.float32(camera.position[0])
    z = away * distance + np.float32(camera.position[2])
    detail = _sampled(_ground_tile(place, landscape.surface), x, z, distance, 44.0)
    patches = _sampled(_ground_tile(place, "patches"), x, z, distance, 5.0)
    share = ramp(0.35, 0.65, patches)[:, :, None]
    albedo: Plane = (
        np.array(landscape.ground, np.float32) * (1 - share) + np.array(landscape.second_ground, np.float32) * share
    )
    albedo *= (np.float32(0.66) + np.float32(0.68) * detail)[:, :, None]
    albedo *= exposure(light, float(np.clip(0.55 + 0.45 * light.key_height, 0, 1))).astype(np.float32)
    albedo *= _toward_sun(across, away, light)
    albedo = _surfaced(albedo, landscape.surface, x, z, light=light, weather=weather)
    air = (1 - np.exp(-distance / np.float32(_CLEAR_AIR_M * 0.8) * np.float32(0.6 + 8 * light.haze**2.2)))[:, :, None]
    colour = albedo * (1 - air) + np.array(light.horizon, np.float32) * air
    top, bottom = rows.start * _GROUND_STEP, min(canvas.shape[0], rows.stop * _GROUND_STEP)
    size = (canvas.shape[1], bottom - top)
    edge = np.clip(-upward * np.float32(camera.focal_px / _GROUND_STEP), 0, 1).astype(np.float32)
    if is_wet(weather):
        colour = _mirroring(colour, canvas, camera, upward=upward, patches=patches, rows=rows)
    whole = np.asarray(cv2.resize(to_bytes(colour), size, interpolation=cv2.INTER_LINEAR), np.uint8)
    blend(canvas[top:bottom], whole, np.asarray(cv2.resize(edge, size, interpolation=cv2.INTER_LINEAR), np.float32))


def _mirroring(ground: Plane, canvas: Pixels, camera: Camera, *, upward: Plane, patches: Plane, rows: slice) -> Plane:
    """Wet ground (h, w, 3): the sky above, upside down and drawn out, most where the look is grazing and in puddles."""
    height, width = canvas.shape[0] // _GROUND_STEP, canvas.shape[1] // _GROUND_STEP
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    horizon = camera.horizon_y() / _GROUND_STEP
    source = np.clip(2 * horizon - np.arange(rows.start, rows.stop, dtype=np.float32) - 1, 0, height - 1)
    mirrored = cv2.GaussianBlur(small[source.astype(int)], (0, 0), sigmaX=2.0, sigmaY=height * 0.03).astype(np.float32)
    fresnel = np.float32(0.16) + np.float32(0.64) * np.exp(upward / np.float32(0.16))
    share = np.clip(fresnel * (np.float32(0.45) + np.float32(1.1) * ramp(0.42, 0.62, patches)), 0, 0.88)[:, :, None]
    return np.asarray(ground * (1 - share) + mirrored * share, np.float32)


def _toward_sun(across: Plane, away: Plane, light: Light) -> Plane:
    """Factors (h, w, 3): ground shines towards a low sun."""
    sun = sun_direction(light)
    cosine = (across * sun[0] + away * sun[2]) / np.sqrt((across**2 + away**2) * np.float32(sun[0] ** 2 + sun[2] ** 2))
    gain = np.clip(cosine, 0, 1) ** 8 * np.float32(0.42 * light.sun * (1 - light.key_height))
    return np.asarray(1 + gain[:, :, None] * np.array(light.key, np.float32) ** 2, np.float32)


def _sampled(tile: Plane, x: Plane, z: Plane, distance: Plane, px_per_m: float) -> Plane:
    """A tile laid over the ground, fading to its mean where it would alias."""
    u, v = np.mod(x * np.float32(px_per_m), np.float32(511)), np.mod(z * np.float32(px_per_m), np.float32(511))
    value = cv2.remap(tile, u, v, cv2.INTER_LINEAR)
    fade = np.exp(-distance * np.float32(px_per_m / 1500))
    return np.asarray(np.float32(0.5) + (value - np.float32(0.5)) * fade, np.float32)


def _surfaced(albedo: Plane, surface: str, x: Plane, z: Plane, *, light: Light, weather: str) -> Plane:
    """Road markings, water, wet ground or snow."""
    if surface == "asphalt":
        line = (np.abs(x) < 0.07) & (np.mod(z, np.float32(4)) < 2)
        kerb = np.abs(np.abs(x) - np.float32(4.2)) < 0.12
        albedo = np.where((line | kerb)[:, :, None], albedo * np.float32(1.75), albedo)
        pavement = (np.abs(x) > 4.3)[:, :, None]
        albedo = np.where(pavement, albedo * np.float32(1.28), albedo)
    if surface == "shore":
        water = ramp(6.0, 9.0, z + np.sin(x * np.float32(0.35)))[:, :, None]
        sea = np.array(mixed(scaled(light.zenith, 0.62), light.horizon, 0.35), np.float32)
        ripple = (
            np.float32(1) + np.float32(0.10) * np.sin(z * np.float32(1.7) + np.sin(x * np.float32(0.7)) * 2)[:, :, None]
        )
        albedo = albedo * (1 - water) + sea * ripple * water
        foam = ramp(0.7, 0.0, np.abs(z + np.sin(x * np.float32(0.35)) - np.float32(7.2)))[:, :, None]
        albedo = albedo + foam * np.array(light.horizon, np.float32) * np.float32(0.35)
    if is_wet(weather):
        albedo = albedo * np.float32(0.72)
    if weather == "snow":
        snow = np.array((232, 236, 244), np.float32) * exposure(light, 0.5).astype(np.float32)
        albedo = albedo * np.float32(0.18) + snow * np.float32(0.82)
    return np.asarray(albedo, np.float32)


def _prop(canvas: Pixels, camera: Camera, prop: Prop, light: Light, wet: bool) -> None:
    depth = float((np.array([prop.x, 0, prop.z]) - camera.position) @ camera.axes[2])
    if depth < 0.6:
        return
    if prop.kind == "building":
        _building(canvas, camera, prop, light, depth=depth, wet=wet)
        return
    texture = _lit_card(prop, light, round(depth))
    right = np.array([camera.axes[0][0], 0.0, camera.axes[0][2]])
    right *= prop.width / np.linalg.norm(right)
    origin = np.array([prop.x, prop.height, prop.z]) - right / 2
    down = (0.0, -prop.height * 1.01, 0.0)
    _stand(canvas, camera, Panel(_metres(origin), _metres(right), down, texture), wet)


def _stand(canvas: Pixels, camera: Camera, panel: Panel, wet: bool) -> None:
    """Paint an upright panel, and on wet ground its reflection first."""
    if wet:
        texture = panel.texture
        if texture.shape[2] == 3:
            texture = np.dstack([texture, np.full(texture.shape[:2], 255, np.uint8)])
        faint = cv2.GaussianBlur(texture, (0, 0), sigmaX=1.5, sigmaY=7.0)
        faint[:, :, 3] = to_bytes(faint[:, :, 3] * np.linspace(0.05, 0.5, texture.shape[0])[:, None])
        (x, y, z), (dx, dy, dz) = panel.origin, panel.down
        draw_panel(canvas, camera, Panel((x, -y, z), panel.across, (dx, -dy, dz), np.asarray(faint, np.uint8)))
    draw_panel(canvas, camera, panel)


@lru_cache(maxsize=128)
def _lit_card(prop: Prop, light: Light, depth_m: int) -> Pixels:
    """A prop's texture in this light and behind this much air."""
    texture = card(prop.kind, int(abs(prop.x * 7 + prop.z * 3)) % 4).copy()
    s = np.linspace(-1, 1, texture.shape[1], dtype=np.float32)
    toward = np.clip(0.42 + 0.42 * s * np.float32(np.sign(sun_direction(light)[0])), 0.05, 1)
    factors = outdoors(light) + toward[:, None] * np.array(light.key) * light.sun * 0.52
    colour = texture[:, :, :3] * factors[None].astype(np.float32)
    share = np.float32(haze_share(light, depth_m))
    texture[:, :, :3] = to_bytes(colour * (1 - share) + np.array(light.horizon, np.float32) * share)
    if prop.kind == "lamp" and light.lamps > 0.4:
        cv2.ellipse(texture, (52, 17), (10, 5), 0, 0, 360, (255, 232, 178, 255), -1, cv2.LINE_AA)
    return texture


def _building(canvas: Pixels, camera: Camera, prop: Prop, light: Light, *, depth: float, wet: bool) -> None:
    """The front and the flank towards the street."""
    half, deep = prop.width / 2, 12.0
    inner = prop.x + half if prop.x < 0 else prop.x - half
    front = Panel((prop.x - half, prop.height, prop.z - deep / 2), (prop.width, 0, 0), (0, -prop.height, 0), _UNPAINTED)
    if prop.x < 0:
        flank = Panel((inner, prop.height, prop.z - deep / 2), (0, 0, deep), (0, -prop.height, 0), _UNPAINTED)
    else:
        flank = Panel((inner, prop.height, prop.z + deep / 2), (0, 0, -deep), (0, -prop.height, 0), _UNPAINTED)
    for panel, facing in ((flank, 0.75 if prop.x > 0 else 0.1), (front, 0.3)):
        texture = _lit_facade(prop, light, facing, round(depth))
        _stand(canvas, camera, Panel(panel.origin, panel.across, panel.down, texture), wet)


@lru_cache(maxsize=64)
def _lit_facade(prop: Prop, light: Light, facing_sun: float, depth_m: int) -> Pixels:
    """A house front in this light and behind this much air."""
    paint, glow = facade(int(abs(prop.x * 5 + prop.z)), 0.45 * min(1.0, light.lamps))
    share = haze_share(light, depth_m)
    level = np.linspace(1.1, 0.78, paint.shape[0])[:, None, None]
    lit = paint * exposure(light, facing_sun) * level + glow
    return to_bytes(lit * (1 - share) + np.array(light.horizon) * share)


def _metres(vector: Array) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
