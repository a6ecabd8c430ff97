"""Types of what training and evaluation are told."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from pipeline.config.ranges import between


@dataclass
class FlashConfig:
    """Holds what the network `flash` is made of."""

    width: int = between(1)
    """Hidden units."""


@dataclass
class HfConfig:
    """Tells how a backbone of Hugging Face transformers, the network `hf`, is trained."""

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
    flash: FlashConfig = MISSING
    hf: HfConfig = MISSING


@dataclass
class AlterConfig:
    """Tells how draws of training clips are altered, each by chance of its own; 0 switches off."""

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
    """Holds what training makes small."""

    label_smoothing: float = between(0, 0.9)
    origin: float = between(0)
    """Weight of the question real or fictional, beside the four classes."""
    discharge: float = between(0)
    """Weight of the question discharge or none, beside the four classes."""


@dataclass
class OriginConfig:
    """Tells how the answer on the origin is fitted to the features of an encoder."""

    penalty: float = between(1e-6)
    """What weights cost: half of it times the squared weights of standardised features joins the
    mean loss."""
    use_variants: bool = MISSING


@dataclass
class RenderedWeightConfig:
    """Holds what rendered clips count, where others count 1."""

    origin: float = between(0)


@dataclass
class MemoryConfig:
    """Tells how what a stream has shown is summed up."""

    origin_s: float = between(0)
    """Seconds after which evidence on the origin counts for 1/e; 0 for no memory at all."""
    lasting: float = between(0, 1)
    """Correlation of the evidence on the origin between clips of a recording."""
    discharge_s: float = between(0.01)
    """Seconds, as `origin_s`, after which evidence on the discharge counts for 1/e."""


@dataclass
class TrainConfig:
    """Keys of `conf/train.yaml`."""

    seed: int = between(0)
    num_threads: int = between(1)
    origin: OriginConfig = MISSING
    rendered_weight: RenderedWeightConfig = MISSING
    memory: MemoryConfig = MISSING
    most_seen: float = between(0)
    """Log odds that pictures can give for or against a discharge; 0 for no bound."""
    model: ModelConfig = MISSING
    use_variants: bool = MISSING
    source_balance: float = between(0, 1)
    bags: int = between(0)
    """Windows of a file with discharges and no times that may be taken to show one; 0 for none."""
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
    """Holds what alerts may cost; exactly one of the first two is given, the other is null."""

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
    """Keys of `conf/evaluate.yaml`."""

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
