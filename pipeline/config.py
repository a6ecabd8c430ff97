"""Types of every configuration key; the values live in `conf/*.yaml`.

A field without a value there, a key without a field here, or a value of another type fails
before any work begins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from omegaconf import MISSING, DictConfig, Node, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from pipeline.errors import UserError

_IN_WORDS: dict[Any, str] = {int: "whole number", float: "number", str: "text"}


def between(low: float, high: float = float("inf"), default: Any = MISSING) -> Any:
    """A field whose value, or each of whose values, must be from `low` to `high`."""
    return field(default=default, metadata={"between": (low, high)})


def one_of(*choices: str) -> Any:
    """A field whose value must be one of `choices`."""
    return field(default=MISSING, metadata={"one_of": choices})


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
    work: str = MISSING


@dataclass
class Run:
    """How to run; never tracked. Executor and workers never change a byte of output.

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
class EngineSettings:
    """Recordings of an engine: how many, and how long."""

    num_recordings: int = between(0)
    duration_s: float = between(0.1, 60)


@dataclass
class RenderSettings(EngineSettings):
    """Draws of an engine, and the formats drawn from."""

    heights: list[int] = between(96, 1080)
    rates_fps: list[float] = between(5, 120)


@dataclass
class GameSettings(RenderSettings):
    """Draws from an engine that plays a game in processes of its own."""

    max_attempts: int = between(1)
    """Draws a recording may need until what happened in it is positive or negative."""
    timeout_s: float = between(1)
    """Wall time of one process of the engine."""


@dataclass
class SynthesizeConfig:
    """conf/synthesize.yaml"""

    seed: int = between(0)
    max_drop_rate: float = between(0, 1)
    bodycam: RenderSettings = MISSING
    film: RenderSettings = MISSING
    twins: RenderSettings = MISSING
    location: RenderSettings = MISSING
    photographs: RenderSettings = MISSING
    packages: EngineSettings = MISSING
    vizdoom: GameSettings = MISSING
    openarena: GameSettings = MISSING


@dataclass
class ClipFormat:
    """The canonical clip: `num_frames` square frames of `size` pixels at `fps`."""

    num_frames: int = between(1)
    size: int = between(16)
    fps: float = between(1, 240)
    crf: int = between(0, 51)


@dataclass
class IngestConfig:
    """conf/ingest.yaml"""

    collections: list[str] = MISSING
    clip: ClipFormat = MISSING
    stride_frames: int = between(1)
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
    """conf/split.yaml"""

    seed: int = between(0)
    val_fraction: float = between(0, 1)
    test_fraction: float = between(0, 1)
    unseen_sources: list[str] = MISSING
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
    """What a training variant gets of one family of transforms."""

    p: float = between(0, 1)
    """Chance that it gets any."""
    most: int = between(1)
    """It gets 1 to so many different ones then, each as likely as any other."""
    max_strength: float = between(0, 1)
    """Each at a strength drawn uniformly from 0 to this; 1 is severe."""


@dataclass
class AugmentConfig:
    """conf/augment.yaml"""

    seed: int = between(0)
    variants_per_clip: int = between(0)
    camera: FamilyDraws = MISSING
    sensor: FamilyDraws = MISSING
    overlays: FamilyDraws = MISSING
    edits: FamilyDraws = MISSING
    test_variants: bool = MISSING
    """Edit the test clips too, the same in every run, to measure robustness by."""
    shard_clips: int = between(1)


@dataclass
class PackConfig:
    """conf/pack.yaml"""

    encoding: str = MISSING
    shard_samples: int = between(1)


@dataclass
class EncoderConfig:
    """A frozen encoder that sees the frames."""

    name: str = MISSING
    """`dinov2_vits14`, `hf:<folder or hub id>`, or `none`."""
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
class EmbedConfig:
    """conf/embed.yaml"""

    pictures: PicturesConfig = MISSING
    variants: bool = MISSING
    """Whether variants of train clips are embedded too."""
    block_samples: int = between(1)
    """Samples a block of work, which is what a kill loses at most."""
    shard_samples: int = between(1)


