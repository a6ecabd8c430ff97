"""What the origin is best learned from, and with which encoder: linear layers judged by file.

    python benchmarks/eyes.py ../shared/footage ../shared/footage_diverse

Needs the packed samples of `dvc repro`, and collections of real files that nothing of the project
made. Every row fits the layer of `pipeline/learn/origin.py` to some footage and judges it on files
whose sources it never saw: on each collection where it learned from the default draw alone, on
both together where sources of theirs joined it, each source left out in one of ten folds; "edited"
is each clip under one of the transforms of `pipeline/transforms` at its most severe. A file
is told by the mean log odds of its clips, at most twelve. Where anything is drawn, cells are means
over three seeds; brackets hold the 95 % interval over sources (bootstrap), of the first seed.
Choices that the project's configuration makes were made on rows in which the judged sources were
left out; a claim on fewer than 20 sources of either answer is marked by a star.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from runs import BOOTSTRAP, markdown
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from pipeline import app
from pipeline.config import EmbedApp, EncoderConfig, PicturesConfig, TrainApp
from pipeline.errors import UserError
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import Tombstones
from pipeline.learn import encoders
from pipeline.learn.encoders.views import features_of_views
from pipeline.learn.origin import Floats, OriginExamples, fit_layer, seen
from pipeline.store import video, workdir
from pipeline.store.manifest import read_manifest
from pipeline.store.packed_samples import Packed
from pipeline.store.shards import read_clip
from pipeline.transforms import registry

MOST_CLIPS = 12
SEEDS = (1, 2, 3)
NUM_FOLDS = 10
FEW_SOURCES = 20
PENALTIES = (2.0, 4.0, 8.0, 16.0)
RENDERED_WEIGHTS = (0.0, 0.1, 0.3, 1.0)
CAPTIONS = {
    "none": ("", ""),
    "the truth": ("BODYCAM FOOTAGE", "GAMEPLAY"),
    "a lie about what is fictional": ("", "BODYCAM FOOTAGE"),
    "a lie about what is real": ("GAMEPLAY", ""),
    "a lie about both": ("GAMEPLAY", "BODYCAM FOOTAGE"),
    "neither": ("HELLO THERE", "HELLO THERE"),
}
"""What stands below real pictures, and below fictional ones."""
WEIGHTS = (0.1, 0.3, 1.0, 3.0)
OWN_WEIGHT = 3.0
"""What a clip of a user's own few files counts beside one of the default draw."""


