"""Events by HTTP, signed as Standard Webhooks has it (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import UserError
from pipeline.live import web
from pipeline.live.addresses import ForbiddenAddress, Rules, check_given, public_part
from pipeline.live.outbox import Delivery, Letter

SECRET = "DISCERN_WEBHOOK_SECRET"
"""The variable of the environment that holds the secrets, since all may see a command line."""
_PREFIX = "whsec_"
_SECRET_BYTES = (24, 64)
# Request timeout, too early, too many requests: the same may be taken later.
_LATER = (408, 425, 429)
_RULES = Rules(schemes=("http", "https"), allow_private=True)


@dataclass(frozen=True)
class Webhook:
    """A receiver of events.

    Attributes:
        url: that takes them, in no text of this object.
        keys: that events are signed with, the first one for good, others while keys change.
        timeout_s: for it to be reached, and then for the whole of its answer.
    """

    url: str = field(repr=False)
    keys: Sequence[bytes] = field(repr=False)
    timeout_s: float

    def deliver(self, letter: Letter) -> Delivery:
        """Try to deliver an event once."""
        body = letter.body.encode()
        try:
            headers = signature_headers(letter.name, int(time.time()), body, self.keys)
            headers["Content-Type"] = "application/cloudevents+json"
            status = web.post(self.url, _RULES, self.timeout_s, body, headers)
        except TimeoutError:
            return Delivery(False, f"{public_part(self.url)}: no answer in {self.timeout_s:g} s")
        except ForbiddenAddress as error:
            return Delivery(False, str(error))
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            return Delivery(False, f"{public_part(self.url)}: {said}")
        is_refused = 300 <= status < 500 and status not in _LATER
        return Delivery(200 <= status < 300, f"{public_part(self.url)}: HTTP {status}", is_refused)


def webhook(url: str, secrets: str | None, timeout_s: float) -> Webhook:
    """The receiver at an address that a user gave.

    Args:
        url: of it; it may be of a private network.
        secrets: `whsec_` and base64 of 24 to 64 bytes; several with spaces between.
        timeout_s: as `Webhook.timeout_s`.

    Raises:
        UserError: the address or a secret is none.
    """
    check_given(url, _RULES)
    if not secrets or not secrets.split():
        raise UserError(
            f"webhook: {SECRET} is not set, so that nothing can be signed; make one with "
            f"export {SECRET}={_PREFIX}$(head -c 32 /dev/urandom | base64), and tell the receiver"
        )
    return Webhook(url, [_key(secret) for secret in secrets.split()], timeout_s)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    least, most = _SECRET_BYTES
    if not (secret.startswith(_PREFIX) and least <= len(key) <= most):
        raise UserError(
            f"{SECRET}: a secret is {_PREFIX} and {least} to {most} bytes in base64; give another"
        )
    return key


def signature_headers(name: str, at: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that sign an event.

    Args:
        name: its id.
        at: seconds since 1970; receivers refuse what is old.
        body: of the request.
        keys: each makes a signature.
    """
    text = f"{name}.{at}.".encode() + body
    found = [base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{one}" for one in found),
    }
