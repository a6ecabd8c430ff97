"""Writes the trained network as ONNX: `python -m pipeline export`."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.commands import onnx_forms
from pipeline.commands.onnx_forms import NEXT, STATE
from pipeline.config import ExportApp
from pipeline.detect import operating_point
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.errors import UserError
from pipeline.learn.networks.base import Streaming
from pipeline.store import storage, workdir
from pipeline.store.manifest import CLASSES
from pipeline.store.output_files import EXPORT
from pipeline.store.packed_samples import INDEX, Packed
from pipeline.store.sound import num_samples

log = logging.getLogger(__name__)

_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_TOLERANCE = 1e-4
_NUM_CLIPS = 4
_STEPS = [
    "show the picture upright and without black bars",
    "take its centre square, averaged down to size x size pixels, as RGB of 0 to 255",
    "take the picture shown at every multiple of 1/fps seconds",
    "training saw frames that were encoded as H.264 with this crf and decoded again",
]
_HEARD = "take the mean of all channels at 24,000 Hz as int16, zeros where there is none"
_STATE = f"zeros before the first frame; what a step gives as {NEXT}* is {STATE}* of the next"


def run(cfg: ExportApp) -> None:
    """Write `clip.onnx`, for a causal network also `stream.onnx`, and `export.json`.

    Both are run in onnxruntime on random clips, and on packed ones where there are any, and must
    answer as torch does.

    Raises:
        UserError: no weights, a network that cannot become ONNX, answers that differ by more than
            1e-4, packages that are missing, or a folder in use for something else.
    """
    absent = [name for name in _NEEDED if find_spec(name) is None]
    if absent:
        raise UserError(
            f"{', '.join(absent)} not installed; pip install -c constraints.txt -e '.[export]'"
        )
    output, work = workdir.OUTPUTS["export"], Path(cfg.paths.work)
    # A folder a model, so that adapted weights do not take the place of those before.
    target = Path(cfg.out or storage.own_folder(work / "onnx", cfg.paths.models, "paths.work"))
    workdir.check_replaceable(target, work, output)
    detector = Detector.load(Path(cfg.paths.models), trusted_factory=cfg.factory)
    models = {"clip": onnx_forms.clip_form(detector)}
    if isinstance(detector.network, Streaming):
        models["stream"] = onnx_forms.stream_form(detector)
    facts = _facts(detector)
    clips = {"random clips": _random(detector), **_packed(cfg, detector)}
    with workdir.replacing(target, work, output) as folder:
        forms: dict[str, dict[str, Any]] = {}
        for name, model in models.items():
            data = onnx_forms.serialise(model, {**facts, "form": name})
            (folder / f"{name}.onnx").write_bytes(data)
            forms[name] = {
                "file": f"{name}.onnx",
                "sha256": hashlib.sha256(data).hexdigest(),
                "inputs": onnx_forms.signature(model.graph.input),
                "outputs": onnx_forms.signature(model.graph.output),
            }
            for kind, chosen in clips.items():
                check(data, name, detector, chosen, kind)
        if "stream" in forms:
            forms["stream"]["state"] = _STATE
        found = {**facts, "forms": forms, "operating_point": _operating_point(cfg, detector)}
        record = json.dumps(found, indent=2, sort_keys=True)
        (folder / EXPORT).write_text(f"{record}\n")
    for file in [*(f"{name}.onnx" for name in forms), EXPORT]:
        print(target / file)


def check(data: bytes, form: str, detector: Detector, clips: ComparisonClips, kind: str) -> None:
    """Print how far the answers of an ONNX graph are from torch's at most.

    Args:
        data: the graph.
        form: `clip`, or `stream`, to which each clip is shown frame by frame.
        clips: those that are shown.
        kind: what they are, in words.

    Raises:
        UserError: further than 1e-4, or no numbers at all.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    differences = _of_streams if form == "stream" else _of_clips
    furthest = float(np.max(differences(session, detector, clips)))
    print(f"{form}: {furthest:.1e} from torch at most on {len(clips.frames)} {kind}")
    # Not ">", which NaN would pass.
    if not furthest <= _TOLERANCE:
        raise UserError(
            f"the ONNX graph ({form}) differs from torch by {furthest:.1e} on {kind}, more than "
            f"{_TOLERANCE:g}; report this with the versions of torch and onnxruntime"
        )