@dataclass(frozen=True)
class Footage:
    """Samples with their features."""

    values: Floats
    """(N, D)"""
    origins: NDArray[np.str_]
    sources: NDArray[np.str_]
    files: NDArray[np.str_]
    rendered: NDArray[np.bool_]
    weights: Floats
    """(N,): what each counts beside others."""

    @property
    def is_real(self) -> NDArray[np.bool_]:
        """(N,)"""
        return self.origins == "real"

    def take(self, rows: NDArray[np.bool_]) -> Footage:
        """Some of the samples."""
        return Footage(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def counted(self, weight: float, rendered: float | None = None) -> Footage:
        """The same, each counting so much, and rendered ones otherwise where that is given."""
        each = weight if rendered is None else np.where(self.rendered, rendered, weight)
        found = replace(self, weights=np.full(len(self.files), each))
        return found.take(found.weights > 0)


def joined(parts: Sequence[Footage]) -> Footage:
    """All samples of several."""
    return Footage(
        *(np.concatenate([getattr(one, n) for one in parts]) for n in Footage.__dataclass_fields__)
    )


@dataclass(frozen=True)
class Sample:
    """One clip, and what reads its frames."""

    sha256: str
    origin: str
    source: str
    file: str
    rendered: bool


Read = Callable[[int], video.Frames]
"""Gives the frames of a clip by its number."""


class Clips:
    """Clips whose features are kept in the work folder, by encoder."""

    def __init__(self, samples: Sequence[Sample], read: Read, work: Path) -> None:
        self.samples, self.read, self.work = samples, read, work

    def seen_by(self, pictures: PicturesConfig) -> Footage:
        """The clips with what an encoder sees in them."""
        code = workdir.code_sha256("learn/encoders")
        key = workdir.key(code, asdict(pictures), [one.sha256 for one in self.samples])
        path = self.work / "features" / f"{key}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            encoder = encoders.build(pictures)
            found = []
            with torch.inference_mode():
                for number in tqdm(range(len(self.samples)), pictures.name, mininterval=15):
                    frames = np.ascontiguousarray(self.read(number)[None])
                    clip = torch.from_numpy(frames)
                    found.append(
                        features_of_views(encoder, clip, pictures.every_frames).half().numpy()
                    )
            unfinished = path.with_suffix(".partial")
            with unfinished.open("wb") as file:
                np.save(file, np.concatenate(found))
            unfinished.rename(path)
        return Footage(
            seen(np.load(path)),
            np.array([one.origin for one in self.samples]),
            np.array([one.source for one in self.samples]),
            np.array([one.file for one in self.samples]),
            np.array([one.rendered for one in self.samples]),
            np.ones(len(self.samples)),
        )


def of_packed(packed: Packed, work: Path) -> Clips:
    """The train clips of the default draw, variants aside."""
    rows = packed.select(["train"], variants=False)
    index = packed.index.take(rows).to_pylist()
    samples = [
        Sample(r["sha256"], r["origin"], r["source"], r["path"], r["rendered"]) for r in index
    ]
    return Clips(samples, lambda number: packed.read(int(rows[number])).frames, work)


def of_collection(place: Path, work: Path) -> Clips:
    """At most `MOST_CLIPS` clips of every file, spread evenly, as evaluation decodes them."""
    cfg = app.compose("evaluate")
    lenient = replace(cfg.ingest, max_reject_rate=1.0)
    files = sorted((str(file), file.stat().st_size) for file in place.rglob("*") if file.is_file())
    key = workdir.key(files, (place / "index.csv").read_text())
    folder = work / "clips" / f"{place.name}-{key}"
    nothing = Tombstones(frozenset(), frozenset())
    if not (folder / "manifest.parquet").is_file():
        ingest([str(place)], str(folder), lenient, work, cfg.run, nothing, as_shown=True)
    by_file: dict[str, list[int]] = {}
    manifest = read_manifest(folder)
    for number, clip in enumerate(manifest):
        by_file.setdefault(clip.path, []).append(number)
    taken = [
        numbers[at]
        for numbers in by_file.values()
        for at in sorted(set(np.linspace(0, len(numbers) - 1, MOST_CLIPS).astype(int)))
    ]
    samples = [
        Sample(
            manifest[n].pixels_sha256,
            manifest[n].origin,
            manifest[n].source,
            f"{place.name}/{manifest[n].path}",
            manifest[n].rendered,
        )
        for n in taken
    ]
    return Clips(samples, lambda at: video.decode(read_clip(folder, manifest[taken[at]])), work)


def edited(clips: Clips) -> Clips:
    """The same clips, each under one edit at its most severe, drawn from what it shows."""

    def read(number: int) -> video.Frames:
        rng = np.random.default_rng(int(clips.samples[number].sha256[:8], 16))
        name = str(rng.choice(sorted(registry.TRANSFORMS)))
        return registry.apply(clips.read(number), [registry.draw_step(name, rng, 1.0)])

    samples = [replace(one, sha256=f"{one.sha256} edited") for one in clips.samples]
    return Clips(samples, read, clips.work)


def captioned(clips: Clips, real: str, fictional: str) -> Clips:
    """The same clips, each with words across its lower edge; none where they are empty."""

    def read(number: int) -> video.Frames:
        frames = np.ascontiguousarray(clips.read(number)).copy()
        words = real if clips.samples[number].origin == "real" else fictional
        if words:
            side = frames.shape[1]
            scale = 0.9 * side / cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)[0][0]
            for frame in frames:
                frame[int(0.86 * side) :] = 0
                place = (int(0.05 * side), int(0.96 * side))
                white = (255, 255, 255)
                cv2.putText(frame, words, place, cv2.FONT_HERSHEY_DUPLEX, scale, white, 1, 16)
        return frames

    samples = [replace(one, sha256=f"{one.sha256} {real}|{fictional}") for one in clips.samples]
    return Clips(samples, read, clips.work)


