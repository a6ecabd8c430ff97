"""What a telephone sees of a screen: an imitation by the geometry of a camera.

The screen shows a file in its middle, with black bars where shapes differ, has a dark bezel, and
hangs on a wall of uneven brightness. A camera of 60° looks at it from a drawn place: yaw, pitch and
roll up to stated angles, and a drawn share of the camera's view that the screen takes. Hands shake;
the screen's grid beats with the sensor's (moiré), a darker band of its refresh passes, a lamp is
mirrored in it, black is grey, and the sensor is blurred and noisy. All is drawn from a seed, so
that a file is always filmed alike.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

FPS = 10
"""Pictures a second that the camera takes: more would be looked up no more."""
_FIELD_DEG = 60.0
_LONG, _SHORT = 640, 360
_CRF = 23

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """From where a screen is filmed.

    Attributes:
        yaw_deg, pitch_deg, roll_deg: the most that the camera is beside or above, and turned.
        least, most: how much of the camera's view the screen takes, along the side that it fills
            more; above 1, edges of it are out of view.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    least: float
    most: float


WAYS = {
    "screen and wall filmed, up to 10° beside": Way(10, 6, 3, 0.7, 0.92),
    "screen and wall filmed, up to 25° beside": Way(25, 12, 5, 0.6, 0.88),
    "screen filmed without its edges": Way(10, 6, 3, 1.05, 1.2),
}
"""By the names of their rows."""


class Camera:
    """Films the pictures of a file, one after the other."""

    def __init__(self, way: Way, width: int, height: int, seed: int) -> None:
        """Draw a place for the camera, a wall, a screen and what disturbs.

        Args:
            way: within what it is drawn.
            width, height: of the file's pictures.
            seed: of the drawing.
        """
        self._rng = rng = np.random.default_rng(seed)
        # Screen and camera stand upright where the file does.
        self.size = (_SHORT, _LONG) if height > width else (_LONG, _SHORT)
        fit = min(self.size[0] / width, self.size[1] / height)
        self._shown = round(width * fit), round(height * fit)
        yaw, pitch, roll = (
            np.radians(rng.uniform(-most, most))
            for most in (way.yaw_deg, way.pitch_deg, way.roll_deg)
        )
        share = rng.uniform(way.least, way.most)
        self._seen = _placed(_rotation(yaw, pitch, roll), self.size, share)
        # The middle is off by some of what is free around the screen, or of what is cut.
        self._shift = rng.uniform(-0.35, 0.35, 2) * abs(1 - share)
        self._shake = np.zeros(2)
        self._bezel = rng.uniform(0.01, 0.04)
        wall = (rng.uniform(25, 150) + rng.normal(0, rng.uniform(5, 30), (4, 5))).clip(0, 255)
        wall = cv2.resize(wall.astype(np.float32), self.size, interpolation=cv2.INTER_CUBIC)
        self._wall: Floats = np.repeat(wall[:, :, None], 3, axis=2).astype(np.float32)
        columns, rows = np.meshgrid(
            *(np.linspace(0, 1, side, dtype=np.float32) for side in self.size)
        )
        self._rows = rows
        waves = rng.uniform(0.05, 0.16, 2) * self.size
        self._moire = rng.uniform(0.02, 0.06), 2 * np.pi * (waves[0] * columns + waves[1] * rows)
        self._band = rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.25), rng.uniform(0.3, 1.5)
        at = rng.uniform(0, 1, 2)
        away = ((columns - at[0]) ** 2 + (rows - at[1]) ** 2) / rng.uniform(0.05, 0.2) ** 2
        self._lamp = rng.uniform(0, 40) * np.exp(-away)[:, :, None]
        self._black, self._gain = rng.uniform(8, 24), rng.uniform(0.7, 0.9)
        self._blur = rng.uniform(0.6, 1.3)
        self._noise = rng.normal(0, rng.uniform(2, 7), (2 * _LONG, 2 * _LONG, 3)).astype(np.float32)

    def film(self, picture: Pixels, time_s: float) -> Pixels:
        """What is seen of a picture: uint8 (H, W, 3) to one of the size of the camera."""
        width, height = self.size
        screen = np.zeros((height, width, 3), np.float32)
        left, top = (width - self._shown[0]) // 2, (height - self._shown[1]) // 2
        shown = cv2.resize(picture, self._shown, interpolation=cv2.INTER_AREA)
        screen[top : top + self._shown[1], left : left + self._shown[0]] = shown
        screen = self._black + self._gain * self._lit(screen, time_s)
        self._shake = 0.9 * self._shake + self._rng.normal(0, 0.0015, 2)
        off = (self._shift + self._shake) * self.size
        matrix = np.array([[1, 0, off[0]], [0, 1, off[1]], [0, 0, 1]]) @ self._seen
        around = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * self._bezel * max(self.size)
        outline = _projected(matrix, _outline(self.size) + around).round().astype(np.int32)
        seen = self._wall.copy()
        cv2.fillConvexPoly(seen, outline, (14.0, 14.0, 15.0))
        is_screen = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, self.size)
        flat = cv2.warpPerspective(screen, matrix, self.size, borderMode=cv2.BORDER_REPLICATE)
        seen = np.asarray(seen + is_screen[:, :, None] * (flat - seen), np.float32)
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), self._blur), np.float32)
        down, across = self._rng.integers(0, _LONG, 2)
        seen += self._noise[down : down + height, across : across + width]
        return np.asarray(seen.clip(0, 255).round(), np.uint8)

    def _lit(self, screen: Floats, time_s: float) -> Floats:
        """A screen with moiré, with the band of its refresh, and with a lamp mirrored in it."""
        strength, phases = self._moire
        depth, share, speed = self._band
        off = (self._rows[:, :1] - time_s * speed) % 1 - 0.5
        band = depth * np.exp(-((2 * off / share) ** 2))
        light = 1 + strength * np.sin(phases + time_s) - band
        return np.asarray(screen * light[:, :, None] + self._lamp, np.float32)


