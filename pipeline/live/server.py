"""A server of HTTP in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from pipeline.errors import UserError

log = logging.getLogger(__name__)


class Server:
    """Serves an application until it is stopped."""

    def __init__(
        self,
        application: Any,
        host: str,
        port: int,
        name: str,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        """Take an address.

        Args:
            application: of ASGI.
            host: name or number.
            port: any that is free where 0.
            name: of who serves, in the log.
            leave: is called in the server's own loop when it stops, so that answers that have no
                end of their own come to one.

        Raises:
            UserError: it cannot be had.
        """
        import uvicorn

        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise UserError(
                f"serve_host={host} serve_port={port}: {error.strerror or error}; give another "
                "address, or end who has it"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        self.url = f"http://{shown}:{self.port}/"
        config = uvicorn.Config(
            application,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )

        class Leaving(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                leave()
                await super().shutdown(sockets)

        self._server = Leaving(config)
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        log.info("%s: the page is at %s", name, self.url)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Stop, and wait until it has."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()
