"""Types of paths, of how to run, and of what the stages of data are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from pipeline.config.ranges import between, one_of


@dataclass
class Paths:
    """Folders relative to the project root; `dvc.yaml` reads the same file."""

    footage: str = MISSING
    synthetic: str = MISSING
    clips: str = MISSING
    splits: str = MISSING
    augmented: str = MISSING
    packed: str = MISSING
    features: str = MISSING
    probes: str = MISSING
    models: str = MISSING
    adapted: str = MISSING
    reports: str = MISSING
    collection_reports: str = MISSING
    compared_reports: str = MISSING
    banks: str = MISSING
    deployment: str = MISSING
    review: str = MISSING
    work: str = MISSING


@dataclass
class Run:
    """Tells how to run; never tracked. Executor and workers never change a byte of output.

    Another kind or number of processors, and `compile` and `channels_last`, add floats up in
    another order and give other, equally good weights.
    """

    executor: str = one_of("serial", "processes", "ray")
    num_workers: int = between(0)
    accelerator: str = one_of("cpu", "gpu", "cuda", "mps", "auto")
    devices: int = between(1)
    """Processes that train together, each on a device of its own."""
    compile: bool = MISSING
    channels_last: bool = MISSING
    checkpoint_every_s: float = between(0)
    """Time between checkpoints inside an epoch, which is what a kill loses at most."""
    cache_gb: float = between(0)
    """What is kept on disk, at most, of packed shards that come from object storage."""
    keep_gb: float = between(0)
    """What is kept on disk, at most, of finished work for later runs."""
    wandb: str = MISSING
    progress: bool = MISSING


@dataclass
class App:
    """Holds what every stage's application has beside its own keys."""

    own: ClassVar[type | None] = None
    """The config whose keys are the stage's own, which DVC tracks; None of a command."""
    paths: Paths = MISSING
    run: Run = MISSING


@dataclass
class EngineSettings:
    """Recordings of an engine: how many, and how long."""

    num_recordings: int = between(0)
    duration_s: float = between(0.1, 60)


@dataclass
class LongSettings:
    """Long recordings of an engine, minutes each, beside its short ones."""

    num_recordings: int = between(0)
    duration_s: float = between(1, 3600)
    rates_fps: list[float] = between(5, 120)


@dataclass
class RenderSettings(EngineSettings):
    """Draws of an engine, and the formats drawn from."""

    heights: list[int] = between(96, 1080)
    rates_fps: list[float] = between(5, 120)


@dataclass
class LongRenderSettings(RenderSettings):
    """Draws of an engine that films for minutes too."""

    long: LongSettings = MISSING


@dataclass
class GameSettings(RenderSettings):
    """Draws from an engine that plays a game in processes of its own."""

    max_attempts: int = between(1)
    """Draws a recording may need until what happened in it is positive or negative."""
    timeout_s: float = between(1)
    """Wall time of one process of the engine."""


@dataclass
class LongGameSettings(GameSettings):
    """Draws from an engine that plays its game for minutes too."""

    long: LongSettings = MISSING


@dataclass
class SynthesizeConfig:
    """Keys of `conf/synthesize.yaml`."""

    seed: int = between(0)
    max_drop_rate: float = between(0, 1)
    bodycam: LongRenderSettings = MISSING
    film: LongRenderSettings = MISSING
    twins: RenderSettings = MISSING
    location: LongRenderSettings = MISSING
    photographs: LongRenderSettings = MISSING
    packages: EngineSettings = MISSING
    vizdoom: LongGameSettings = MISSING
    openarena: LongGameSettings = MISSING


@dataclass
class ClipFormat:
    """The canonical clip: `num_frames` square frames of `size` pixels at `fps`."""

    num_frames: int = between(1)
    size: int = between(16)
    fps: float = between(1, 240)
    crf: int = between(0, 51)


@dataclass
class LookUpConfig:
    """Names of banks, by what becomes of a file that shows an item of one; it is marked always."""

    mark: list[str] = MISSING
    reject: list[str] = MISSING
    label: list[str] = MISSING


