"""Items for ROOST Coop, and the signed decisions that it sends back.

Coop sends an HTTP request for each decision, with the signature of its body in `Coop-Signature`
(RSASSA-PKCS1-v1_5 with SHA-256, in base64). Whatever takes these keeps them as lines of JSON,
`{"signature": …, "body": …}`, the body as the text that came. The action that a decision names is
`<origin>_shooting` or `<origin>_other`, or `unsure`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pipeline.errors import UserError
from pipeline.footage.collection import ORIGINS
from pipeline.review.exchange.entries import Checked, Entry, ExchangeTerms, careful
from pipeline.review.tasks import UNSURE, Decision, ReviewTask

NAME = "coop"
TYPE = "discern_video"
"""The id of the item type that an organisation of Coop makes for these items."""
ACTIONS = {
    **{f"{origin}_shooting": (origin, "yes") for origin in ORIGINS},
    **{f"{origin}_other": (origin, "no") for origin in ORIGINS},
    UNSURE: (UNSURE, UNSURE),
}


def write(path: Path, entries: Sequence[Entry], terms: ExchangeTerms) -> None:
    """Write the body of `POST /api/v1/items/async/`."""
    items = [
        {
            "id": entry.task.name,
            "typeId": TYPE,
            "data": {
                "video": terms.address(entry.task),
                "score": entry.task.score,
                "p_real": entry.task.p_real,
                "p_discharge": entry.task.p_discharge,
                "seconds": entry.task.seconds,
                "moments": [asdict(moment) for moment in entry.task.moments],
                "videos": entry.task.num_copies,
                "weights_sha256": entry.task.weights_sha256,
                "position": entry.place.position,
            },
        }
        for entry in entries
    ]
    text = json.dumps({"items": items}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path, tasks: Mapping[str, ReviewTask], terms: ExchangeTerms) -> list[Decision]:
    """Read signed decisions, of which none is taken where a signature is wrong.

    Raises:
        UserError: with every mistake, each with its line; or no key.
    """
    key = _key(terms.key)
    check = Checked(path, tasks, terms.by, NAME)
    try:
        # A note may hold what `splitlines` takes for the end of a line, as U+2028.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable ({error}); give lines of JSON") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"line {number}"
            careful(check, where, partial(_read_line, check, where, line, key))
    return check.decisions()


def _key(path: Path | None) -> RSAPublicKey:
    if path is None:
        raise UserError("format=coop: give key=FILE, the public key of your organisation in Coop")
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no public key in PEM ({error}); copy it from Coop") from error
    if not isinstance(key, RSAPublicKey):
        raise UserError(f"{path}: no key of RSA; copy the one that Coop signs with")
    return key


def _read_line(check: Checked, where: str, line: str, key: RSAPublicKey) -> None:
    told = json.loads(line)
    body: str = told["body"]
    try:
        signature = base64.b64decode(told["signature"], validate=True)
        key.verify(signature, body.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        check.wrong(where, "its signature is not of this body and key; take it from Coop again")
        return
    sent: dict[str, Any] = json.loads(body)
    action = sent["action"]
    name = next((one for one in (action.get("name"), action.get("id")) if one in ACTIONS), None)
    if name is None:
        check.wrong(
            where,
            f"action '{action.get('name') or action.get('id')}' is none of {', '.join(ACTIONS)}",
        )
        return
    custom = sent.get("custom") or {}
    times_s = [float(time_s) for time_s in custom.get("discharges_s", ())]
    if any(not 0 <= time_s < float("inf") for time_s in times_s):
        raise ValueError(f"discharges_s {times_s}")
    note = sent.get("actorNote") or sent.get("decisionReason") or ""
    check.add(where, sent["item"]["id"], *ACTIONS[name], times_s, sent.get("actorEmail"), note)
