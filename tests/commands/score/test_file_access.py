from __future__ import annotations

import errno
import http.server
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from pipeline.commands import fetching
from pipeline.commands.score.file_access import FileAccess
from pipeline.commands.score.listing import ListingRow
from pipeline.config import FetchConfig
from pipeline.live import web
from tests.commands.score.toy import configured, scored, write_files, write_listing


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(project: Path) -> Iterator[str]:
    write_files(project / "served", 1)
    (project / "served" / "large.mp4").write_bytes(bytes(3_000_000))
    handler = partial(Quiet, directory=str(project / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


def reason(project: Path, uri: str, *overrides: str) -> str | None:
    found = FileAccess(project, configured(project, *overrides))
    with found.at_hand(ListingRow("1", uri)) as task:
        return task.refused.reason if task.refused else None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("", "unknown_scheme"),
        ("ftp://host/x.mp4", "unknown_scheme"),
        ("s3://bucket", "unknown_scheme"),
        ("s3://bucket/a/../../x.mp4", "unknown_scheme"),
        ("../x.mp4", "outside_listing"),
        ("a/../../x.mp4", "outside_listing"),
        ("a\0b.mp4", "outside_listing"),
        (".", "outside_listing"),
        ("gone.mp4", "missing_file"),
        ("/dev/zero", "missing_file"),
        ("/", "missing_file"),
        ("/tmp/..", "missing_file"),
        ("file:///", "missing_file"),
        ("file:///no/such/file.mp4", "missing_file"),
        ("x" * 5000, "missing_file"),
        ("https://127.0.0.1/x.mp4", "refused_address"),
        ("https://[::1]/x.mp4", "refused_address"),
        ("https://169.254.169.254/latest/meta-data", "refused_address"),
        ("https://x y/", "refused_address"),
        ("http://[::1/x", "refused_address"),
        ("HTTPS://x]/y.mp4", "refused_address"),
        ("file://[x", "unknown_scheme"),
    ],
)
def test_an_address_that_leads_nowhere_has_a_reason(project: Path, uri: str, expected: str) -> None:
    assert reason(project, uri) == expected


def test_files_are_fetched_from_servers_that_may_be_asked(project: Path, server: str) -> None:
    allowed = ("allow_private=true", "miss_rate=null", "max_fetch_mb=1")
    uris = [f"{server}/0.mp4?token=secret", f"{server}/none.mp4", f"{server}/large.mp4"]
    listing = write_listing(project / "listing.csv", [*uris, "served/0.mp4"])
    found = scored(project, listing, "out", *allowed)
    assert [row["reason"] for row in found] == [None, "missing_file", "too_large_to_fetch", None]
    assert found[0]["score"] == found[3]["score"]
    assert not any("secret" in (row["detail"] or "") for row in found)
    assert not list((project / "work").glob("fetched-*"))
    assert (
        reason(project, uris[0], "allow_private=true", "hosts=[example.org]") == "refused_address"
    )


def test_a_link_out_of_the_folder_is_refused(project: Path) -> None:
    (project / "own").mkdir()
    (project / "outside.mp4").write_bytes(b"x")
    (project / "own" / "link.mp4").symlink_to(project / "outside.mp4")
    assert reason(project / "own", "link.mp4") == "outside_collection"


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate"),
        PermissionError(errno.EACCES, "Permission denied"),
    ],
)
def test_what_a_network_refuses_is_not_taken_for_a_full_disk(
    project: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuses(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(fetching, "_WAITS_S", ())
    monkeypatch.setattr(web, "get", refuses)
    assert reason(project, "https://example.org/x.mp4") == "not_fetched"


def test_what_the_disk_refuses_ends_the_run(
    server: str,
) -> None:
    cfg = FetchConfig(allow_private=True, timeout_s=5.0, max_fetch_mb=1.0)
    with pytest.raises(OSError, match="No space left"):
        fetching._fetch(f"{server}/0.mp4", Path("/dev/full"), cfg)
