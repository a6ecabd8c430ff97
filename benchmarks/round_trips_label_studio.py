"""Edits tasks of Discern in a server of Label Studio, as its page does; `round_trips.py` runs it.

    PYTHON benchmarks/round_trips_label_studio.py tasks.json tasks.xml edits.json export.json

PYTHON is that of an environment with the package `label-studio`, whose server this starts on
loopback with a database of its own. `edits.json` tells a list of frames, counted from 0, by the
name of a task, and how far all of them are moved by mistake.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_STARTS_S = 1800.0
_TOKEN = "0123456789abcdef0123456789abcdef01234567"


def main(tasks: Path, interface: Path, edits: Path, export: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server, log = _started(Path(folder), port)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, server, log)
            _edit(address, tasks, interface, edits, export)
        finally:
            server.kill()
            server.wait()


def _started(folder: Path, port: int) -> tuple[subprocess.Popen[bytes], Path]:
    command = [str(Path(sys.executable).with_name("label-studio")), "start", "--no-browser"]
    command += ["--port", str(port), "--data-dir", str(folder), "--internal-host", "127.0.0.1"]
    command += ["--username", "ada@example.org", "--password", "only-here", "--user-token", _TOKEN]
    environment = os.environ | {
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    }
    log = folder / "server.log"
    with log.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file), log


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    began_s = time.monotonic()
    while not _answers(f"{address}/health"):
        if server.poll() is not None or time.monotonic() - began_s > _STARTS_S:
            sys.exit(f"the server of Label Studio does not answer:\n{log.read_text()[-4000:]}")
        time.sleep(1)


def _edit(address: str, tasks: Path, interface: Path, edits: Path, export: Path) -> None:
    project = _ask(
        f"{address}/api/projects",
        {"title": "Discern", "label_config": interface.read_text(encoding="utf-8")},
    )["id"]
    given = json.loads(tasks.read_text(encoding="utf-8"))
    _ask(f"{address}/api/projects/{project}/import", given)
    told = json.loads(edits.read_text(encoding="utf-8"))
    listed = _ask(f"{address}/api/tasks?project={project}&page_size=1000&fields=all")["tasks"]
    for task in listed:
        frames = told["frames"][task["data"]["task"]]
        kept = task["predictions"][0]["result"] if task["predictions"] else []
        result = [one for one in kept if one["type"] == "choices" and one["from_name"] != "origin"]
        result += [_region(frame + 1 + told["moved"]) for frame in frames]
        result += [_choice("origin", "real")]
        if not any(one["from_name"] == "discharge" for one in result):
            result += [_choice("discharge", "yes")]
        for one in result:
            if one["from_name"] == "discharge":
                one["value"] = {"choices": ["yes"]}
        _ask(f"{address}/api/tasks/{task['id']}/annotations/", {"result": result})
    found = _ask(f"{address}/api/projects/{project}/export?exportType=JSON")
    export.write_text(json.dumps(found), encoding="utf-8")
    print(json.dumps({"tasks": len(listed), "version": _ask(f"{address}/api/version")["release"]}))


def _region(frame: int) -> dict[str, Any]:
    """A stretch of one frame, as the page writes it."""
    return {
        "from_name": "videoLabels",
        "to_name": "video",
        "type": "timelinelabels",
        "origin": "manual",
        "value": {"ranges": [{"start": frame, "end": frame}], "timelinelabels": ["discharge"]},
    }


def _choice(name: str, word: str) -> dict[str, Any]:
    told = {"from_name": name, "to_name": "video", "type": "choices", "origin": "manual"}
    return {**told, "value": {"choices": [word]}}


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _ask(address: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Token {_TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, data, headers), timeout=120
        ) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        sys.exit(f"{address}: {error.code}: {error.read().decode(errors='replace')[:2000]}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
