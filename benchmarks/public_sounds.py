"""Gunshots among public sounds, under a picture that shows nothing, by what a detector hears.

    python benchmarks/public_sounds.py --sounds /data/sounds --draws 3

`--sounds` names a folder with an `index.csv` (path, kind, source, discharge) of sounds that the
repository does not hold. Each becomes the track of a file: after a quiet start of drawn length, at
a drawn level, over a drawn hiss, through one of the rates that files have, and in seven of ten
through a drawn codec (AAC, Opus, MP3, AMR). A file is as sure as its surest clip. What is judged is
the score of firearms by the encoder of sound: of the sound as it is, of the sound as loud as it
goes, and the mean of both, which is what a detector hears.

Discharges of a source are judged against all other sounds, and the sounds of a source that has
none against all discharges. Intervals are over sounds, whose draws stay together.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from judge_sound import read
from numpy.typing import NDArray
from runs import BOOTSTRAP, markdown

from pipeline.assess import wording
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import Question, judge, tpr_key
from pipeline.engines.acoustics.render import resampled
from pipeline.learn.encoders.waves import Resampler
from pipeline.learn.encoders.yamnet import Yamnet
from pipeline.store.pcm import FULL_SCALE, Wave, samples_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.registry import SOUND_TRANSFORMS

CLIP = 25_600
"""Samples of a canonical clip at `SOUND_HZ`."""
RATES_HZ = (8_000, 16_000, 22_050, 32_000, 44_100, 48_000)
READ_HZ = 16_000
LEVELS_DB, HISS_DB, QUIET_S = (-36.0, -0.5), (-85.0, -60.0), (0.2, 2.5)
"""Of a file: its peak and its hiss re full scale, and how long nothing is heard at its start."""
CODED = 0.7
NUM_BINS = 10
"""Of a calibration error, which is not told."""
FORMS = ("as it is", "as loud as it goes", "mean of both")


@dataclass(frozen=True)
class Sound:
    """A public sound."""

    path: Path
    source: str
    is_discharge: bool


def listed(folder: Path) -> list[Sound]:
    """The sounds of a folder whose label is not unknown."""
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        return [
            Sound(folder / row["path"], row["source"], row["discharge"] == "1")
            for row in csv.DictReader(file)
            if row["discharge"] in ("0", "1")
        ]


def track(wave: Wave, rng: np.random.Generator) -> Samples:
    """The track of a file in which a sound (N,) at `READ_HZ` is heard, in whole clips."""
    wave = wave / max(float(np.abs(wave).max(initial=0.0)), 1e-9)
    quiet = np.zeros(round(rng.uniform(*QUIET_S) * READ_HZ))
    wave = np.concatenate([quiet, wave * 10 ** (rng.uniform(*LEVELS_DB) / 20), np.zeros(READ_HZ)])
    wave = wave + 10 ** (rng.uniform(*HISS_DB) / 20) * rng.standard_normal(len(wave))
    rate_hz = int(rng.choice(RATES_HZ))
    samples = samples_of(resampled(resampled(wave, READ_HZ, rate_hz), rate_hz, SOUND_HZ))
    if rng.random() < CODED:
        codec = SOUND_TRANSFORMS["sound_codec"]
        samples = codec.apply(samples, codec.draw(rng, rng.uniform()))
    return np.pad(samples, (0, -len(samples) % CLIP))


@torch.inference_mode()
def heard(encoder: Yamnet, samples: Samples) -> NDArray[np.float64]:
    """(3,): the score of firearms in the surest clip of a track, for each of `FORMS`, as logits."""
    clips = torch.from_numpy(samples.reshape(-1, CLIP)).float() / FULL_SCALE
    taken = Resampler(encoder.rate_hz)(clips)
    levels = (taken, encoder.louder(taken))
    scores = [encoder.firearms(encoder.head(encoder.embed(one))).amax() for one in levels]
    return np.array([float(one) for one in (*scores, encoder.firearms(encoder(taken)).amax())])


def row(name: str, question: Question) -> list[str]:
    """What is said of some sounds."""
    judged = judge(question, BOOTSTRAP, NUM_BINS)
    return [
        name,
        str(int(question.positive.sum())),
        str(int((~question.positive).sum())),
        *(told(judged[key]) for key in ("auroc", tpr_key(0.01))),
    ]


def told(found: Measured) -> str:
    """A number with its interval, or a dash."""
    if found.value is None:
        return wording.DASH
    interval = "" if found.low is None else f" ({found.low:.3f} to {found.high:.3f})"
    return f"{found.value:.3f}{interval}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=3, help="files that are made of each sound")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sounds = listed(arguments.sounds)
    encoder = Yamnet.published()
    scores = np.zeros((len(sounds), arguments.draws, len(FORMS)))
    for number, sound in enumerate(sounds):
        wave = read(sound.path)
        for draw in range(arguments.draws):
            rng = np.random.default_rng((arguments.seed, number, draw))
            scores[number, draw] = heard(encoder, track(wave, rng))
    of = np.repeat(np.arange(len(sounds)), arguments.draws)
    positive = np.array([sounds[number].is_discharge for number in of])
    sources = np.array([sounds[number].source for number in of])
    flat = scores.reshape(-1, len(FORMS))
    for number, form in enumerate(FORMS):
        question = Question(positive, 1 / (1 + np.exp(-flat[:, number])), of)
        rows = [row("all", question)]
        for source in np.unique(sources):
            mine = sources == source
            others = ~positive if positive[mine].any() else positive
            rows.append(row(str(source), question.among(mine | others)))
        columns = ["source", "discharges", "others", "AUROC", "found at 1 % false alarms"]
        print(f"\n{form}\n\n{markdown(columns, rows)}")


if __name__ == "__main__":
    main()
