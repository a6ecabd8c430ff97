"""A trained detector: weights that score clips and, if the network is causal, streams."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ClipFormat
from pipeline.errors import UserError
from pipeline.learn import networks
from pipeline.learn.memory import begin, follow
from pipeline.learn.model_card import CARD, ModelCard
from pipeline.learn.networks import rebuild
from pipeline.learn.networks.base import Network, State, Streaming
from pipeline.learn.weights import ENCODER_WEIGHTS, WEIGHTS, MisfitError, fill, values_sha256
from pipeline.store import provenance, workdir
from pipeline.store.sound import num_samples

CODE = (
    "learn/memory.py",
    *("detect/detector.py", "learn/encoders", "learn/hub.py", "learn/model_card.py"),
    *("learn/networks", "learn/pixels.py", "learn/weights.py", "store/manifest.py"),
    *(
        "store/packed_samples.py",
        "store/pcm.py",
        "store/shards.py",
        "store/sound.py",
        "store/video.py",
    ),
)
"""What decides an answer: the network, and what decodes the clips that it is asked about."""
FULL, MIXED = "32-true", "bf16-mixed"
"""Precisions, as Lightning names them: all in float32, or frozen encoders of pictures in bfloat16.

Where a processor multiplies bfloat16 (AVX-512 BF16, AMX), these take about half the time then, and
answers differ a little (docs/live.md, less exact and cheaper).
"""


class Detector:
    """Trained weights, ready to score clips and, if the network is causal, streams."""

    def __init__(
        self,
        network: Network,
        card: ModelCard,
        device: str,
        factory: str | None = None,
        precision: str = FULL,
    ) -> None:
        self.network = (network.mixed() if precision == MIXED else network).eval().to(device)
        self.card = card
        self.device = device
        """That it computes on, such as `cpu`."""
        self.precision = precision
        """`FULL` or `MIXED`."""
        # Of code of the user's own, which the package does not hold.
        self._outside = networks.outside_hashes(factory) if factory else {}

    @classmethod
    def load(
        cls,
        folder: Path | str,
        device: str = "cpu",
        trusted_factory: str | None = None,
        precision: str = FULL,
    ) -> Detector:
        """Load what `learn.weights.save` wrote; nothing in the files is executed.

        A card may say that its weights belong to a network of someone's own code, as
        `module:factory`. Importing that runs it, and a card may come from anywhere, so it is
        imported only if you name the same.

        Args:
            folder: holds the weights and their card.
            device: that scores, as torch names it.
            trusted_factory: the `module:factory` that may be imported and called.
            precision: `FULL` or `MIXED`.

        Raises:
            UserError: a file is missing or damaged, the two do not belong together, the weights are
                of another architecture, class set, class order or tensor shape, or they need code
                that is not trusted.
        """
        folder = Path(folder)
        card = ModelCard.read(folder / CARD)
        data = _read_weights(folder / WEIGHTS, card.weights_sha256)
        frozen = None
        if card.encoder_sha256 is not None:
            frozen = _read_weights(folder / ENCODER_WEIGHTS, card.encoder_sha256)
        remedy = (
            "where another version of Discern wrote it, run discern train again, else restore it"
        )
        try:
            network = rebuild(card.architecture, trusted_factory)
            fill(network, data, frozen)
        except UserError as error:
            raise UserError(f"{folder / CARD}: {error}") from error
        except MisfitError as error:
            raise UserError(
                f"{folder / error.file}: does not fit the architecture in {CARD} ({error}); "
                f"{remedy}"
            ) from error
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            raise UserError(
                f"{folder / CARD}: its architecture makes no network; {remedy}"
            ) from error
        return cls(network, card, device, trusted_factory, precision)

    @property
    def sha256(self) -> str:
        """Hash of `model.safetensors`, which no detector has that answers otherwise."""
        return self.card.weights_sha256

    def made_by(self) -> list[Any]:
        """Return what decides its answers beside the clips, as JSON values: weights, code and
        libraries.

        The number of threads and the kind of processor decide the order of sums, and so last bits.
        """
        card = self.card
        return [
            [values_sha256(self.network), card.encoder_sha256, card.temperature],
            [dict(card.architecture), dict(card.preprocessing)],
            [workdir.code_sha256(*CODE), self._outside],
            provenance.libraries(),
            [self.device, self.precision],
            [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()],
        ]

    @property
    def hears(self) -> bool:
        """Return whether the sound of a clip has a say."""
        return self.network.hears

    @property
    def can_stream(self) -> bool:
        """Return whether it answers frame by frame."""
        return isinstance(self.network, Streaming)

    def predict(
        self, clips: NDArray[np.uint8], sounds: NDArray[np.int16] | None = None
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of clips.

        Args:
            clips: uint8 (B, T, H, W, 3) RGB, of the shape that the weights were trained on.
            sounds: int16 (B, S) at `store.sound.SOUND_HZ`, as long as the clips, zero where there
                is none; without it the pictures answer alone.

        Returns:
            float64 (B, 4) in the order of `CLASSES`; each row sums to 1.

        Raises:
            UserError: the clips, or their sounds, are of another shape.
        """
        form = self.card.clip
        _check("clips", clips, np.uint8, ("N", form.num_frames, form.size, form.size, 3))
        self._check_sounds(sounds, len(clips), form.num_frames)
        with torch.inference_mode():
            logits = self.network(self._tensor(clips), *self._heard(sounds))
            return _probabilities(self._calibrated(logits))

    def stream(self, num_streams: int) -> Stream:
        """Score `num_streams` videos frame by frame, from their first frames on.

        Raises:
            UserError: the network needs whole clips, or `num_streams` is no number of videos.
        """
        if not isinstance(num_streams, int | np.integer) or num_streams < 1:
            raise UserError(
                f"num_streams={num_streams!r}: not a number of streams; give how many videos are "
                "followed side by side, 1 or more"
            )
        if not isinstance(self.network, Streaming):
            raise UserError(
                f"weights of the network '{self.card.name}' answer for whole clips only; train "
                "with model.name=flash, and with no encoder of video (conf/embed.yaml: pictures), "
                "to score streams"
            )
        return Stream(self, self.network, num_streams)

    def check_format(self, root: str, given: ClipFormat) -> None:
        """Raise `UserError` unless clips are such as the weights were trained on.

        Args:
            root: where the clips lie, for the message.
            given: their format.
        """
        if given != self.card.clip:
            raise UserError(
                f"{root}: clips of {given} but the weights were trained on {self.card.clip}; "
                "set clip in conf/ingest.yaml to that, or train again"
            )

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _heard(self, sounds: NDArray[np.int16] | None) -> tuple[Tensor, ...]:
        """The sounds, for a network that hears; else nothing."""
        return () if sounds is None or not self.hears else (self._tensor(sounds),)

    def _check_sounds(
        self, sounds: NDArray[np.int16] | None, num_clips: int, num_frames: int
    ) -> None:
        if sounds is not None:
            expected = (num_clips, num_samples(num_frames, self.card.clip.fps))
            _check("sounds", sounds, np.int16, expected)

    def _calibrated(self, logits: Tensor) -> Tensor:
        return logits.double().cpu() / self.card.temperature