@cache
def configured() -> TrainApp:
    """What `conf/train.yaml` says."""
    cfg = app.compose("train")
    assert isinstance(cfg, TrainApp)
    return cfg


def from_(prefix: str, footage: Footage) -> NDArray[np.bool_]:
    """Whether the names of sources begin so, (N,)."""
    return np.char.startswith(footage.sources, prefix)


def fitted(train: Footage, judged: Footage, penalty: float) -> Floats:
    """Log odds of real of the judged samples, from a layer fitted to others."""
    examples = OriginExamples(train.values, train.is_real, train.sources, train.weights)
    odds = examples.odds(configured().source_balance)
    return fit_layer(train.values, train.is_real, odds, penalty).log_odds(judged.values)


def crossed(own: Footage, beside: Footage | None, penalty: float, seed: int) -> Floats:
    """Log odds of `own`, each source left out of the fit in one of `NUM_FOLDS` folds."""
    names = np.unique(own.sources)
    place = np.random.default_rng(seed).permutation(len(names)) % NUM_FOLDS
    folds = place[np.searchsorted(names, own.sources)]
    found = np.zeros(len(folds))
    for fold in np.unique(folds):
        out = folds == fold
        train = own.take(~out) if beside is None else joined([own.take(~out), beside])
        found[out] = fitted(train, own.take(out), penalty)
    return found


def with_few(
    own: Footage, beside: Footage, num_files: int, penalty: float, seed: int
) -> tuple[Floats, Footage]:
    """Log odds of the files whose sources gave none of `num_files` real files that joined."""
    rng = np.random.default_rng(seed)
    files = rng.permutation(np.unique(own.files[own.is_real]))[:num_files]
    drawn = np.isin(own.files, files)
    rest = own.take(~np.isin(own.sources, np.unique(own.sources[drawn])))
    train = joined([beside, own.take(drawn).counted(OWN_WEIGHT)])
    return fitted(train, rest, penalty), rest


@dataclass(frozen=True)
class Told:
    """How files are told: AUROC of all, of real against games and against films, and found."""

    everything: float
    games: float
    films: float
    found: float
    interval: tuple[float, float]
    """NaN where none was asked for."""
    few: bool


def over_seeds(log_odds: Callable[[int], Floats], judged: Footage) -> list[Told]:
    """Judge what each seed gives; the first has an interval."""
    return [told(log_odds(seed), judged, with_interval=seed == SEEDS[0]) for seed in SEEDS]


def told(log_odds: Floats, judged: Footage, with_interval: bool = True) -> Told:
    """Judge by file."""
    _, first, number = np.unique(judged.files, return_index=True, return_inverse=True)
    scores = np.bincount(number, log_odds) / np.bincount(number)
    origins, sources = judged.origins[first], judged.sources[first]
    real = origins == "real"

    def against(*others: str) -> float:
        rows = real | np.isin(origins, others)
        return float(roc_auc_score(real[rows], scores[rows])) if (~real[rows]).any() else np.nan

    clusters = np.unique(sources, return_inverse=True)[1]

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        values = [
            roc_auc_score(real, scores, sample_weight=row)
            if row[real].any() and row[~real].any()
            else np.nan
            for row in weights
        ]
        return {"auroc": np.array(values)}

    interval = BOOTSTRAP.intervals(statistics, clusters)["auroc"] if with_interval else None
    highest = np.sort(scores[~real])[::-1][int(0.01 * (~real).sum())]
    few = min(len(set(sources[real])), len(set(sources[~real]))) < FEW_SOURCES
    return Told(
        against(*set(origins)),
        against("game"),
        against("film"),
        float((scores[real] > highest).mean()),
        (np.nan, np.nan) if interval is None else (interval.low, interval.high),
        few,
    )