@dataclass
class ProbeConfig:
    """conf/probe.yaml"""

    num_folds: int = between(2)
    num_rounds: int = between(1)
    border_px: int = between(2, 64)


@dataclass
class CausalConfig:
    """What the network `causal` is made of."""

    widths: list[int] = between(1)
    """Channels of the stem, then of each layer."""
    dilations: list[int] = between(1)
    """Frames between the taps in time of each layer."""


@dataclass
class FrameConfig:
    """What the network `frame` is made of."""

    widths: list[int] = between(1)
    """Channels of the stem, then of each layer."""


@dataclass
class HfConfig:
    """How a backbone of Hugging Face transformers, the network `hf`, is trained."""

    freeze: bool = MISSING
    """Only what its checkpoint lacks learns, and the head."""
    layer_decay: float = between(0.01, 1)
    """Learning rate of each layer as a share of that of the layer above it."""
    lora_rank: int = between(0)
    """Rank of the adapters that learn in place of the backbone's weights; 0 for none."""


@dataclass
class ModelConfig:
    """Which network learns from pixels, and a section for each that has settings of its own."""

    name: str = MISSING
    """A name of `networks.NETWORKS`, `hf:<folder or hub id>`, or `module:factory` of your own."""
    dropout: float = between(0, 0.95)
    """Share of features that training drops before the head."""
    causal: CausalConfig = MISSING
    frame: FrameConfig = MISSING
    hf: HfConfig = MISSING


@dataclass
class AlterConfig:
    """How draws of training clips are altered, each by chance of its own; 0 switches off."""

    mirrored: bool = MISSING
    """Whether half of the training clips are mirrored left to right."""
    shift_px: int = between(0)
    """Most pixels that a clip moves along either axis; its edge is repeated."""
    warped: float = between(0, 1)
    """Share of training clips that are turned and zoomed, which smooths noise."""
    rotation_deg: float = between(0, 45)
    zoom: float = between(0, 0.9)
    """Largest relative change of size."""
    jitter: float = between(0, 1)
    """Largest relative change of brightness and of contrast; a quarter of it of each colour."""
    gamma: float = between(0, 2)
    """Largest logarithm of the exponent of a tone curve."""
    noise: float = between(0, 64)
    """Largest standard deviation, in grey levels, of noise that differs in every frame."""


@dataclass
class LossConfig:
    """What training makes small."""

    label_smoothing: float = between(0, 0.9)
    origin: float = between(0)
    """Weight of the question real or fictional, beside the four classes."""
    discharge: float = between(0)
    """Weight of the question discharge or none, beside the four classes."""


@dataclass
class OriginConfig:
    """How the answer on the origin is fitted to the features of an encoder."""

    penalty: float = between(1e-6)
    """Half of it times the squared weights of standardised features joins the mean loss."""
    use_variants: bool = MISSING


@dataclass
class RenderedWeightConfig:
    """What rendered clips count, where others count 1."""

    origin: float = between(0)


@dataclass
class TrainConfig:
    """conf/train.yaml"""

    seed: int = between(0)
    num_threads: int = between(1)
    origin: OriginConfig = MISSING
    rendered_weight: RenderedWeightConfig = MISSING
    model: ModelConfig = MISSING
    use_variants: bool = MISSING
    source_balance: float = between(0, 1)
    alter: AlterConfig = MISSING
    num_epochs: int = between(1)
    batch_size: int = between(1)
    """Samples of a forward pass, over all devices together."""
    accumulate: int = between(1)
    """Batches behind each step of the optimiser."""
    precision: str = MISSING
    lr: float = between(0)
    warmup_fraction: float = between(0, 1)
    weight_decay: float = between(0)
    gradient_clip: float = between(0)
    loss: LossConfig = MISSING
    patience: int = between(0)
    """Epochs without a better one after which training stops; 0 for never."""
    max_fpr: float = between(1e-6, 1)


