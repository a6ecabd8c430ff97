from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.config import App, EncoderConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.encoders.base import Joined
from pipeline.learn.encoders.hf_sound_classifier import HfSoundClassifier
from pipeline.learn.encoders.views import features_of_views
from pipeline.learn.encoders.waves import Resampler, features_of_sounds
from pipeline.learn.encoders.yamnet import Yamnet
from pipeline.stages import embed
from pipeline.store import features, workdir
from pipeline.store.features import INDEX
from pipeline.store.packed_samples import INDEX_SCHEMA, Packed
from tests import ray_cluster
from tests.learn.encoders.tiny import Colours, write_checkpoint, write_ear
from tests.learn.toy import write_toy

TINY = ("pictures.size=16", "pictures.every_frames=4")


@pytest.fixture(autouse=True)
def _forget_encoders() -> None:
    embed._loaded.cache_clear()
    embed._hearing.cache_clear()


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_checkpoint(tmp_path_factory.mktemp("encoder") / "dino")


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> Colours:
    """An encoder in place of all that are asked for, which counts the frames that it sees."""
    made = Colours()
    monkeypatch.setattr(encoders, "build", lambda pictures: made)
    return made


def write_samples(folder: Path, num_train: int = 12) -> Path:
    """Samples of train, the first two of them variants, and six of val."""
    place = write_toy(folder, num_train=num_train, num_val=6)
    rows = pq.read_table(place / INDEX).to_pylist()
    for row in rows[:2]:
        row["variant"] = "{}"
    rows[-1]["split"] = "test"
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), place / INDEX)
    return place


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of one node with two processors, beside others of this machine."""
    with ray_cluster.running(num_cpus=2) as made:
        yield made


def outputs(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "features").iterdir()}


def test_samples_that_heads_learn_from_are_embedded_in_the_order_of_the_index(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    packed = Packed.open(write_samples(tmp_path / "packed"), tmp_path)
    embed.run(compose("embed", *TINY, "block_samples=4", "shard_samples=5"))
    table = pq.read_table(tmp_path / "features" / INDEX)
    ids = packed.index["sample_id"].to_pylist()
    assert table["sample_id"].to_pylist() == ids[2:17]
    assert table["shard"].to_pylist() == [f"features-0000{n // 5}.npy" for n in range(15)]
    assert table["row"].to_pylist() == [0, 1, 2, 3, 4] * 3
    found = features.read(str(tmp_path / "features"), packed)
    assert found is not None
    for row in (2, 9, 16):
        clip = torch.from_numpy(packed.read(row).frames[None])
        expected = features_of_views(Colours(), clip, 4)[0].half().numpy()
        assert np.array_equal(found.of(np.array([row]))[0], expected)
    stats = json.loads((tmp_path / "features" / "stats.json").read_text())
    assert stats == {"samples": {"embedded": 15, "sounds": 0}}


def test_sounds_are_embedded_where_there_are_any(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    folder = write_toy(tmp_path / "packed", num_train=4, num_val=3, heard=True)
    packed = Packed.open(folder, tmp_path)
    embed.run(compose("embed", *TINY, "shard_samples=2"))
    found = features.read(str(tmp_path / "features"), packed, features.SOUND)
    assert found is not None
    assert (found.row_of >= 0).tolist() == [False, True] * 3 + [False]
    rows = np.flatnonzero(found.row_of >= 0)
    sounds = torch.from_numpy(np.stack([packed.read(row).sound for row in rows]))
    expected = features_of_sounds(Yamnet.published(), Resampler(16_000), sounds).half().numpy()
    np.testing.assert_allclose(found.of(rows)[:, 0], expected, atol=0.02)
    assert found.card["provenance"] == Yamnet.published().provenance()
    stats = json.loads((tmp_path / "features" / "stats.json").read_text())
    assert stats == {"samples": {"embedded": 7, "sounds": 3}}
    # How often streams are heard changes no feature.
    embed.run(compose("embed", *TINY, "sound.every_frames=2"))
    assert workdir.OUTPUTS["embed"].stranger(tmp_path / "features") is None
    again = features.read(str(tmp_path / "features"), packed, features.SOUND)
    assert again is not None
    assert np.array_equal(again.values, found.values)
    embed.run(compose("embed", *TINY, "sound.name=none"))
    assert features.read(str(tmp_path / "features"), packed, features.SOUND) is None


def test_an_encoder_that_knows_no_gunshots_is_refused(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    with pytest.raises(UserError, match=r"sound\.name=clap is no encoder .* yamnet, hf:.* or none"):
        embed.run(compose("embed", *TINY, "sound.name=clap"))
    name = write_ear(tmp_path / "ear", labels=["Speech", "Music"])
    with pytest.raises(UserError, match=r"sound\.name=hf:.*/ear: .*none of firearms"):
        embed.run(compose("embed", *TINY, f"sound.name={name}"))
    assert not (tmp_path / "features").exists()


def test_a_classifier_of_transformers_hears_at_its_own_rate(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    folder = write_toy(tmp_path / "packed", num_train=4, num_val=3, heard=True)
    packed = Packed.open(folder, tmp_path)
    name = write_ear(tmp_path / "ear")
    embed.run(compose("embed", *TINY, f"sound.name={name}"))
    found = features.read(str(tmp_path / "features"), packed, features.SOUND)
    assert found is not None
    rows = np.flatnonzero(found.row_of >= 0)
    sounds = torch.from_numpy(np.stack([packed.read(row).sound for row in rows]))
    ear = HfSoundClassifier.from_checkpoint(name.removeprefix("hf:"))
    assert ear.rate_hz == 16_000
    expected = features_of_sounds(ear, Resampler(16_000), sounds).half().numpy()
    np.testing.assert_allclose(found.of(rows)[:, 0], expected, atol=2e-3)
    assert found.card["provenance"] == ear.provenance()
    # Other weights under its name are heard anew.
    write_ear(tmp_path / "ear", seed=1)
    embed._hearing.cache_clear()
    embed.run(compose("embed", *TINY, f"sound.name={name}"))
    again = features.read(str(tmp_path / "features"), packed, features.SOUND)
    assert again is not None
    assert np.abs(again.of(rows) - found.of(rows)).max() > 0.01


def test_variants_are_embedded_where_they_are_wanted(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    embed.run(compose("embed", *TINY, "variants=true"))
    assert pq.read_table(tmp_path / "features" / INDEX).num_rows == 17
    assert colours.num_seen == 17 * 2
    # Only they are new.
    embed.run(compose("embed", *TINY, "variants=false"))
    assert colours.num_seen == 17 * 2
    assert pq.read_table(tmp_path / "features" / INDEX).num_rows == 15


@pytest.mark.slow
def test_neither_workers_nor_blocks_change_a_byte(
    compose: Callable[..., App], encoder: str, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    found = []
    for more in (
        ("block_samples=32",),
        ("block_samples=1",),
        ("block_samples=4", "run.executor=processes", "run.num_workers=1"),
        ("block_samples=4", "run.executor=processes", "run.num_workers=2"),
    ):
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        embed.run(compose("embed", f"pictures.name={encoder}", *TINY, *more))
        found.append(outputs(tmp_path))
    assert found[0] == found[1] == found[2] == found[3]
    values = np.load(tmp_path / "features" / "features-00000.npy")
    assert values.shape == (15, 2, 32)
    assert values.std(0).max() > 0.01


@pytest.mark.ray
def test_a_cluster_changes_no_byte_and_goes_on_after_a_kill(
    compose: Callable[..., App],
    cluster: Any,
    encoder: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_toy(tmp_path / "packed", num_train=60, num_val=4, heard=True)
    settings = [f"pictures.name={encoder}", *TINY, "block_samples=1", "shard_samples=20"]
    embed.run(compose("embed", *settings))
    here = outputs(tmp_path)
    assert {"features-00003.npy", "sounds-00001.npy"} <= here.keys()
    shutil.rmtree(tmp_path / "features")
    shutil.rmtree(tmp_path / "work")
    on_cluster = [*settings, "run.executor=ray", "run.progress=false"]
    paths = [f"paths.{name}={tmp_path / name}" for name in ("packed", "features", "work")]
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "embed", *on_cluster, *paths],
        env=os.environ | {"RAY_ADDRESS": cluster.address},
        start_new_session=True,
    ) as killed:
        while killed.poll() is None and num_kept(tmp_path) < 4:
            time.sleep(0.01)
        os.killpg(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "features").exists()
    num_left = 64 - num_kept(tmp_path)
    assert 0 < num_left <= 64 - 4
    caplog.set_level(logging.INFO)
    embed.run(compose("embed", *on_cluster))
    assert f"embed: 64 samples, {num_left} of them new" in caplog.messages
    assert outputs(tmp_path) == here


def num_kept(folder: Path) -> int:
    """The number of samples whose features are kept."""
    kept = (folder / "work" / "kept" / "embed").glob("*/*")
    return sum(".partial" not in path.name for path in kept)


@pytest.mark.parametrize("size", [1, 4])
def test_the_size_of_blocks_changes_no_byte(
    compose: Callable[..., App], colours: Colours, tmp_path: Path, size: int
) -> None:
    write_samples(tmp_path / "packed")
    embed.run(compose("embed", *TINY))
    expected = outputs(tmp_path)
    shutil.rmtree(tmp_path / "features")
    shutil.rmtree(tmp_path / "work")
    embed.run(compose("embed", *TINY, f"block_samples={size}"))
    assert outputs(tmp_path) == expected


def test_finished_blocks_outlive_a_run_that_fails(
    compose: Callable[..., App],
    colours: Colours,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_samples(tmp_path / "packed")
    cfg = compose("embed", *TINY, "block_samples=4")
    embed.run(cfg)
    expected = outputs(tmp_path)
    shutil.rmtree(tmp_path / "features")
    shutil.rmtree(tmp_path / "work")
    sound, seen = Colours.forward, []

    def forward(self: Colours, taken: torch.Tensor) -> torch.Tensor:
        if len(seen) == 10:
            raise UserError("cut off")
        seen.append(taken)
        return sound(self, taken)

    with monkeypatch.context() as patch:
        patch.setattr(Colours, "forward", forward)
        with pytest.raises(UserError, match="cut off"):
            embed.run(cfg)
    assert not (tmp_path / "features").exists()
    colours.num_seen = 0
    embed.run(cfg)
    assert colours.num_seen == (15 - 8) * 2
    assert outputs(tmp_path) == expected


def test_samples_that_were_embedded_before_are_not_embedded_again(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    cfg = compose("embed", *TINY, "block_samples=4", "shard_samples=5")
    embed.run(cfg)
    before = outputs(tmp_path)
    colours.num_seen = 0
    embed.run(cfg)
    assert colours.num_seen == 0
    assert outputs(tmp_path) == before
    shutil.rmtree(tmp_path / "packed")
    packed = Packed.open(write_samples(tmp_path / "packed", num_train=15), tmp_path)
    known = set(Packed.open(tmp_path / "packed", tmp_path).index["sha256"].to_pylist())
    embed.run(cfg)
    fresh = pq.read_table(tmp_path / "features" / INDEX)
    old = pq.read_table(pa.BufferReader(before[INDEX]))["sha256"].to_pylist()
    num_new = len(set(fresh["sha256"].to_pylist()) - set(old))
    assert 0 < num_new < fresh.num_rows
    assert set(fresh["sha256"].to_pylist()) <= known
    assert colours.num_seen == num_new * 2
    found = features.read(str(tmp_path / "features"), packed)
    assert found is not None
    for row in range(2, packed.index.num_rows - 1):
        clip = torch.from_numpy(packed.read(row).frames[None])
        expected = features_of_views(Colours(), clip, 4)[0].half().numpy()
        assert np.array_equal(found.of(np.array([row]))[0], expected)


@pytest.mark.parametrize("change", ["pictures.every_frames=2", "pictures.size=28"])
def test_another_way_of_looking_embeds_anew(
    compose: Callable[..., App], colours: Colours, tmp_path: Path, change: str
) -> None:
    write_samples(tmp_path / "packed")
    embed.run(compose("embed", *TINY))
    colours.num_seen = 0
    embed.run(compose("embed", *TINY, change))
    assert colours.num_seen == 15 * (4 if "every" in change else 2)


def other_weights(folder: Path) -> None:
    write_checkpoint(folder, seed=1)


def other_preparation(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    prepared = json.loads(path.read_text())
    path.write_text(json.dumps(prepared | {"image_mean": [0.1, 0.2, 0.3]}))


@pytest.mark.parametrize("change", [other_weights, other_preparation])
def test_an_encoder_that_changed_under_its_name_embeds_anew(
    compose: Callable[..., App], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    write_samples(tmp_path / "packed")
    name = write_checkpoint(tmp_path / "dino")
    found = []
    for prepare in (lambda folder: None, change):
        prepare(tmp_path / "dino")
        embed._loaded.cache_clear()
        embed.run(compose("embed", f"pictures.name={name}", *TINY))
        found.append(outputs(tmp_path)["features-00000.npy"])
    assert found[0] != found[1]


def test_features_that_are_no_numbers_are_refused(
    compose: Callable[..., App], colours: Colours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_samples(tmp_path / "packed")
    seen = Colours.forward
    monkeypatch.setattr(Colours, "forward", lambda self, taken: 1e6 * seen(self, taken))
    with pytest.raises(UserError, match=r"name=clip_vitb16: features that are inf"):
        embed.run(compose("embed", *TINY))
    assert not (tmp_path / "features").exists()


def test_one_sample_that_changed_is_embedded_alone_and_all_comes_out_as_from_nothing(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    place = write_samples(tmp_path / "packed")
    cfg = compose("embed", *TINY, "block_samples=4", "shard_samples=6")
    embed.run(cfg)
    packed = Packed.open(place, tmp_path)
    changed, source = packed.at(5).pictures, packed.read(5).frames
    frames = 255 - source
    shard = place / changed.shard
    data = bytearray(shard.read_bytes())
    data[changed.offset : changed.offset + changed.size] = frames.tobytes()
    shard.write_bytes(data)
    rows = pq.read_table(place / INDEX).to_pylist()
    rows[5]["sha256"] = hashlib.sha256(frames.tobytes()).hexdigest()
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), place / INDEX)
    colours.num_seen = 0
    embed.run(cfg)
    assert colours.num_seen == 2
    found = outputs(tmp_path)
    shutil.rmtree(tmp_path / "work")
    embed.run(cfg)
    assert outputs(tmp_path) == found
    assert colours.num_seen == 2 + 15 * 2


def test_what_is_kept_and_damaged_is_embedded_anew(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    embed.run(compose("embed", *TINY))
    before = outputs(tmp_path)
    piece = min((tmp_path / "work" / "kept" / "embed").glob("*/*"))
    piece.write_bytes(piece.read_bytes()[:-1])
    shutil.rmtree(tmp_path / "features")
    colours.num_seen = 0
    embed.run(compose("embed", *TINY))
    assert outputs(tmp_path) == before
    assert colours.num_seen == 2


def test_earlier_features_that_are_damaged_are_written_again(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    embed.run(compose("embed", *TINY))
    before = outputs(tmp_path)
    for name in (INDEX, "encoder.json", "features-00000.npy"):
        (tmp_path / "features" / name).write_bytes(b"{}")
        embed.run(compose("embed", *TINY))
        assert outputs(tmp_path) == before


def test_a_step_that_does_not_divide_the_clip_is_refused(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    with pytest.raises(UserError, match=r"every_frames=3 does not .* 8 frames .* of 1, 2, 4, 8$"):
        embed.run(compose("embed", *TINY, "pictures.every_frames=3"))
    assert not (tmp_path / "features").exists()


def test_samples_without_train_and_val_are_refused(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    place = write_samples(tmp_path / "packed")
    rows = pq.read_table(place / INDEX).to_pylist()
    pq.write_table(
        pa.Table.from_pylist([row | {"split": "test"} for row in rows], INDEX_SCHEMA),
        place / INDEX,
    )
    with pytest.raises(UserError, match=r"packed: no clip in train or in val to embed"):
        embed.run(compose("embed", *TINY))


def test_features_that_differ_have_another_hash(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    packed = Packed.open(write_samples(tmp_path / "packed"), tmp_path)
    embed.run(compose("embed", *TINY))
    place = str(tmp_path / "features")
    before = features.read(place, packed)
    shard = tmp_path / "features" / "features-00000.npy"
    values = np.load(shard)
    values[0, 0, 0] += 1
    np.save(shard, values)
    with pytest.raises(UserError, match=r"features-00000\.npy: not the bytes"):
        features.read(place, packed)
    path = tmp_path / "features" / "encoder.json"
    told = json.loads(path.read_text()) | {"shards": {shard.name: workdir.file_sha256(shard)}}
    path.write_text(json.dumps(told))
    after = features.read(place, packed)
    assert before is not None
    assert after is not None
    assert after.sha256 != before.sha256


def test_the_card_says_which_encoder_and_how_it_looked(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    cfg: Any = compose("embed", *TINY, "pictures.more=[]")
    embed.run(cfg)
    card = json.loads((tmp_path / "features" / "encoder.json").read_text())
    assert card["architecture"] == {"name": "colours"}
    assert card["provenance"] == Colours().provenance()
    assert encoders.settings_of(card["pictures"]) == cfg.pictures


def test_no_encoder_leaves_nothing_but_that(
    compose: Callable[..., App], colours: Colours, tmp_path: Path
) -> None:
    packed = Packed.open(write_samples(tmp_path / "packed"), tmp_path)
    embed.run(compose("embed", *TINY))
    embed.run(compose("embed", "pictures.name=none"))
    assert [file.name for file in (tmp_path / "features").iterdir()] == ["stats.json"]
    assert features.read(str(tmp_path / "features"), packed) is None


def test_an_encoder_of_sound_is_refused(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ears(Colours):
        modality: Any = "sound"

    write_samples(tmp_path / "packed")
    monkeypatch.setattr(encoders, "build", lambda pictures: Ears())
    with pytest.raises(UserError, match=r"name=clip_vitb16: an encoder of sound"):
        embed.run(compose("embed"))
    beside = Joined([Colours(), Ears()])
    monkeypatch.setattr(encoders, "build", lambda pictures: beside)
    embed._loaded.cache_clear()
    with pytest.raises(UserError, match=r"name=hf:ast: an encoder of sound"):
        embed.run(compose("embed", *TINY, "pictures.more=[{name:hf:ast,size:16}]"))
    assert not (tmp_path / "features").exists()


def test_several_encoders_are_embedded_side_by_side(
    compose: Callable[..., App], encoder: str, tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    other = write_checkpoint(tmp_path / "other", seed=1)
    found = []
    for first, more in ((encoder, ""), (other, ""), (encoder, f"{{name:'{other}',size:24}}")):
        embed._loaded.cache_clear()
        embed.run(compose("embed", f"pictures.name={first}", *TINY, f"pictures.more=[{more}]"))
        found.append(np.load(tmp_path / "features" / "features-00000.npy"))
    assert found[2].shape == (15, 2, 64)
    assert np.array_equal(found[2][..., :32], found[0])
    # It sees another size than alone.
    assert not np.allclose(found[2][..., 32:], found[1])
    card = json.loads((tmp_path / "features" / "encoder.json").read_text())
    assert [row["name"] for row in card["provenance"]] == ["dino", "other"]
    assert encoders.settings_of(card["pictures"]).more == [EncoderConfig(other, 24)]


def test_which_encoder_gives_no_numbers_is_named(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blinding(Colours):
        def forward(self, taken: torch.Tensor) -> torch.Tensor:
            return 1e6 * super().forward(taken)

    write_samples(tmp_path / "packed")
    beside = Joined([Colours(), Blinding()])
    monkeypatch.setattr(encoders, "build", lambda pictures: beside)
    with pytest.raises(UserError, match=r"name=hf:sun: features that are infinite"):
        embed.run(compose("embed", *TINY, "pictures.more=[{name:hf:sun,size:16}]"))


def test_no_encoder_beside_another_is_refused(compose: Callable[..., App], tmp_path: Path) -> None:
    write_samples(tmp_path / "packed")
    beside = "pictures.more=[{name:clip_vitb16,size:112}]"
    with pytest.raises(UserError, match=r"name=none, but pictures\.more has clip_vitb16"):
        embed.run(compose("embed", "pictures.name=none", beside))


def test_an_unknown_encoder_lists_the_known_ones(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_samples(tmp_path / "packed")
    with pytest.raises(
        UserError, match=r"pictures\.name=owl is no encoder; .*clip_vitb16, hf:.*none"
    ):
        embed.run(compose("embed", "pictures.name=owl"))
