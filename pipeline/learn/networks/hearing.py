"""An answer on the discharge from sound: a frozen network that knows gunshots, and two numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn import encoders
from pipeline.learn.encoders.base import SoundEncoder
from pipeline.learn.encoders.waves import Resampler, check_every, features_of_sounds
from pipeline.store.pcm import FULL_SCALE
from pipeline.store.sound import QUIET_RMS

MOST_AGAINST, MOST_FOR = -1.0, 4.0
"""What sound can say at most against a discharge and for one, in log odds.

A track may be another one than that of the pictures, or covered, and what is not heard may have
happened all the same, so that sound says less against a discharge than for one
(docs/experiments.md).
"""


class HeardNet(nn.Module):
    """Tells how much the sound of a clip speaks for a discharge: the logarithm of a likelihood
    ratio.

    The score is the largest that the encoder has for any class of firearms in the clip;
    `scale` and `offset`, which `fit_hearing` finds, make a log likelihood ratio of it, which is
    bounded. Where there is no track, digital silence or next to nothing, it is exactly 0.

    Args:
        encoder: what hears.
        num_samples: int16 samples S of a clip, as many in each of its frames.
        num_frames: of a clip.
        every_frames: frames from one hearing of a stream to the next; it divides `num_frames`, so
            that a clip that begins with a stream is heard when it is over.

    Raises:
        UserError: it does not.
    """

    scale: Tensor
    offset: Tensor

    def __init__(
        self, encoder: SoundEncoder, *, num_samples: int, num_frames: int, every_frames: int
    ) -> None:
        super().__init__()
        check_every(every_frames, num_frames)
        assert num_samples % num_frames == 0, (num_samples, num_frames)
        self.encoder, self.resample = encoder, Resampler(encoder.rate_hz)
        self.num_samples, self.num_frames = num_samples, num_frames
        self.every_frames = every_frames
        self.register_buffer("scale", torch.zeros(()))
        self.register_buffer("offset", torch.zeros(()))
        self.requires_grad_(False)

    @property
    def samples_a_frame(self) -> int:
        """Samples of sound that last as long as a frame."""
        return self.num_samples // self.num_frames

    def architecture(self) -> dict[str, Any]:
        """JSON values that `HeardNet.rebuild` makes the same of, weights apart."""
        return {
            "encoder": self.encoder.architecture(),
            "num_samples": self.num_samples,
            "num_frames": self.num_frames,
            "every_frames": self.every_frames,
            "bounds": [MOST_AGAINST, MOST_FOR],
        }

    @classmethod
    def rebuild(cls, architecture: Mapping[str, Any]) -> HeardNet:
        """The network of an `architecture()`, with fresh weights.

        Raises:
            UserError: no such encoder exists.
            KeyError, TypeError, ValueError, AssertionError: values that fit no encoder or no
                stream, or other bounds than those that are kept here.
        """
        encoder = encoders.rebuild(architecture["encoder"])
        if not isinstance(encoder, SoundEncoder):
            raise ValueError(f"{architecture['encoder']} knows no class of firearms")
        if architecture["bounds"] != [MOST_AGAINST, MOST_FOR]:
            raise ValueError(f"what it hears is bounded by {architecture['bounds']}")
        return cls(
            encoder,
            num_samples=architecture["num_samples"],
            num_frames=architecture["num_frames"],
            every_frames=architecture["every_frames"],
        )

    def forward(self, sounds: Tensor) -> Tensor:
        """int16 (B, S) at `SOUND_HZ` to log likelihood ratios (B,), 0 where nothing is heard."""
        ratio = self.ratio(
            self.encoder.firearms(features_of_sounds(self.encoder, self.resample, sounds))
        )
        return torch.where(is_usable(sounds), ratio, torch.zeros_like(ratio))

    def ratio(self, scores: Tensor) -> Tensor:
        """Scores of firearms (...) to bounded log likelihood ratios (...)."""
        return (self.scale * scores + self.offset).clamp(MOST_AGAINST, MOST_FOR)

    def start(self, num_streams: int) -> dict[str, Tensor]:
        """Return what B streams remember before their first frames: zeros, (B, ...) each."""
        device = self.scale.device
        return {
            "sound": torch.zeros(num_streams, self.num_samples, dtype=torch.int16, device=device),
            "unheard": torch.zeros(num_streams, dtype=torch.int64, device=device),
            "heard": torch.zeros(num_streams, device=device),
        }

    def advance(
        self, sounds: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what is heard at every frame, and the next state.

        Every `every_frames` frames the last `num_samples` samples are heard; between, the answer
        stays. Before a stream began there was silence.

        Args:
            sounds: int16 (B, T * samples_a_frame), those of T frames.
            state: as `start` or the call before gave it; it may hold more.

        Returns:
            Log likelihood ratios (B, T), and the next state.
        """
        unheard, heard, size = state["unheard"], state["heard"], self.samples_a_frame
        past = torch.cat([state["sound"], sounds], dim=1)
        due = []
        for _ in range(sounds.shape[1] // size):
            due.append(unheard == self.every_frames - 1)
            unheard = (unheard + 1) % self.every_frames
        is_due = torch.stack(due, dim=1)
        # At once, since many windows cost less together than one by one.
        windows = past.unfold(1, self.num_samples, size)[:, 1:]
        new = self._listen(windows.flatten(0, 1), is_due.flatten()).unflatten(0, is_due.shape)
        found = []
        for number, one in enumerate(due):
            heard = torch.where(one, new[:, number], heard)
            found.append(heard)
        after = {"sound": past[:, sounds.shape[1] :], "unheard": unheard, "heard": heard}
        return torch.stack(found, dim=1), after

    def _listen(self, sounds: Tensor, is_due: Tensor) -> Tensor:
        """Log likelihood ratios (B,) of what is due, zeros for the rest."""
        if torch.compiler.is_compiling():
            # An exported graph hears all streams or none.
            found: Tensor = torch.cond(is_due.any(), self.forward, self._nothing, (sounds,))
            return found
        heard = self._nothing(sounds)
        if is_due.any():
            heard[is_due] = self.forward(sounds[is_due])
        return heard

    def _nothing(self, sounds: Tensor) -> Tensor:
        return torch.zeros(sounds.shape[0], dtype=self.scale.dtype, device=sounds.device)


def is_usable(sounds: Tensor) -> Tensor:
    """Which of int16 (B, S) are more than next to nothing, as `told_by_level` has it: bool (B,)."""
    return (sounds.to(torch.float32) / FULL_SCALE).square().mean(1) >= QUIET_RMS**2
