"""Types of every configuration key; the values live in `conf/*.yaml`.

A field without a value there, a key without a field here, or a value of another type fails
before any work begins.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from pipeline.errors import UserError


@dataclass
class Paths:
    """Folders relative to the project root; `dvc.yaml` reads the same file."""

    footage: str = MISSING
    synthetic: str = MISSING
    clips: str = MISSING
    splits: str = MISSING
    augmented: str = MISSING
    packed: str = MISSING
    models: str = MISSING
    reports: str = MISSING
    collection_reports: str = MISSING
    work: str = MISSING


@dataclass
class Run:
    """How to run; never tracked and never able to change a byte of output."""

    executor: str = MISSING
    num_workers: int = MISSING
    accelerator: str = MISSING
    wandb: str = MISSING
    progress: bool = MISSING


@dataclass
class VizdoomSettings:
    """Draws from the ViZDoom engine."""

    num_recordings: int = MISSING
    duration_s: float = MISSING
    max_attempts: int = MISSING
    """Draws a recording may need until its telemetry is positive or negative."""
    timeout_s: float = MISSING
    """Wall time of one process of the engine."""


@dataclass
class BodycamSettings:
    """Draws from the ray-traced body-camera renderer."""

    num_recordings: int = MISSING
    duration_s: float = MISSING
    width: int = MISSING
    height: int = MISSING
    game_share: float = MISSING


@dataclass
class SynthesizeConfig:
    """conf/synthesize.yaml"""

    seed: int = MISSING
    max_drop_rate: float = MISSING
    bodycam: BodycamSettings = MISSING
    vizdoom: VizdoomSettings = MISSING


@dataclass
class ClipFormat:
    """The canonical clip: `num_frames` square frames of `size` pixels at `fps`."""

    num_frames: int = MISSING
    size: int = MISSING
    fps: float = MISSING
    crf: int = MISSING


@dataclass
class IngestConfig:
    """conf/ingest.yaml"""

    collections: list[str] = MISSING
    clip: ClipFormat = MISSING
    stride_frames: int = MISSING
    max_reject_rate: float = MISSING
    max_pixels: int = MISSING
    max_duration_s: float = MISSING
    max_memory_mb: int = MISSING
    timeout_s: float = MISSING
    shard_clips: int = MISSING


@dataclass
class SplitConfig:
    """conf/split.yaml"""

    seed: int = MISSING
    val_fraction: float = MISSING
    test_fraction: float = MISSING
    unseen_sources: list[str] = MISSING


@dataclass
class CameraLook:
    """One draw a clip of what lens, exposure and motion do; each with probability `p`.

    Every other number is the largest value drawn: uniformly in ± it, or between it and 1 for
    `min_scale`.
    """

    p: float = MISSING
    distortion: float = MISSING
    rotation_deg: float = MISSING
    brightness: float = MISSING
    contrast: float = MISSING
    saturation: float = MISSING
    hue: float = MISSING
    gamma: float = MISSING
    defocus_sigma_px: float = MISSING
    motion_blur_px: int = MISSING
    min_scale: float = MISSING


@dataclass
class SensorLook:
    """Noise drawn anew for each frame, with probability `p`; the largest strengths."""

    p: float = MISSING
    gauss_std: float = MISSING
    iso_intensity: float = MISSING


@dataclass
class AugmentConfig:
    """conf/augment.yaml"""

    seed: int = MISSING
    variants_per_clip: int = MISSING
    camera: CameraLook = MISSING
    sensor: SensorLook = MISSING
    recompress_p: float = MISSING
    recompress_crf: list[int] = MISSING
    shard_clips: int = MISSING


@dataclass
class PackConfig:
    """conf/pack.yaml"""

    encoding: str = MISSING


@dataclass
class TrainConfig:
    """conf/train.yaml"""

    seed: int = MISSING
    num_threads: int = MISSING
    widths: list[int] = MISSING
    dilations: list[int] = MISSING
    dropout: float = MISSING
    use_variants: bool = MISSING
    source_balance: float = MISSING
    max_shift_px: int = MISSING
    jitter: float = MISSING
    num_epochs: int = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    warmup_fraction: float = MISSING
    weight_decay: float = MISSING
    label_smoothing: float = MISSING
    gradient_clip: float = MISSING
    max_fpr: float = MISSING


@dataclass
class EvaluateConfig:
    """conf/evaluate.yaml"""

    collection: str | None = MISSING
    splits: list[str] = MISSING
    batch_size: int = MISSING
    num_threads: int = MISSING
    num_bootstrap: int = MISSING
    confidence: float = MISSING
    seed: int = MISSING
    num_bins: int = MISSING
    num_mistakes: int = MISSING
    previews: str = MISSING


@dataclass
class App:
    """What every stage's application has beside its own keys."""

    paths: Paths = MISSING
    run: Run = MISSING


@dataclass
class SynthesizeApp(SynthesizeConfig, App):
    """`python -m pipeline synthesize`"""


@dataclass
class IngestApp(IngestConfig, App):
    """`python -m pipeline ingest`"""


@dataclass
class SplitApp(SplitConfig, App):
    """`python -m pipeline split`"""


@dataclass
class AugmentApp(AugmentConfig, App):
    """`python -m pipeline augment`"""


@dataclass
class PackApp(PackConfig, App):
    """`python -m pipeline pack`"""


@dataclass
class TrainApp(TrainConfig, App):
    """`python train.py`"""


@dataclass
class EvaluateApp(EvaluateConfig, App):
    """`python evaluate.py`; `ingest` is how a collection becomes canonical clips."""

    ingest: IngestConfig = MISSING


STAGES: dict[str, type[App]] = {
    "synthesize": SynthesizeApp,
    "ingest": IngestApp,
    "split": SplitApp,
    "augment": AugmentApp,
    "pack": PackApp,
    "train": TrainApp,
    "evaluate": EvaluateApp,
}


def tracked(cfg: App) -> dict[str, Any]:
    """The stage's own keys, without `paths`, `run` and what other stages own."""
    own = type(cfg).__mro__[1]
    values = asdict(cfg)
    return {f.name: values[f.name] for f in fields(own)}


def to_dataclass(config: DictConfig, kind: type[App]) -> App:
    """Turn a composed config into `kind`; reports every missing value at once."""
    keys = [f.name for f in fields(kind)]
    missing = sorted(key for key in OmegaConf.missing_keys(config) if key.split(".")[0] in keys)
    if missing:
        raise UserError(
            f"configuration: no value for {', '.join(missing)}; set it in conf/ or as key=value"
        )
    composed = OmegaConf.to_object(config)
    return kind(**{key: getattr(composed, key) for key in keys})