@dataclass
class OperatingConfig:
    """What alerts may cost; exactly one of the first two is given, the other is null."""

    false_alerts_per_1000_h: float | None = between(0)
    """Per 1,000 hours of one stream without real gunfire."""
    reviewer_minutes_per_day: float | None = between(0)
    """On false alerts, over all streams."""
    streams: int = between(1)
    """Watched at the same time, all day."""
    minutes_per_alert: float = between(0.01)
    """What a reviewer takes for one alert."""
    refractory_s: float = between(0)
    """An alert covers what follows in its stream for so long."""


@dataclass
class EvaluateConfig:
    """conf/evaluate.yaml"""

    splits: list[str] = MISSING
    suites: list[str] = MISSING
    batch_size: int = between(1)
    num_threads: int = between(1)
    num_bootstrap: int = between(1)
    confidence: float = between(0.01, 0.9999)
    seed: int = between(0)
    num_bins: int = between(2)
    num_mistakes: int = between(0)
    previews: str = MISSING
    operating: OperatingConfig = MISSING
    factory: str | None = MISSING
    """`module:factory` of your own network, whose code may run to load the weights."""


@dataclass
class App:
    """What every stage's application has beside its own keys."""

    own: ClassVar[type | None] = None
    """The config whose keys are the stage's own, which DVC tracks; None of a command."""
    paths: Paths = MISSING
    run: Run = MISSING


@dataclass
class SynthesizeApp(SynthesizeConfig, App):
    """`python -m pipeline synthesize`"""

    own = SynthesizeConfig


@dataclass
class IngestApp(IngestConfig, App):
    """`python -m pipeline ingest`"""

    own = IngestConfig


@dataclass
class SplitApp(SplitConfig, App):
    """`python -m pipeline split`"""

    own = SplitConfig


@dataclass
class AugmentApp(AugmentConfig, App):
    """`python -m pipeline augment`"""

    own = AugmentConfig


@dataclass
class PackApp(PackConfig, App):
    """`python -m pipeline pack`"""

    own = PackConfig


@dataclass
class EmbedApp(EmbedConfig, App):
    """`python -m pipeline embed`"""

    own = EmbedConfig


@dataclass
class ProbeApp(ProbeConfig, App):
    """`python -m pipeline probe`"""

    own = ProbeConfig


@dataclass
class TrainApp(TrainConfig, App):
    """`python train.py`"""

    own = TrainConfig


@dataclass
class EvaluateApp(EvaluateConfig, App):
    """`python evaluate.py`"""

    own = EvaluateConfig
    ingest: IngestConfig = MISSING
    """How a collection becomes canonical clips."""
    collection: str | None = None
    """A folder with an index.csv to score instead of the packed splits.

    On the command line only: its report is no output that DVC tracks.
    """
    against: str | None = None
    """Another model to set beside this one: a folder with weights, or a revision of git.

    On the command line only, as `collection` is.
    """


STAGES: dict[str, type[App]] = {
    "synthesize": SynthesizeApp,
    "ingest": IngestApp,
    "split": SplitApp,
    "augment": AugmentApp,
    "pack": PackApp,
    "embed": EmbedApp,
    "probe": ProbeApp,
    "train": TrainApp,
    "evaluate": EvaluateApp,
}


@dataclass
class CompareApp(App):
    """`python -m pipeline compare`"""

    wandb: str | None = None
    """A folder with runs of W&B to compare instead of DVC experiments."""
    metrics: list[str] = field(default_factory=list)
    """Names, or patterns such as `test.*`; without any, those of models/ and reports/."""
    over: list[str] = field(default_factory=lambda: ["train.seed"])
    """Parameters that make no row of their own."""
    confidence: float = between(0.01, 0.9999, default=0.95)
    format: str = "table"


@dataclass
class ExportApp(App):
    """`python -m pipeline export`"""

    out: str | None = None
    """Folder to write; without one, a folder for the model in `onnx` of the work folder."""
    factory: str | None = None
    """`module:factory` of your own network, whose code may run to load the weights."""