def _of_clips(session: Any, detector: Detector, clips: ComparisonClips) -> list[float]:
    """All clips at once, then each alone."""
    found = []
    for some in [slice(None), *(slice(i, i + 1) for i in range(len(clips.frames)))]:
        frames, sounds = clips.frames[some], clips.sounds[some]
        heard = {onnx_forms.SOUNDS: sounds} if detector.hears else {}
        answers = session.run(None, {onnx_forms.CLIPS: frames, **heard})[0]
        found.append(_distance(answers, detector.predict(frames, sounds)))
    return found


def _of_streams(session: Any, detector: Detector, clips: ComparisonClips) -> list[float]:
    """Every clip twice on end, so that the first has to be forgotten; all streams, then one."""
    found = []
    num_frames = clips.frames.shape[1]
    for some in (slice(None), slice(1)):
        chosen, sounds = clips.frames[some], clips.sounds[some]
        stream, state = detector.stream(len(chosen)), onnx_forms.first_state(session, len(chosen))
        moments = zip(
            np.concatenate([chosen, chosen], axis=1).swapaxes(0, 1),
            np.split(np.concatenate([sounds, sounds], axis=1), 2 * num_frames, axis=1),
            strict=True,
        )
        for frames, heard in moments:
            given = {onnx_forms.SOUNDS: heard} if detector.hears else {}
            answers, *after = session.run(None, {onnx_forms.FRAMES: frames, **state, **given})
            state = dict(zip(state, after, strict=True))
            found.append(_distance(answers, stream.push(frames, heard)))
    return found


def _distance(answers: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    return float(np.abs(answers - expected).max())


@dataclass(frozen=True)
class ComparisonClips:
    """Clips that both graph and network are asked about."""

    frames: NDArray[np.uint8]
    """(N, T, H, W, 3)"""
    sounds: NDArray[np.int16]
    """(N, S)"""


def _random(detector: Detector) -> ComparisonClips:
    form = detector.card.clip
    shape = (_NUM_CLIPS, form.num_frames, form.size, form.size, 3)
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, shape, np.uint8)
    size = (_NUM_CLIPS, num_samples(form.num_frames, form.fps))
    return ComparisonClips(frames, generator.integers(-20_000, 20_000, size, np.int16))


def _packed(cfg: ExportApp, detector: Detector) -> dict[str, ComparisonClips]:
    """Some packed clips of the format of the weights, spread over all; none without any."""
    if not (Path(cfg.paths.packed) / INDEX).is_file():
        return {}
    packed = Packed.open(cfg.paths.packed, Path(cfg.paths.work))
    if packed.format != detector.card.clip:
        return {}
    rows = np.linspace(0, packed.index.num_rows - 1, _NUM_CLIPS).astype(int)
    samples = [packed.read(int(row)) for row in rows]
    return {
        "packed clips": ComparisonClips(
            np.stack([one.frames for one in samples]), np.stack([one.sound for one in samples])
        )
    }


def _operating_point(cfg: ExportApp, detector: Detector) -> Any:
    """The threshold that the evaluation of these weights chose; None without such a report."""
    point = operating_point.read(Path(cfg.paths.reports), detector.sha256)
    if isinstance(point, OperatingPoint):
        return dict(point.record)
    log.warning("export: no threshold goes along: %s", point)
    return None


def _facts(detector: Detector) -> dict[str, Any]:
    """Return what whoever runs the graph has to know."""
    card = detector.card
    return {
        "architecture": card.architecture,
        "classes": list(CLASSES),
        "score": "real_shooting",
        "temperature": card.temperature,
        "memory": None if card.memory is None else card.memory.architecture(),
        "preprocessing": {
            **card.preprocessing,
            "steps": [*_STEPS, *([_HEARD] if detector.hears else [])],
        },
        "weights_sha256": detector.sha256,
        "opset": onnx_forms.OPSET,
    }
