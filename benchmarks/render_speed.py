"""CPU seconds a frame of the ray-traced engines, against another renderer when one is given.

    python benchmarks/render_speed.py --prototype ../shared/prototypes/bodycam

Machines are noisy, so both are measured in turns on the same kinds of scene, at 256x144, with
discharges, and the ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.engines.render.camera_take import BodyCameraTake
from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.game_take import GameTake
from pipeline.engines.render.script import NUM_CELLS, SCENES, write_script
from pipeline.engines.take import UnusableDraw, VideoFormat

FORMAT = VideoFormat(width=256, height=144, fps=20.0, kbit_s=150, keyint=60)
SCENE_OF_PROTOTYPE = {"indoor_range": "range_indoor", "room": "room", "street": "street"}
_RUN_PROTOTYPE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
for folder in ("clips", "sheets", "assets"):
    os.makedirs(folder, exist_ok=True)
import make_clip
_, meta = make_clip.bodycam(3, scene=sys.argv[2], action="fire", n=int(sys.argv[3]),
                             K=int(sys.argv[4]), verbose=False)
print(json.dumps(meta["cpu"]))
"""


def measure(index: int, num_frames: int) -> dict[str, float]:
    """Return CPU seconds: set-up of the scene, then a frame of each appearance.

    A draw that the engine drops gives way to the next one of its scene.
    """
    start = time.process_time()
    script = write_script("bench", 1, index, num_frames / FORMAT.fps)
    camera = BodyCameraTake(script, FORMAT)
    ready = time.process_time()
    try:
        num_real = len(camera.frames())
        filmed = time.process_time()
        num_film = len(FilmTake(script, FORMAT).frames())
    except UnusableDraw:
        return measure(index + NUM_CELLS, num_frames)
    screened = time.process_time()
    num_game = len(GameTake(script, FORMAT).frames())
    played = time.process_time()
    return {
        "setup": ready - start,
        "real": (filmed - ready) / num_real,
        "film": (screened - filmed) / num_film,
        "game": (played - screened) / num_game,
    }


def measure_prototype(
    folder: Path, scene: str, num_frames: int, num_samples: int
) -> dict[str, float]:
    """Return CPU seconds of the prototype: set-up, and a frame without it."""
    with tempfile.TemporaryDirectory() as work:
        output = subprocess.run(
            [
                *(sys.executable, "-c", _RUN_PROTOTYPE, str(folder.resolve()), scene),
                *(str(num_frames), str(num_samples)),
            ],
            cwd=work,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    cpu = json.loads(output.splitlines()[-1])
    return {"setup": cpu["build"], "real": (cpu["render"] + cpu["post"]) / num_frames}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prototype", type=Path, help="folder of the prototype's scripts")
    parser.add_argument("--samples", type=int, default=5, help="the prototype's, a pixel")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--pairs", type=int, default=2)
    arguments = parser.parse_args()
    measure(0, 4)
    ratios = []
    for index, scene in enumerate(build.__name__ for build in SCENES):
        for _ in range(arguments.pairs):
            own = measure(index, arguments.frames)
            line = f"{scene:13s} set-up {own['setup']:.2f} s, real {own['real']:.3f} s a frame, "
            line += f"film {own['film']:.3f}, game {own['game']:.3f}"
            if arguments.prototype and scene in SCENE_OF_PROTOTYPE:
                other = measure_prototype(
                    arguments.prototype,
                    SCENE_OF_PROTOTYPE[scene],
                    arguments.frames,
                    arguments.samples,
                )
                ratios.append(other["real"] / own["real"])
                line += f" | prototype set-up {other['setup']:.2f}, {other['real']:.3f} a frame"
                line += f", {ratios[-1]:.1f} times"
            print(line, flush=True)
    if ratios:
        print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