@dataclass
class AdaptApp(App):
    """`python -m pipeline adapt`"""

    ingest: IngestConfig = MISSING
    """How the collection becomes canonical clips."""
    weight: float = between(1e-3, 1e3, default=3.0)
    """What each of its clips counts for the origin, where those of training count 1."""
    clips_per_file: int = between(1, default=8)
    """Most clips of a file that are learned from and judged, spread evenly over it."""
    num_draws: int = between(1, default=5)
    """Draws of files behind each point of the learning curve."""
    seed: int = between(0, default=0)
    """Seed of these draws; the weights do not depend on it."""
    factory: str | None = None
    """`module:factory` of your own network, whose code may run to load the weights."""


@dataclass
class JoinApp(App):
    """`python -m pipeline join`"""

    out: str | None = None
    """Folder to write."""
    factory: str | None = None
    """`module:factory` of your own network, whose code may run to load the weights."""


COMMANDS: dict[str, type[App]] = {
    "adapt": AdaptApp,
    "compare": CompareApp,
    "export": ExportApp,
    "join": JoinApp,
}
"""Commands that have keys of their own."""


def tracked(cfg: App) -> dict[str, Any]:
    """The stage's own keys, without `paths`, `run` and what other stages own."""
    assert cfg.own is not None
    values = asdict(cfg)
    return {f.name: values[f.name] for f in fields(cfg.own)}


def to_dataclass(config: DictConfig, kind: type[App]) -> App:
    """Turn a composed config into `kind`; reports every missing or impossible value at once."""
    keys = [f.name for f in fields(kind)]
    if wrong := list(_unreadable(config, keys)):
        raise UserError(f"configuration: {'; '.join(wrong)}")
    missing = sorted(key for key in OmegaConf.missing_keys(config) if key.split(".")[0] in keys)
    if missing:
        raise UserError(
            f"configuration: no value for {', '.join(missing)}; set it in conf/ or as key=value"
        )
    composed = OmegaConf.to_object(config)
    app = kind(**{key: getattr(composed, key) for key in keys})
    wrong = [f"{_origin(config, key, value)} {must}" for key, value, must in _impossible(app)]
    if wrong:
        raise UserError(f"configuration: {'; '.join(wrong)}")
    return app


def _unreadable(config: DictConfig, keys: list[str]) -> Iterator[str]:
    """What is said of values that are no values of their type, most likely of the environment."""
    nodes = [(key, config) for key in keys]
    for key, parent in nodes:
        name = key.rpartition(".")[2]
        try:
            value = parent[name]
        except MissingMandatoryValue:
            continue
        except OmegaConfBaseException:
            node = parent._get_node(name)
            kind = node._metadata.ref_type if isinstance(node, Node) else None
            what = _IN_WORDS.get(kind, "value")
            yield f"{_origin(config, key)} is no {what}; give one, or unset it"
        else:
            if isinstance(value, DictConfig):
                nodes += [(f"{key}.{inner!s}", value) for inner in value]


def _origin(config: DictConfig, key: str, value: Any = None) -> str:
    """A key with its value, or the environment variable that gave it."""
    parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
    node = parent._get_node(key.rpartition(".")[2])
    raw: Any = None if node is None else node._value()
    found = re.search(r"\$\{oc\.env:(\w+)", str(raw))
    if found and found[1] in os.environ:
        return f"{found[1]}={os.environ[found[1]]} ({key})"
    return f"{key}={value if value is not None else raw}"


def _impossible(values: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Keys whose value is out of range, with what it must be."""
    for f in fields(values):
        value, key = getattr(values, f.name), f"{prefix}{f.name}"
        if is_dataclass(value):
            yield from _impossible(value, f"{key}.")
        elif isinstance(value, list) and any(is_dataclass(one) for one in value):
            for number, one in enumerate(value):
                yield from _impossible(one, f"{key}[{number}].")
        elif "one_of" in f.metadata:
            if value not in f.metadata["one_of"]:
                yield key, value, f"must be one of {', '.join(f.metadata['one_of'])}"
        elif "between" in f.metadata:
            low, high = f.metadata["between"]
            for one in value if isinstance(value, list) else [value]:
                if one is not None and not low <= one <= high:
                    most = "" if high == float("inf") else f" and at most {high:g}"
                    yield key, one, f"must be at least {low:g}{most}"
