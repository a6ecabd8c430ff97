"""An RTMP server of this machine: Debian's `nginx` and `libnginx-mod-rtmp`.

They are in NGINX_ROOT where they are not installed but unpacked (`.ci/nginx` does that).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(os.environ.get("NGINX_ROOT", "/"))
NGINX, MODULE = ROOT / "usr/sbin/nginx", ROOT / "usr/lib/nginx/modules/ngx_rtmp_module.so"
_CONF = """
load_module {module};
daemon off; master_process off; worker_processes 1; error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{
  live on; record off; drop_idle_publisher 60s;
}} }} }}
"""


def is_there() -> bool:
    """Whether the server can be started."""
    return NGINX.is_file() and MODULE.is_file()


def played_at(folder: Path) -> float:
    """When the last player came to a server of `serving`, in whole seconds since 1970."""
    said = re.findall(r"^(.{19}) .* play: name=", (folder / "error.log").read_text(), re.MULTILINE)
    return time.mktime(time.strptime(said[-1], "%Y/%m/%d %H:%M:%S"))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of an application, below which streams are published and played."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True)
    (folder / "conf").write_text(_CONF.format(module=MODULE, folder=folder, port=port))
    command = [str(NGINX), "-e", str(folder / "first.log"), "-p", str(folder), "-c", "conf"]
    with subprocess.Popen(command) as server:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        try:
            yield f"rtmp://127.0.0.1:{port}/live"
        finally:
            server.terminate()