def film(source: Path, target: Path, way: Way, seed: int, speed: float = 1.0) -> None:
    """Film a file from a screen that plays it, at a speed."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        camera = Camera(way, stream.width, stream.height, seed)
        width, height = camera.size
        command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{width}x{height}", "-r", str(FPS), "-i", "-", "-c:v", "libx264"]
        command += ["-pix_fmt", "yuv420p", "-preset", "veryfast", "-crf", str(_CRF), str(target)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as writer:
            assert writer.stdin
            for number, picture in enumerate(_on_grid(container, FPS / speed)):
                writer.stdin.write(camera.film(picture, number / FPS).tobytes())
        if writer.returncode:
            raise subprocess.CalledProcessError(writer.returncode, command)


def _on_grid(container: Any, fps: float) -> Iterator[Pixels]:
    """What is on the screen at each time of a grid."""
    number, shown = 0, None
    for frame in container.decode(video=0):
        while shown is not None and frame.time > number / fps + 1e-6:
            yield shown.to_ndarray(format="rgb24")
            number += 1
        shown = frame
    if shown is not None:
        yield shown.to_ndarray(format="rgb24")


def _placed(pose: Matrix, size: tuple[int, int], share: float) -> Matrix:
    """From pixels of a screen to those of a camera of the same size that sees it in its middle."""
    width, height = size
    focal = max(size) / (2 * np.tan(np.radians(_FIELD_DEG) / 2))
    lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    plane = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 0]]) / width

    def at(distance: float) -> tuple[Matrix, Matrix]:
        away = np.zeros((3, 3))
        away[2, 2] = distance
        matrix = lens @ (pose @ plane + away)
        return matrix, _projected(matrix, _outline(size))

    near, far = 0.6, 5.0
    for _ in range(40):
        half = (near + far) / 2
        is_near = (np.ptp(at(half)[1], axis=0) / size).max() > share
        near, far = (half, far) if is_near else (near, half)
    matrix, seen = at(far)
    off = np.array(size) / 2 - (seen.min(axis=0) + seen.max(axis=0)) / 2
    return np.array([[1, 0, off[0]], [0, 1, off[1]], [0, 0, 1]]) @ matrix


def _rotation(yaw: float, pitch: float, roll: float) -> Matrix:
    turns = ([0, yaw, 0], [pitch, 0, 0], [0, 0, roll])
    first, second, third = (cv2.Rodrigues(np.array(one, float))[0] for one in turns)
    return np.asarray(third @ second @ first)


def _outline(size: tuple[int, int]) -> Matrix:
    return np.array([[0, 0], [size[0], 0], size, [0, size[1]]], float)


def _projected(matrix: Matrix, points: Matrix) -> Matrix:
    seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(seen[:, :2] / seen[:, 2:])
