"""The contract of a network: what training, scoring and export ask of it.

A network is one module of this folder, which ends with its `NetworkFactory`, and one line of
`networks.NETWORKS`. What can be set of it is a section of `config.ModelConfig`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor, nn

from pipeline.config import ClipFormat, ModelConfig

if TYPE_CHECKING:
    from pipeline.learn.networks.hearing import HeardNet
    from pipeline.learn.networks.origin import OriginNet


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that learn alike."""

    parameters: Sequence[nn.Parameter]
    lr_scale: float
    """What the learning rate is multiplied by; 1 but for layer-wise rates."""
    decays: bool
    """Whether weight decay applies; not to norms and biases."""


class Network(nn.Module, ABC):
    """From a clip to the logits of the four classes.

    Clips are (B, T, H, W, 3) RGB, uint8 or floating point in [0, 255]; their normalisation is
    part of the network. Their sounds are int16 (B, S) at `store.sound.SOUND_HZ`, as long as the
    clips, and zero where there is none. A network answers without them too; one that does not hear
    is never given any.
    """

    num_features: int
    """Length D of what `embed` gives."""

    @property
    def hears(self) -> bool:
        """Return whether the sound of a clip has a say."""
        return False

    @abstractmethod
    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D), of the whole clip."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4), in the order of `manifest.CLASSES`."""

    def forward(self, clips: Tensor, sounds: Tensor | None = None) -> Tensor:
        """Clips, and their sounds where they are known, to logits, (B, 4)."""
        return self.classify(self.embed(clips))

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """JSON values that `networks.rebuild` makes the same network of, weights apart."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """All that can be trained, each parameter once."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return [
            ParameterGroup([p for p in trained if p.ndim > 1], 1.0, True),
            ParameterGroup([p for p in trained if p.ndim <= 1], 1.0, False),
        ]

    def mixed(self) -> Network:
        """The same network, of the same weights, whose frozen encoders of pictures compute in
        bfloat16.

        This one computes as before. One without such an encoder gives itself.
        """
        return self

    def frozen(self) -> dict[str, nn.Module]:
        """Published networks inside of it whose weights nothing trains, by the name of the module.

        They are kept in a file of their own, since many detectors have the same.
        """
        return {}

    @property
    def factors(self) -> Factors | None:
        """The answers that its own is the product of; None where it gives one alone."""
        return None


class Factors(Protocol):
    """The answers on the discharge and on the origin that a network is the product of."""

    discharge: Network
    """Answers on the discharge; what its logits say of the origin counts for nothing."""
    discharge_scale: Tensor
    """What the log odds of the discharge are multiplied by, a number."""
    most_seen: float | None
    """Log odds that pictures give for a discharge or against one at most; None for no bound."""
    origin: OriginNet
    hearing: HeardNet | None
    """How much sound speaks for a discharge; None where nothing hears."""

    def seen(self, logits: Tensor) -> Tensor:
        """Logits (..., 4) of `discharge` to scaled and bounded log odds of a discharge, (...)."""


State = dict[str, Tensor]
"""What streams remember; of every tensor the first axis is that of the streams."""


@runtime_checkable
class Streaming(Protocol):
    """A network whose answer at a frame depends on no later frame, so that it follows streams."""

    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros, on the device of the network.

        Take the tensors apart along their first axis to let streams join and leave.
        """

    def advance(
        self, clips: Tensor, state: State, sounds: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The next T frames of every stream: (B, T, H, W, 3) to logits (B, T, 4).

        Args:
            clips: uint8 or in [0, 255].
            state: what `start` or the call before gave; it is left as it was.
            sounds: int16 (B, S), as long as the frames; silence without it.

        Returns:
            The answer at each frame, from the last `num_frames` of a clip, and the next state.
        """

    def step(
        self, frames: Tensor, state: State, sounds: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The next frame of every stream: (B, H, W, 3) to logits (B, 4), and the next state."""
        heard = () if sounds is None else (sounds,)
        logits, state = self.advance(frames[:, None], state, *heard)
        return logits[:, 0], state


@dataclass(frozen=True)
class Rebuilding:
    """Holds what a network may ask for while it is rebuilt."""

    network: Callable[[Mapping[str, Any]], Network]
    """Rebuilds another network, from the architecture of a part."""
    trusted_factory: str | None
    """The one `module:factory` whose code may run."""


@dataclass(frozen=True)
class NetworkFactory:
    """Tells how the networks of a name are made."""

    rebuild: Callable[[Mapping[str, Any], Rebuilding], Network]
    """From `Network.architecture()` without the name, with fresh weights.

    Nothing that the values name is imported or downloaded. Raises UserError, or KeyError,
    TypeError, ValueError or AssertionError for values that fit no network.
    """
    build: Callable[[ModelConfig, ClipFormat], Network] | None = None
    """From `conf/train.yaml`, for clips of a format; None for what is made of trained networks.

    Fresh weights come from torch's global generator. Raises UserError for settings that fit
    neither each other nor the network.
    """
    argument: str = ""
    """What follows the name and a colon in `model.name`, for messages; nothing follows if empty."""
    outside_hashes: Callable[[str], dict[str, str]] = lambda name: {}
    """Hashes of what a `model.name` stands for and `pipeline` does not hold, by file or name."""