def cells(found: Sequence[Told]) -> list[str]:
    """Means over seeds as the cells of a row."""
    low, high = found[0].interval
    star = "*" if found[0].few else ""
    means = [
        float(np.nanmean([getattr(one, name) for one in found]))
        for name in ("everything", "games", "films", "found")
    ]
    return [
        f"{means[0]:.3f} ({low:.2f} to {high:.2f}){star}",
        f"{means[1]:.3f}",
        f"{means[2]:.3f}",
        f"{means[3]:.0%}",
    ]


COLUMNS = ("AUROC by file", "games", "films", "found at 1 %")


def table(title: str, rows: Iterable[tuple[str, str, Sequence[Told]]]) -> str:
    """One table in Markdown."""
    lines = [[what, where, *cells(found)] for what, where, found in rows]
    return f"### {title}\n\n{markdown(['learned from', 'judged on', *COLUMNS], lines)}\n"


def run(arguments: argparse.Namespace) -> None:
    train_cfg, embed_cfg = configured(), app.compose("embed")
    assert isinstance(embed_cfg, EmbedApp)
    torch.set_num_threads(1)
    work = Path(train_cfg.paths.work, "eyes")
    penalty = train_cfg.origin.penalty
    packed = Packed.open(arguments.packed or train_cfg.paths.packed, work)
    default = of_packed(packed, work)
    collections = {place.name: of_collection(place, work) for place in arguments.collections}

    sizes = [int(size) for size in arguments.sizes.split(",")]
    again_at = [int(size) for size in arguments.beside.split(",") if size]
    everies = [int(every) for every in arguments.every.split(",")]
    chosen = embed_cfg.pictures
    ways = [replace(chosen, size=size) for size in sizes]
    ways += [replace(chosen, every_frames=every) for every in everies]
    for rival in arguments.rival:
        name, size, every = rival.rsplit(":", 2)
        ways.append(PicturesConfig(name, int(size), [], int(every)))
    ways += [replace(chosen, more=[EncoderConfig(chosen.name, size)]) for size in again_at]
    ways = list({json.dumps(asdict(way)): way for way in [chosen, *ways]}.values())
    out: list[str] = []

    def note(text: str) -> None:
        out.append(text)
        print(text, flush=True)

    rows = []
    for way in ways:
        drawn = default.seen_by(way).counted(1.0, train_cfg.rendered_weight.origin)
        own = {name: clips.seen_by(way) for name, clips in collections.items()}
        both = joined(list(own.values()))
        seen_at = " and ".join(f"{one.name} at {one.size} px" for one in (way, *way.more))
        what = f"{seen_at}, a view every {way.every_frames} frames"
        for name, one in own.items():
            rows.append((what, name, [told(fitted(drawn, one, penalty), one)]))
        found = over_seeds(partial(crossed, both, drawn, penalty), both)
        rows.append((f"{what}, and both collections", "sources left out", found))
    note(table("Encoders, pixels and views", rows))

    every = default.seen_by(chosen)
    drawn = every.counted(1.0, train_cfg.rendered_weight.origin)
    own = {name: clips.seen_by(chosen) for name, clips in collections.items()}
    both, world = joined(list(own.values())), every.take(~every.rendered)
    edits = {f"{name}, edited": edited(one).seen_by(chosen) for name, one in collections.items()}
    rows = []
    for what, train in (
        ("what is not rendered: photographs, cameras and a game engine", world),
        ("the same without cameras", world.take(~from_("camera-", world))),
        ("the same without photographs", world.take(~from_("photograph-", world))),
        ("rendered clips alone", every.take(every.rendered)),
        *((f"rendered clips count {each:g}", every.counted(1, each)) for each in RENDERED_WEIGHTS),
    ):
        for name, one in {**own, **edits}.items():
            rows.append((what, name, [told(fitted(train, one, penalty), one)]))
    for what, beside in (
        ("both collections alone", None),
        ("and the same without cameras", world.take(~from_("camera-", world))),
        *(
            (f"and the draw, whose rendered clips count {each:g}", every.counted(1, each))
            for each in RENDERED_WEIGHTS
        ),
    ):
        found = over_seeds(partial(crossed, both, beside, penalty), both)
        rows.append((what, "sources left out", found))
    note(table("What the origin is learned from", rows))

    rows = []
    for what, words in CAPTIONS.items():
        for name, clips in collections.items():
            one = captioned(clips, *words).seen_by(chosen) if any(words) else own[name]
            rows.append((what, name, [told(fitted(drawn, one, penalty), one)]))
    note(table("Captions across the lower edge", rows))

    rows = []
    for one_penalty in PENALTIES:
        for name, one in own.items():
            found = [told(fitted(drawn, one, one_penalty), one)]
            rows.append((f"the draw, penalty {one_penalty:g}", name, found))
        found = over_seeds(partial(crossed, both, drawn, one_penalty), both)
        rows.append((f"and both collections, penalty {one_penalty:g}", "sources left out", found))
    note(table("Penalty", rows))

    rows = []
    for name, one in {**own, "both": both}.items():
        rows.append(("the draw, and nothing else", name, [told(fitted(drawn, one, penalty), one)]))
        for weight in WEIGHTS:
            found = over_seeds(partial(crossed, one.counted(weight), drawn, penalty), one)
            rows.append(
                (f"and its own clips, each {weight:g} times", f"{name}, sources left out", found)
            )
    note(table("Weight of a user's own clips", rows))

    rows = []
    places = np.unique(drawn.sources[from_("photograph-", drawn)])
    for count in sorted({2, 5, 10, len(places)}):
        for name, one in own.items():
            found = []
            for seed in SEEDS:
                kept = np.random.default_rng(seed).permutation(places)[:count]
                left = from_("photograph-", drawn) & ~np.isin(drawn.sources, kept)
                found.append(told(fitted(drawn.take(~left), one, penalty), one))
            rows.append((f"{count} places", name, found))
    note(table("Number of photographed places", rows))

    rows = []
    for count in (1, 2, 4, 8, 16):
        found = []
        for seed in SEEDS:
            log_odds, rest = with_few(both, drawn, count, penalty, seed)
            found.append(told(log_odds, rest))
        rows.append((f"the draw, and {count} real files", "sources of none of them", found))
    note(table("Number of own real files", rows))
    if arguments.out:
        arguments.out.write_text("\n".join(out))
        digest = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
        print(f"wrote {arguments.out}, {digest[:12]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("collections", nargs="+", type=Path, metavar="COLLECTION")
    parser.add_argument("--packed", help="packed samples, those of conf/paths.yaml if not given")
    parser.add_argument("--sizes", default="112,224", metavar="PIXELS[,PIXELS]")
    parser.add_argument(
        "--beside", default="", metavar="PIXELS[,PIXELS]", help="the encoder once more, at these"
    )
    parser.add_argument("--every", default="8", metavar="FRAMES[,FRAMES]")
    parser.add_argument(
        "--rival",
        action="append",
        default=[],
        metavar="NAME:PIXELS:FRAMES",
        help="another encoder, the pixels that it sees and the frames from view to view",
    )
    parser.add_argument("--out", type=Path, help="a file for the tables")
    try:
        run(parser.parse_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
