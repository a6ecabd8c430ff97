from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import train
from pipeline import app
from pipeline.config import EmbedApp, TrainApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.batch import Batch
from pipeline.learn.checkpoints import PlainCheckpoints
from pipeline.learn.classifier import Classifier, judge
from pipeline.learn.networks.product import StreamingProductNet
from pipeline.learn.sampler import BalancedSampler
from pipeline.stages import embed
from pipeline.store.manifest import CLASSES, IS_DISCHARGE, IS_REAL
from pipeline.store.packed_samples import INDEX, Packed
from pipeline.system import interrupts
from tests.learn.encoders.tiny import write_checkpoint
from tests.learn.networks.nets import FRAMEWISE
from tests.learn.toy import write_toy
from tests.packing import write_no_features

TINY = [
    "num_threads=1",
    "num_epochs=4",
    "batch_size=8",
    "model.dropout=0.3",
    "alter.shift_px=2",
    "run.wandb=disabled",
    "run.progress=false",
]
# A checkpoint after every step.
EAGER = ["run.checkpoint_every_s=0"]
OUTPUTS = ["curves.csv", "metrics.json", "model.json", "model.safetensors", "stats.json"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy(tmp_path_factory.mktemp("data") / "packed")


def overrides(packed: Path | str, folder: Path, num_workers: int, *more: str) -> list[str]:
    paths = [f"paths.packed={packed}", f"paths.models={folder / 'models'}"]
    paths += [f"paths.features={write_no_features(folder / 'features')}"]
    work = [f"paths.work={folder / 'work'}", f"run.num_workers={num_workers}"]
    return [*TINY, *paths, *work, *more]


def fit(packed: Path | str, folder: Path, num_workers: int = 0, *more: str) -> Path:
    cfg = app.compose("train", *overrides(packed, folder, num_workers, *more))
    assert isinstance(cfg, TrainApp)
    train.run(cfg)
    return folder / "models"


def hashes(models: Path) -> dict[str, str]:
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in models.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(packed, tmp_path_factory.mktemp("undisturbed"))


def test_a_run_leaves_its_outputs_and_no_checkpoint(undisturbed: Path) -> None:
    assert sorted(hashes(undisturbed)) == OUTPUTS
    assert not list((undisturbed.parent / "work").rglob("*.ckpt"))
    curves = (undisturbed / "curves.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curves] == ["epoch", "0", "1", "2", "3"]


def test_the_weights_load_and_tell_their_data(undisturbed: Path, packed: Path) -> None:
    card = Detector.load(undisturbed).card.everything
    index = hashlib.sha256((packed / "index.parquet").read_bytes()).hexdigest()
    assert card["data"]["sha256"]["index.parquet"] == index
    assert {
        "source",
        "origin",
        "licence",
        "authority",
        "rendered",
        "train",
        "val",
        "origin_weight",
    } == set(card["data"]["footage"][0])
    assert card["encoders"] == []
    assert card["config"]["num_epochs"] == 4


def test_the_metrics_are_those_of_the_weights_that_are_kept(
    undisturbed: Path, packed: Path, tmp_path: Path
) -> None:
    detector, samples = Detector.load(undisturbed), Packed.open(str(packed), tmp_path)
    rows = samples.select(["val"], variants=False)
    clips = torch.from_numpy(np.stack([samples.read(int(row)).frames for row in rows]))
    with torch.no_grad():
        logits = detector.network(clips)
    labels = torch.arange(len(rows)) % len(CLASSES)
    found = json.loads((undisturbed / "metrics.json").read_text())
    expected = judge(logits, labels, 0.1)
    for name in ("val_loss", "val_accuracy", "val_auroc"):
        assert found[name] == pytest.approx(expected[name], abs=1e-4), name


@pytest.fixture(scope="module")
def embedded(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of two small encoders."""
    folder = tmp_path_factory.mktemp("embedded")
    other = write_checkpoint(folder / "other", seed=1)
    cfg = app.compose(
        "embed",
        f"pictures.name={write_checkpoint(folder / 'dino')}",
        "pictures.size=16",
        f"pictures.more=[{{name:'{other}',size:16}}]",
        "pictures.every_frames=4",
        *(f"paths.packed={packed}", f"paths.features={folder / 'features'}"),
        *(f"paths.work={folder / 'work'}", "run.executor=serial", "run.progress=false"),
    )
    assert isinstance(cfg, EmbedApp)
    embed.run(cfg)
    return folder / "features"


@pytest.fixture(scope="module")
def with_encoder(packed: Path, embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("origin")
    return fit(packed, folder, 0, f"paths.features={embedded}")


def test_where_features_are_another_part_answers_on_the_origin(with_encoder: Path) -> None:
    assert sorted(hashes(with_encoder)) == sorted([*OUTPUTS, "encoder.safetensors"])
    detector = Detector.load(with_encoder)
    card = detector.card.everything
    assert isinstance(detector.network, StreamingProductNet)
    assert card["architecture"]["discharge"]["name"] == "flash"
    assert card["architecture"]["origin"]["every_frames"] == 4
    assert card["temperature"] == 1.0
    clip, settings = detector.card.clip, {"origin_s": 30.0, "lasting": 0.5, "discharge_s": 0.3}
    assert card["memory"] == {"answer_s": clip.num_frames / clip.fps, **settings}
    assert [encoder.keys() for encoder in card["encoders"]] == [
        {"name", "origin", "licence", "sha256"}
    ] * 2
    assert {row["origin_weight"] for row in card["data"]["footage"]} == {1.0}


def test_both_answers_are_those_of_the_weights_that_are_kept(
    with_encoder: Path, packed: Path, tmp_path: Path
) -> None:
    detector, samples = Detector.load(with_encoder), Packed.open(str(packed), tmp_path)
    rows = samples.select(["val"], variants=False)
    clips = np.stack([samples.read(int(row)).frames for row in rows])
    found = detector.predict(clips)
    labels = torch.arange(len(rows)) % len(CLASSES)
    is_real, is_shooting = (np.array(truth)[labels] for truth in (IS_REAL, IS_DISCHARGE))
    metrics = json.loads((with_encoder / "metrics.json").read_text())
    p_real = found[:, np.array(IS_REAL)].sum(1)
    assert metrics["val_origin_auroc"] == pytest.approx(roc_auc_score(is_real, p_real), abs=0.02)
    assert metrics["val_origin_auroc"] > 0.9, "real is reddish"
    p_discharge = found[:, np.array(IS_DISCHARGE)].sum(1)
    expected = roc_auc_score(is_shooting, p_discharge)
    assert metrics["val_auroc"] == pytest.approx(expected, abs=1e-4)


def test_the_pixels_learn_the_discharge_alone_beside_an_encoder(
    with_encoder: Path, undisturbed: Path
) -> None:
    curves = [(models / "curves.csv").read_bytes() for models in (with_encoder, undisturbed)]
    assert curves[0] != curves[1]
    alone = np.genfromtxt(with_encoder / "curves.csv", delimiter=",", skip_header=1)
    # A question of two answers, where the classes are four, and two questions more.
    assert (
        alone[0, 1]
        < 1.2
        < np.genfromtxt(undisturbed / "curves.csv", delimiter=",", skip_header=1)[0, 1]
    )


def test_an_origin_that_cannot_be_learned_is_told_before_training(
    packed: Path, embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.learn.origin.origin_weight", lambda rendered, cfg: 0.0)
    with pytest.raises(UserError, match="no real footage to learn the origin from"):
        fit(packed, tmp_path, 0, f"paths.features={embedded}")
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_run_with_an_encoder_interrupted_ends_with_the_same_bytes(
    with_encoder: Path, packed: Path, embedded: Path, tmp_path: Path
) -> None:
    interrupt(packed, tmp_path, 5, f"paths.features={embedded}")
    assert hashes(fit(packed, tmp_path, 1, f"paths.features={embedded}")) == hashes(with_encoder)


def test_features_of_other_samples_or_none_at_all_are_named_with_the_remedy(
    embedded: Path, tmp_path: Path
) -> None:
    other = write_toy(tmp_path / "packed", num_train=40)
    with pytest.raises(UserError, match=r"not of the samples in .*run dvc repro embed"):
        fit(other, tmp_path, 0, f"paths.features={embedded}")
    with pytest.raises(UserError, match=r"nowhere.*encoder\.json: missing; run dvc repro embed"):
        fit(other, tmp_path, 0, f"paths.features={tmp_path / 'nowhere'}")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_neither_folder_nor_workers_change_a_byte(
    undisturbed: Path, packed: Path, tmp_path: Path, num_workers: int
) -> None:
    assert hashes(fit(packed, tmp_path, num_workers)) == hashes(undisturbed)


def test_a_run_killed_amid_an_epoch_ends_with_the_same_bytes(tmp_path: Path) -> None:
    packed = write_toy(tmp_path / "packed", num_train=160)
    command = [sys.executable, "train.py", *overrides(packed, tmp_path, 0, *EAGER)]
    process = subprocess.Popen(command, cwd=app.PROJECT)
    deadline = time.monotonic() + 300
    while not (saved := list(tmp_path.glob("work/train/*/last.ckpt"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < PlainCheckpoints().load_checkpoint(saved[0])["global_step"] < 20
    assert not (tmp_path / "models").exists()
    undisturbed = fit(packed, tmp_path / "undisturbed")
    assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


class Fault(Exception):
    pass


def fails_at_step(number: int, fault: Callable[[], object]) -> Callable[..., object]:
    """`Classifier.training_step` with a fault at its call of that number, from 1."""
    calls = count(1)
    sound = Classifier.training_step

    def training_step(self: Classifier, *arguments: Any) -> object:
        return fault() if next(calls) == number else sound(self, *arguments)

    return training_step


def break_off() -> None:
    raise Fault


def interrupt(packed: Path, folder: Path, number: int, *more: str) -> Path:
    """Begin a run that ends at its step of that number, and give the place of its checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", fails_at_step(number, break_off))
        with pytest.raises(Fault):
            fit(packed, folder, 0, *EAGER, *more)
    (checkpoint,) = folder.glob("work/train/*/last.ckpt")
    return checkpoint


@pytest.mark.parametrize(
    ("number", "num_workers"),
    [
        (3, 0),
        (6, 1),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((4, 2), (5, 0), (16, 0))),
    ],
)
def test_a_run_interrupted_anywhere_ends_with_the_same_bytes(
    undisturbed: Path, packed: Path, tmp_path: Path, number: int, num_workers: int
) -> None:
    interrupt(packed, tmp_path, number)
    assert hashes(fit(packed, tmp_path, num_workers)) == hashes(undisturbed)


@pytest.mark.parametrize(
    ("method", "number"), [("training_step", 3), ("validation_step", 1), ("validation_step", 4)]
)
def test_a_run_that_is_told_to_stop_keeps_a_checkpoint_and_goes_on(
    undisturbed: Path, packed: Path, tmp_path: Path, method: str, number: int
) -> None:
    calls, sound = count(1), getattr(Classifier, method)
    signals: list[int] = []

    def step(self: Classifier, *arguments: Any) -> object:
        signals.extend([signal.SIGTERM] * (next(calls) == number))
        return sound(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, method, step)
        patch.setattr(interrupts, "due", lambda: signals[0] if signals else None)
        with pytest.raises(interrupts.Interrupted):
            fit(packed, tmp_path)
    interrupts._state.received = None
    assert len(list(tmp_path.glob("work/train/*/last.ckpt"))) == 1
    assert not (tmp_path / "models").exists()
    assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "more"),
    [
        (signal.SIGINT, []),
        (signal.SIGHUP, ["run.devices=2"]),
        (signal.SIGTERM, ["run.num_workers=2"]),
    ],
)
def test_a_signal_ends_training_with_a_sentence_and_a_checkpoint(
    packed: Path, tmp_path: Path, number: signal.Signals, more: list[str]
) -> None:
    endless = ["num_epochs=1000", "run.checkpoint_every_s=3600"]
    command = [sys.executable, "train.py", *overrides(packed, tmp_path, 0, *endless, *more)]
    process = subprocess.Popen(
        command,
        cwd=app.PROJECT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    while not list(tmp_path.glob("work/train/*/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert re.search(rf"^train: stopped by {number.name}; .*last\.ckpt is kept; run", errors, re.M)
    assert "Traceback" not in errors
    assert not (tmp_path / "models").exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_what_is_learned_beside_the_weights_is_resumed_too(packed: Path, tmp_path: Path) -> None:
    more = ["accumulate=2", "precision=bf16-mixed", "num_epochs=2"]
    expected = fit(packed, tmp_path / "undisturbed", 0, *more)
    interrupt(packed, tmp_path, 4, *more)
    assert hashes(fit(packed, tmp_path, 0, *more)) == hashes(expected)


def test_a_checkpoint_is_no_older_than_asked(packed: Path, tmp_path: Path) -> None:
    checkpoint = interrupt(packed, tmp_path / "eager", 4)
    assert PlainCheckpoints().load_checkpoint(checkpoint)["global_step"] == 3
    with pytest.raises(ValueError, match="not enough values"):
        interrupt(packed, tmp_path / "calm", 4, "run.checkpoint_every_s=3600")


def test_a_run_that_fails_at_its_end_trains_no_epoch_again(
    undisturbed: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", fail)
        with pytest.raises(OSError, match="disk full"):
            fit(packed, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", fail)
        assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


def test_a_run_out_of_patience_stops_and_stays_so(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.learn.selection.ranking", lambda row: ("val_loss", -row["epoch"]))
    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", lambda *_, **__: break_off())
        with pytest.raises(Fault):
            fit(packed, tmp_path, 0, "patience=2")
    monkeypatch.setattr(Classifier, "training_step", lambda *_: break_off())
    curves = (fit(packed, tmp_path, 0, "patience=2") / "curves.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curves] == ["epoch", "0", "1", "2"]


def test_a_lack_of_memory_is_one_sentence_and_loses_nothing(
    undisturbed: Path, packed: Path, tmp_path: Path
) -> None:
    def ask_too_much() -> torch.Tensor:
        return torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", fails_at_step(6, ask_too_much))
        with pytest.raises(UserError, match=r"out of memory with batch_size=8 .*accumulate"):
            fit(packed, tmp_path, 0, *EAGER)
    assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


def test_a_loss_that_is_no_number_keeps_the_checkpoint_of_the_step_before(
    undisturbed: Path, packed: Path, tmp_path: Path
) -> None:
    calls, sound = count(1), Classifier.loss

    def loss(self: Classifier, batch: Batch) -> torch.Tensor:
        return sound(self, batch) * (math.nan if next(calls) == 6 else 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "loss", loss)
        with pytest.raises(UserError, match=r"loss became nan in epoch 1, by batch 1; lower lr"):
            fit(packed, tmp_path / "diverged", 0, *EAGER)
    (checkpoint,) = tmp_path.glob("diverged/work/train/*/last.ckpt")
    found = PlainCheckpoints().load_checkpoint(checkpoint)
    assert found["global_step"] == 5
    expected = PlainCheckpoints().load_checkpoint(interrupt(packed, tmp_path / "sound", 6))
    assert found["state_dict"].keys() == expected["state_dict"].keys()
    for name, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][name], value)
    assert hashes(fit(packed, tmp_path / "diverged")) == hashes(undisturbed)


def test_a_full_disk_is_one_sentence_and_keeps_the_last_checkpoint(
    undisturbed: Path, packed: Path, tmp_path: Path
) -> None:
    checkpoint = interrupt(packed, tmp_path, 6)
    before = checkpoint.read_bytes()
    checkpoint.with_suffix(".part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"last\.ckpt: .*No space left on device.*start again"):
        fit(packed, tmp_path, 0, *EAGER)
    assert checkpoint.read_bytes() == before
    assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


def test_a_full_disk_at_the_end_keeps_the_last_checkpoint(
    undisturbed: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", fail)
        with pytest.raises(UserError, match=r"model\.safetensors: no space left on the disk"):
            fit(packed, tmp_path)
    assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


def test_a_checkpoint_of_another_network_is_refused_and_kept(packed: Path, tmp_path: Path) -> None:
    checkpoint = interrupt(packed, tmp_path / "a", 3)
    other = interrupt(packed, tmp_path / "b", 3, f"model.name={FRAMEWISE}")
    shutil.copy(other, checkpoint)
    with pytest.raises(UserError, match=r"the checkpoint is of the network .*'own'.* remove"):
        fit(packed, tmp_path / "a")
    assert checkpoint.read_bytes() == other.read_bytes()


def test_a_changed_network_of_the_users_own_starts_anew(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "from tests.learn.networks.nets import Framewise\ndef make(clip):\n"
    code += "    return Framewise()\n"
    module = tmp_path / "changing_net.py"
    module.write_text(code)
    first = interrupt(packed, tmp_path / "run", 3, "model.name=changing_net:make")
    module.write_text(code + "# Another.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", fails_at_step(3, break_off))
        with pytest.raises(Fault):
            fit(packed, tmp_path / "run", 0, *EAGER, "model.name=changing_net:make")
    checkpoints = set((tmp_path / "run").glob("work/train/*/last.ckpt"))
    assert len(checkpoints - {first}) == 1


def test_a_checkpoint_that_holds_code_is_not_run(packed: Path, tmp_path: Path) -> None:
    checkpoint = interrupt(packed, tmp_path, 3)
    torch.save({"architecture": {}, "callbacks": Fault()}, checkpoint)
    with pytest.raises(UserError, match=r"last\.ckpt: holds more than numbers"):
        fit(packed, tmp_path)
    assert not (tmp_path / "models").exists()


def test_speed_is_told_and_not_written(
    packed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        fit(packed, tmp_path, 0, "num_epochs=1")
    (line,) = [text for text in caplog.messages if "samples/s" in text]
    assert re.fullmatch(
        r"train: epoch 0: \d+\.\d samples/s, \d+\.\d % of the time waiting for data", line
    )


def test_what_chose_the_best_epoch_is_told(
    packed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        fit(packed, tmp_path, 0, "num_epochs=1")
    (line,) = [text for text in caplog.messages if "is best by" in text]
    assert line.startswith("train: the best epoch is best by val_auroc, as the last epoch")
    assert line.endswith("and val has 4 and 12")


def curves(models: Path) -> NDArray[np.float64]:
    return np.genfromtxt(models / "curves.csv", delimiter=",", skip_header=1)


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(packed: Path, tmp_path: Path) -> None:
    # Adam blows rounding up at a high rate, and dropout is drawn by each process.
    more = [f"model.name={FRAMEWISE}", "lr=5e-4"]
    found = [curves(fit(packed, tmp_path / "one", 1, "run.devices=1", *more))]
    two = overrides(packed, tmp_path / "two", 1, "run.devices=2", *more)
    subprocess.run([sys.executable, "train.py", *two], cwd=app.PROJECT, check=True)
    found.append(curves(tmp_path / "two" / "models"))
    assert len(found[0]) == 4
    train_loss, val_loss = slice(1, 2), slice(2, 3)
    np.testing.assert_allclose(found[1][:, train_loss], found[0][:, train_loss], rtol=1e-4)
    np.testing.assert_allclose(found[1][:, val_loss], found[0][:, val_loss], rtol=1e-2)
    assert np.ptp(found[0][:, train_loss]) > 0.05


@pytest.mark.slow
def test_a_fault_of_two_processes_ends_both_with_a_sentence(packed: Path, tmp_path: Path) -> None:
    more = ["run.devices=2", "lr=1e30", "gradient_clip=0"]
    command = [sys.executable, "train.py", *overrides(packed, tmp_path, 0, *more)]
    done = subprocess.run(
        command, cwd=app.PROJECT, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert re.search(r"^train: the loss became (nan|inf) .* lower lr", done.stderr, re.M)


@pytest.mark.slow
def test_compiled_networks_follow_the_same_curve(packed: Path, tmp_path: Path) -> None:
    settings = ["num_epochs=2", f"model.name={FRAMEWISE}"]
    plain = fit(packed, tmp_path / "plain", 0, *settings)
    more = ["run.compile=true", "run.channels_last=true"]
    compiled = fit(packed, tmp_path / "compiled", 0, *settings, *more)
    np.testing.assert_allclose(curves(compiled), curves(plain), rtol=1e-3)
    detectors = [Detector.load(one, trusted_factory=FRAMEWISE) for one in (compiled, plain)]
    assert detectors[0].sha256 != detectors[1].sha256


def test_a_loss_that_is_not_finite_keeps_earlier_weights_and_outputs(
    packed: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "model.json").write_text("earlier")
    with pytest.raises(UserError, match=r"loss became (nan|inf).*lower lr"):
        fit(packed, tmp_path, 0, "lr=1e30", "gradient_clip=1e30")
    assert (models / "model.json").read_text() == "earlier"


def test_a_missing_packed_folder_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"index\.parquet: missing; run dvc repro pack"):
        fit(tmp_path / "nowhere", tmp_path)


def test_every_epoch_draws_anew(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = []

    class Spy(BalancedSampler):
        def draw(self) -> NDArray[np.int64]:
            epochs.append(self.epoch)
            return super().draw()

    monkeypatch.setattr("pipeline.learn.data.BalancedSampler", Spy)
    fit(packed, tmp_path)
    assert epochs == [0, 1, 2, 3]


def loss_after_learning(packed: Path, folder: Path) -> float:
    settings = ["lr=1e-2", "num_epochs=8", "alter.jitter=0.0", f"model.name={FRAMEWISE}"]
    models = fit(packed, folder, 0, *settings)
    return float(json.loads((models / "metrics.json").read_text())["val_loss"])


def test_true_labels_teach_and_labels_that_tell_nothing_do_not(tmp_path: Path) -> None:
    packed = write_toy(tmp_path / "packed", num_train=64, num_val=64)
    chance = math.log(len(CLASSES))
    assert loss_after_learning(packed, tmp_path / "true") < 0.6 * chance
    mix_train_labels(packed / INDEX)
    assert loss_after_learning(packed, tmp_path / "mixed") > 0.9 * chance


def mix_train_labels(path: Path) -> None:
    """Give what is of one class all classes alike.

    Shuffled, most of a class would now and then bear one label, which can be learned.
    """
    index = pq.read_table(path)
    order = np.arange(index.num_rows)
    train = order[np.array(index["split"]) == "train"]
    order[train] = train[(np.arange(train.size) // len(CLASSES)) % len(CLASSES)]
    for name in ("origin", "discharge"):
        place = index.schema.get_field_index(name)
        index = index.set_column(place, index.schema.field(name), index[name].take(order))
    pq.write_table(index, path)
