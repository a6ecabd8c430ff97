"""Types of every configuration key; the values live in `conf/*.yaml`.

A field without a value there, a key without a field here, or a value of another type fails
before any work begins.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from pipeline.config.copies import BankApp, ExchangeApp, MatchApp
from pipeline.config.data import (
    App,
    AugmentConfig,
    ClipFormat,
    EmbedConfig,
    EncoderConfig,
    EngineSettings,
    FamilyDraws,
    GameSettings,
    IngestConfig,
    LongGameSettings,
    LongRenderSettings,
    LongSettings,
    LookUpConfig,
    PackConfig,
    Paths,
    PicturesConfig,
    ProbeConfig,
    RenderSettings,
    Run,
    SplitConfig,
    SynthesizeConfig,
)
from pipeline.config.detector import (
    AlterConfig,
    EvaluateConfig,
    HfConfig,
    LossConfig,
    MemoryConfig,
    ModelConfig,
    OperatingConfig,
    OriginConfig,
    RenderedWeightConfig,
    TrainConfig,
)
from pipeline.config.fetching import FetchConfig, HostsConfig
from pipeline.config.ranges import between, one_of
from pipeline.config.review import QueueConfig, ReviewApp
from pipeline.config.scoring import DetectorConfig, LoadConfig, ScoreConfig


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
    train: TrainConfig = MISSING
    """What training reads."""


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
    """Confidence of intervals."""
    format: str = "table"
    """How they are printed: `table`, `csv` or `markdown`."""


@dataclass
class ExportApp(LoadConfig, App):
    """`python -m pipeline export`"""

    out: str | None = None
    """Folder to write; without one, a folder for the model in `onnx` of the work folder."""


@dataclass
class AdaptApp(LoadConfig, App):
    """`python -m pipeline adapt`"""

    ingest: IngestConfig = MISSING
    """How the collection becomes canonical clips."""
    weight: float = between(1e-3, 1e3, default=0.1)
    """What each clip of the collection counts for the origin; one of training counts 1."""
    clips_per_file: int = between(1, default=8)
    """Most clips of a file that are learned from and judged, spread evenly over it."""
    num_draws: int = between(1, default=5)
    """Draws of files behind each point of the learning curve."""
    seed: int = between(0, default=0)
    """Seed of these draws; the weights do not depend on it."""


@dataclass
class JoinApp(LoadConfig, App):
    """`python -m pipeline join`"""

    out: str | None = None
    """Folder to write."""


@dataclass
class WatchApp(DetectorConfig, HostsConfig, App):
    """`python -m pipeline watch`"""

    ingest: IngestConfig = MISSING
    """What a picture, and the process that decodes, may cost."""
    replay: bool = False
    """Whether every clip of a file is answered, however long that takes; else a file is played as
    if it came from a camera, and what the machine is too slow for is dropped."""
    speed: str = "1"
    """With replay, at how many times its own pace a file is played, or `max`."""
    threshold: float | None = between(0.0001, 2, default=None)
    """Score at which an alert opens; without one, the operating point that evaluation chose."""
    refractory_s: float = between(0, default=60.0)
    """How long an alert covers what follows, where `threshold` is given."""
    timeout_s: float = between(0.5, 600, default=15.0)
    """A stream is lost once nothing came of it for so long."""
    end_after_s: float = between(0, default=60.0)
    """A stream that is lost has ended once nothing came of it for so long."""
    silent_after_s: float = between(0, default=10.0)
    """How long a stream that had sound is without before that is told."""
    max_segment_mb: float = between(0.1, 1000, default=32.0)
    """Most megabytes of a segment of HLS."""
    max_waiting_clips: int = between(1, 1000, default=32)
    """Clips of a stream that wait for the detector, at most; the oldest are dropped."""
    max_wait_s: float = between(0.5, 600, default=5.0)
    """How long a clip may wait for the detector, and what has come to be decoded; beyond it fewer
    clips of each stream are answered, and where that is not enough fewer streams are watched. What
    has waited three times as long is dropped."""
    batch_size: int = between(1, default=32)
    """Streams that are asked about together, at most."""
    groups: int | None = between(1, default=None)
    """With `run.executor=ray`, groups of streams, each a process on a node; without it one for
    every two processors of the cluster."""
    webhook: str | None = None
    """Address of a receiver of events, signed with DISCERN_WEBHOOK_SECRET of the environment."""
    kafka: list[str] = field(default_factory=list)
    """Brokers of Kafka that events go to, host:port each; none where empty. Needs the extra
    `[kafka]`."""
    kafka_topic: str = "discern"
    """The topic that they go to."""
    kafka_settings: str | None = None
    """A file of settings of librdkafka, name=value a line, for TLS and passwords."""
    events: str | None = None
    """A file that every event is appended to, a line each."""
    shadow: bool = False
    """Whether events are marked as such, and written only; they go to no webhook and no Kafka."""
    release: float | None = between(0, 1, default=0.8)
    """Share of the threshold below which the level must be for an alert to close once its
    refractory time is over; `null` to close it then, as an evaluation does."""
    stills: bool = True
    """Whether an alert that opens shows three small, grey and blurred stills."""
    outbox: str | None = None
    """Folder where events wait for the webhook, and alerts for a decision; without one, `watch` of
    the work folder."""
    serve: bool = False
    """Whether a page shows streams and alerts, with metrics for Prometheus; needs the extra
    `[serve]`."""
    serve_host: str = "127.0.0.1"
    """Address of the page; another one than loopback needs DISCERN_SERVE_TOKEN in the
    environment."""
    serve_port: int = between(0, 65535, default=8765)
    """Port of the page; any that is free where 0."""
    banks: list[str] = field(default_factory=list)
    """Names of banks of known videos that streams are looked up in; none where empty."""
    past_hours: float = between(0, 168, default=0.0)
    """For so long hashes of what streams have shown are kept on the disk, and looked up in items
    that are added to these banks meanwhile; with 0 none are kept."""
    update_every_s: float = between(0, default=10.0)
    """From one update of an alert to the next, at least."""
    status_every_s: float = between(0.1, default=30.0)
    """From one sentence on all streams to the next."""


@dataclass
class ScoreApp(ScoreConfig, App):
    """`python -m pipeline score`"""

    ingest: IngestConfig = MISSING
    """How a file becomes canonical clips, and what it may cost."""


COMMANDS: dict[str, type[App]] = {
    "adapt": AdaptApp,
    "bank": BankApp,
    "exchange": ExchangeApp,
    "compare": CompareApp,
    "export": ExportApp,
    "join": JoinApp,
    "match": MatchApp,
    "review": ReviewApp,
    "score": ScoreApp,
    "watch": WatchApp,
}
"""Commands that have keys of their own."""


def tracked(cfg: App) -> dict[str, Any]:
    """The stage's own keys, without `paths`, `run` and what other stages own."""
    assert cfg.own is not None
    values = asdict(cfg)
    return {f.name: values[f.name] for f in fields(cfg.own)}