@dataclass
class IngestConfig:
    """Keys of `conf/ingest.yaml`."""

    collections: list[str] = MISSING
    clip: ClipFormat = MISSING
    stride_frames: int = between(1)
    sound: bool = MISSING
    """Whether clips are given the sound of their files."""
    banks: LookUpConfig = MISSING
    max_reject_rate: float = between(0, 1)
    max_pixels: int = between(1)
    max_duration_s: float = between(1)
    max_output_mb: int = between(1)
    max_memory_mb: int = between(512)
    max_cpu_s: float = between(1)
    timeout_s: float = between(1)
    block_files: int = between(1)
    shard_clips: int = between(1)


@dataclass
class SplitConfig:
    """Keys of `conf/split.yaml`."""

    seed: int = between(0)
    val_fraction: float = between(0, 1)
    test_fraction: float = between(0, 1)
    unseen_sources: list[str] = MISSING
    long_recordings: list[str] = MISSING
    """Patterns of `<collection>/<recording>`."""
    train_only: list[str] = MISSING
    """Names of recordings, as in `long_recordings`, that nothing is judged by."""
    max_distance: int = between(0, 127)
    """Most bits, of 256, in which hashes of two frames of near-duplicates differ."""
    max_single_distance: int = between(0, 127)
    max_half_distance: int = between(0, 127)
    find_parts: bool = MISSING
    """Look for cropped, turned and covered copies too; decodes every clip once."""
    num_tables: int = between(1)
    """Tables of the near-duplicate join among many clips: more find more, and take longer."""


@dataclass
class FamilyDraws:
    """Holds what a training variant gets of one family of transforms."""

    p: float = between(0, 1)
    """Chance that it gets any."""
    most: int = between(1)
    """It gets 1 to so many different ones then, each as likely as any other."""
    max_strength: float = between(0, 1)
    """Each at a strength drawn uniformly from 0 to this; 1 is severe."""


@dataclass
class AugmentConfig:
    """Keys of `conf/augment.yaml`."""

    seed: int = between(0)
    variants_per_clip: int = between(0)
    camera: FamilyDraws = MISSING
    sensor: FamilyDraws = MISSING
    overlays: FamilyDraws = MISSING
    edits: FamilyDraws = MISSING
    sound: FamilyDraws = MISSING
    test_variants: bool = MISSING
    """Edit the test clips too, the same in every run, to measure robustness by."""
    shard_clips: int = between(1)


@dataclass
class PackConfig:
    """Keys of `conf/pack.yaml`."""

    encoding: str = MISSING
    shard_samples: int = between(1)


@dataclass
class EncoderConfig:
    """A frozen encoder that sees the frames."""

    name: str = MISSING
    """`clip_vitb16`, `yamnet`, `hf:<folder or hub id>`, or `none`."""
    size: int = between(14, 2048)
    """Pixels of the side that it sees; encoders of Hugging Face may have a size of their own."""


@dataclass
class PicturesConfig(EncoderConfig):
    """The frozen encoders that see the frames: the first one, and what stands beside it."""

    more: list[EncoderConfig] = MISSING
    """Their features stand beside those of the first encoder, in this order."""
    every_frames: int = between(1)
    """Frames from one view to the next; an encoder of video takes a whole clip at once."""


@dataclass
class HearingConfig:
    """The frozen encoder that hears the sound."""

    name: str = MISSING
    """`yamnet`, `hf:<folder or hub id>` of a classifier that knows firearms, or `none`."""
    every_frames: int = between(1)
    """Frames of a stream from one hearing to the next."""


@dataclass
class EmbedConfig:
    """Keys of `conf/embed.yaml`."""

    pictures: PicturesConfig = MISSING
    sound: HearingConfig = MISSING
    variants: bool = MISSING
    """Whether variants of train clips are embedded too."""
    block_samples: int = between(1)
    """Samples a block of work, which is what a kill loses at most."""
    shard_samples: int = between(1)


@dataclass
class ProbeConfig:
    """Keys of `conf/probe.yaml`."""

    num_folds: int = between(2)
    num_rounds: int = between(1)
    border_px: int = between(2, 64)