class Stream:
    """Videos that go on side by side, in memory that does not grow; `Detector.stream` makes it.

    What it says of the discharge is of the last `num_frames` frames. What it says of the origin is
    of all that came before too, where the card has a memory.
    """

    def __init__(self, detector: Detector, network: Streaming, num_streams: int) -> None:
        self._detector, self._network = detector, network
        self._num_streams = num_streams
        self._state = network.start(num_streams)
        self._past = begin(detector.card.memory, num_streams)

    def push(
        self, frames: NDArray[np.uint8], sounds: NDArray[np.int16] | None = None
    ) -> NDArray[np.float64]:
        """Calibrated probabilities after the next frame of every video.

        Args:
            frames: uint8 (B, H, W, 3) RGB, one of each video, in the canonical size and rate.
            sounds: int16 (B, S) at `store.sound.SOUND_HZ`, as long as a frame, zero where there is
                none; silence without it.

        Returns:
            float64 (B, 4) in the order of `CLASSES`. At frame `num_frames` they are those of
            `Detector.predict` for these frames. Before it they are of fewer frames than training
            asked about, and no ground for an alert; nothing of them is remembered.

        Raises:
            UserError: the frames, or their sounds, are of another shape.
        """
        form, memory = self._detector.card.clip, self._detector.card.memory
        _check("frames", frames, np.uint8, (self._num_streams, form.size, form.size, 3))
        clip_s = form.num_frames / form.fps
        with torch.inference_mode():
            logits = self._follow(frames[:, None], sounds)[:, 0]
            logits, _, self._past = follow(
                memory, logits, self._past, num_answers=form.num_frames, clip_s=clip_s
            )
            return _probabilities(logits)

    def last_clips(
        self, clips: NDArray[np.uint8], sounds: NDArray[np.int16] | None = None
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of the last clip alone after each of the next T frames.

        What is remembered stays as it is, and has no say.

        Args:
            clips: uint8 (B, T, H, W, 3) RGB, the next frames of every video.
            sounds: int16 (B, S), as long as the frames, zero where there is none.

        Returns:
            float64 (B, T, 4) in the order of `CLASSES`.

        Raises:
            UserError: the frames, or their sounds, are of another shape.
        """
        size = self._detector.card.clip.size
        _check("clips", clips, np.uint8, (self._num_streams, "T", size, size, 3))
        with torch.inference_mode():
            return _probabilities(self._follow(clips, sounds))

    def _follow(self, clips: NDArray[np.uint8], sounds: NDArray[np.int16] | None) -> Tensor:
        """Calibrated logits (B, T, 4) of the last clip after each of the next frames."""
        detector = self._detector
        detector._check_sounds(sounds, self._num_streams, clips.shape[1])
        logits, self._state = self._network.advance(
            detector._tensor(clips), self._state, *detector._heard(sounds)
        )
        return detector._calibrated(logits)

    def restart(self, streams: NDArray[np.bool_]) -> None:
        """Forget all that some streams have shown, as where one goes over to another source.

        Args:
            streams: bool (B,), which of them.

        Raises:
            UserError: that is of another shape.
        """
        _check("streams", streams, np.bool_, (self._num_streams,))
        ended = torch.from_numpy(streams)

        def left(state: State) -> State:
            return {name: _without(value, ended) for name, value in state.items()}

        self._state, self._past = left(self._state), left(self._past)


def _probabilities(logits: Tensor) -> NDArray[np.float64]:
    probabilities: NDArray[np.float64] = logits.softmax(-1).numpy()
    return probabilities


def _without(state: Tensor, ended: Tensor) -> Tensor:
    """Return what streams remember, (B, ...), with zeros for those that ended, bool (B,)."""
    shape = (-1, *(1,) * (state.ndim - 1))
    return state.masked_fill(ended.to(state.device).reshape(shape), 0)


def _read_weights(path: Path, sha256: str) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: missing; run dvc repro train or dvc pull")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(
            f"{path}: not the weights that {CARD} beside it describes; "
            "run dvc checkout, or discern train again"
        )
    return data


def _check(what: str, given: Any, dtype: type[np.generic], expected: tuple[int | str, ...]) -> None:
    """Raise `UserError` unless an array is as it should be; a letter stands for any number."""
    takes = f"{dtype.__name__} ({', '.join(map(str, expected))}{',' * (len(expected) == 1)})"
    if not isinstance(given, np.ndarray):
        raise UserError(
            f"{what} are a {type(given).__name__} but the weights take an array, {takes}; make it "
            "one, as numpy.stack does of several"
        )
    fits = given.ndim == len(expected) and all(
        isinstance(wanted, str) or side == wanted
        for side, wanted in zip(given.shape, expected, strict=True)
    )
    if given.dtype != dtype or not fits:
        raise UserError(
            f"{what} are {given.dtype} {given.shape} but the weights take {takes}; "
            f"bring the {what} into the format that the weights were trained on"
        )
