"""Footage and outputs on S3, against a server that speaks its protocol on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands.score.file_access import FileAccess
from pipeline.commands.score.listing import ListingRow
from pipeline.config import App
from pipeline.errors import UserError
from pipeline.learn.loader import Loader
from pipeline.learn.sampler import InOrder
from pipeline.stages import ingest
from pipeline.store import storage
from pipeline.store.manifest import read_rejects
from pipeline.store.packed_samples import Packed
from tests.commands.score.toy import configured
from tests.learn.toy import write_toy
from tests.test_train import fit

pytestmark = pytest.mark.slow

BUCKET = "discern-test"
_START_S = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server that forgets everything at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).with_name("moto_server")
    log = tmp_path_factory.mktemp("s3") / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        _wait_for(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=_START_S)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(10 * _START_S):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no S3 server within {_START_S} s: {log.read_text()}")


@pytest.fixture
def s3(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket, reached by the standard variables alone."""
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(storage, "_WAITS_S", (0.1,))
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir(BUCKET)
    yield files
    files.rm(BUCKET, recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def upload(s3: Any, folder: Path) -> None:
    """Make `packed` in the bucket equal to a folder."""
    prefix = f"{BUCKET}/packed"
    if s3.exists(prefix):
        s3.rm(prefix, recursive=True)
    for path, data in contents(folder).items():
        s3.pipe_file(f"{prefix}/{path}", data)


def test_a_file_of_a_bucket_is_there_for_as_long_as_it_is_needed(s3: Any, tmp_path: Path) -> None:
    s3.pipe_file(f"{BUCKET}/unit7/a.mp4", b"frames")
    with storage.fetched(f"s3://{BUCKET}/unit7", "a.mp4", tmp_path / "work") as local:
        assert local.read_bytes() == b"frames"
    assert contents(tmp_path / "work") == {}
    with (
        pytest.raises(FileNotFoundError),
        storage.fetched(f"s3://{BUCKET}/unit7", "b.mp4", tmp_path / "work"),
    ):
        pass


def test_a_file_is_uploaded_to_a_bucket_that_is_there(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    s3.pipe_file(f"{BUCKET}/us/a", b"old")
    storage.upload(tmp_path / "a", f"s3://{BUCKET}/us", "a")
    assert s3.cat_file(f"{BUCKET}/us/a") == b"new"
    with pytest.raises(UserError, match="s3://no-such-bucket/us/a: no such bucket; make it"):
        storage.upload(tmp_path / "a", "s3://no-such-bucket/us", "a")


@pytest.mark.parametrize("bucket", [BUCKET, "no-such-bucket"])
def test_a_bucket_or_prefix_that_is_not_there_is_named(
    s3: Any, tmp_path: Path, bucket: str
) -> None:
    with (
        pytest.raises(UserError, match=f"s3://{bucket}/nothing/index.csv: no such object"),
        storage.fetched_index(f"s3://{bucket}/nothing", tmp_path),
    ):
        pass


def test_missing_credentials_are_named(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    type(s3).clear_instance_cache()
    with (
        pytest.raises(UserError, match=r"no credentials.*set AWS_ACCESS_KEY_ID"),
        storage.fetched_index(f"s3://{BUCKET}/unit7", tmp_path),
    ):
        pass


def test_ingest_of_a_bucket_gives_the_bytes_of_the_same_folder(
    s3: Any, tmp_path: Path, small_collection: Path, compose: Callable[..., App]
) -> None:
    local = tmp_path / "elsewhere" / "small"
    local.parent.mkdir()
    small_collection.rename(local)
    (local / "game-0-0.mp4").write_bytes(b"no video")
    (local / "real-0-0.mp4").unlink()
    for path, data in contents(local).items():
        s3.pipe_file(f"{BUCKET}/release/small/{path}", data)
    outputs = []
    for place in (str(local), f"s3://{BUCKET}/release/small"):
        output = tmp_path / f"clips-{len(outputs)}"
        cfg: Any = compose(
            "ingest", f"collections=['{place}']", f"paths.clips={output}", "max_reject_rate=0.5"
        )
        ingest.run(cfg)
        outputs.append(contents(output))
    assert outputs[0] == outputs[1]
    rejects = {row.path: row.reason for row in read_rejects(tmp_path / "clips-1")}
    assert rejects.keys() == {"game-0-0.mp4", "real-0-0.mp4"}
    assert rejects["real-0-0.mp4"] == "missing_file"


@pytest.mark.parametrize("encoding", ["raw", "h264"])
def test_workers_read_packed_samples_of_a_bucket_as_of_a_folder(
    s3: Any, tmp_path: Path, encoding: str
) -> None:
    place = f"s3://{BUCKET}/packed"
    folder = write_toy(tmp_path / "packed", num_train=32, num_val=0, encoding=encoding)
    upload(s3, folder)

    def batches(packed: Packed, num_workers: int) -> list[list[bytes]]:
        rows, labels = np.arange(32)[::-1], np.zeros(32, np.int64)
        loader = Loader(
            packed,
            labels,
            InOrder(rows.copy()),
            batch_size=8,
            drop_last=True,
            num_workers=num_workers,
        )
        return [[tensor.numpy().tobytes() for tensor in batch] for batch in loader]

    work = tmp_path / "work"
    remote = Packed.open(place, work)
    assert not (work / "cache").exists(), "no shard is fetched before it is touched"
    expected = batches(Packed.open(folder, work), 0)
    assert batches(remote, 2) == batches(remote, 0) == expected
    shards = [path for path in (work / "cache").iterdir() if path.suffix in (".raw", ".tar")]
    assert len(shards) == len(remote.names) == 4

    (folder / remote.names[0]).unlink()
    write_toy(folder, num_train=31, num_val=0, encoding=encoding)
    upload(s3, folder)
    assert len(Packed.open(place, work).index) == 31


def test_samples_that_do_not_fit_the_cache_are_read_all_the_same_and_said_to_be_slow(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"s3://{BUCKET}/packed"
    folder = write_toy(tmp_path / "packed", num_train=32, num_val=0)
    upload(s3, folder)
    remote = Packed.open(place, tmp_path / "work", cache_gb=5e-4)
    assert "shards are fetched again and again; raise it" in caplog.text
    local = Packed.open(folder, tmp_path / "work")
    for i in (0, 31, 1, 15, 30):
        assert (remote.read(i).frames == local.read(i).frames).all()
    kept = [path.stat().st_size for path in (tmp_path / "work" / "cache").glob("*.raw")]
    assert sum(kept) <= 5e5


def test_a_bucket_without_an_index_or_a_shard_is_named(s3: Any, tmp_path: Path) -> None:
    place = f"s3://{BUCKET}/packed"
    with pytest.raises(UserError, match=f"{place}/index.parquet: missing; run dvc repro pack"):
        Packed.open(place, tmp_path / "work")
    upload(s3, write_toy(tmp_path / "packed", num_train=32, num_val=0))
    s3.rm(f"{BUCKET}/packed/shard-00001.raw")
    with pytest.raises(UserError, match=f"{place}/shard-00001.raw: shard missing"):
        Packed.open(place, tmp_path / "work")


def test_training_from_a_bucket_gives_the_weights_of_the_same_folder(
    s3: Any, tmp_path: Path
) -> None:
    folder = write_toy(tmp_path / "packed", num_train=32, num_val=16)
    upload(s3, folder)
    weights = []
    for number, place in enumerate((str(folder), f"s3://{BUCKET}/packed")):
        models = fit(place, tmp_path / str(number), 2, "num_epochs=1")
        weights.append((models / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_files_of_a_listing_come_from_a_bucket(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.pipe_file(f"{BUCKET}/unit7/a.mp4", b"frames")
    places = FileAccess(tmp_path, configured(tmp_path))
    with places.at_hand(ListingRow("1", f"s3://{BUCKET}/unit7/a.mp4")) as task:
        assert task.local is not None
        assert task.local.read_bytes() == b"frames"
    assert contents(tmp_path / "work") == {}
    for gone in (f"s3://{BUCKET}/b.mp4", "s3://no-such-bucket/a.mp4"):
        with places.at_hand(ListingRow("2", gone)) as task:
            assert task.refused is not None
            assert task.refused.reason == "missing_file"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    type(s3).clear_instance_cache()
    with (
        pytest.raises(UserError, match="no credentials"),
        places.at_hand(ListingRow("3", f"s3://{BUCKET}/unit7/a.mp4")),
    ):
        pass


def test_a_fresh_clone_pulls_what_was_pushed(
    s3: Any, tmp_path: Path, small_collection: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    shutil.copytree(small_collection, first / "footage" / "small")

    def do(folder: Path, *command: str) -> None:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"

    def dvc(folder: Path, *arguments: str) -> None:
        do(folder, sys.executable, "-m", "dvc", *arguments)

    do(first, "git", "init", "-q")
    do(first, "git", "config", "user.email", "test@example.org")
    do(first, "git", "config", "user.name", "test")
    dvc(first, "init", "-q")
    dvc(first, "remote", "add", "-d", "store", f"s3://{BUCKET}/store")
    dvc(first, "add", "footage/small")
    do(first, "git", "add", "-A")
    do(first, "git", "commit", "-qm", "Add footage")
    dvc(first, "push")
    do(tmp_path, "git", "clone", "-q", str(first), str(second))
    assert not (second / "footage" / "small").exists()
    dvc(second, "pull")
    assert contents(second / "footage" / "small") == contents(small_collection)
