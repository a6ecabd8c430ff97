"""A server of HTTP in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pipeline.errors import UserError

log = logging.getLogger(__name__)

_GRACE_S = 1.0
"""How long an answer that is being made may take once the server stops."""
_OVER = b"the page has ended\n"


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
        over = asyncio.Event()
        config = uvicorn.Config(
            _ending(application, over),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )

        class Leaving(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                leave()
                over.set()
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


def _ending(application: Any, over: asyncio.Event) -> Any:
    """An application whose answers end soon after `over` is set, which may take minutes to make.

    The server would cancel them too, and log each as a bug.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        making = asyncio.ensure_future(application(scope, receive, noted))
        leaving = asyncio.ensure_future(over.wait())
        await asyncio.wait({making, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        await asyncio.wait({making}, timeout=_GRACE_S)
        if making.done():
            making.result()
            return
        making.cancel()
        with suppress(asyncio.CancelledError):
            await making
        if not has_begun:
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
        # It may have come to its end just now.
        with suppress(RuntimeError):
            await send({"type": "http.response.body", "body": b"" if has_begun else _OVER})

    return answer
