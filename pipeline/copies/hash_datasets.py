"""What `threatexchange dataset -P --csv` prints: hashes of any consortium that it has a client of.

Its clients for ThreatExchange, NCMEC, StopNCII and Tech Against Terrorism fetch, and what they have
fetched comes into a bank from here, with its tags and what is thought of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.copies import exchange_lines, hash_lists
from pipeline.copies.bank_log import CONFIRMED, DISPUTED, is_label
from pipeline.copies.hash_lists import HashEntry
from pipeline.errors import UserError

KIND = "threatexchange"
"""The `format` of such a file."""
OWN_TYPE = "discern_video"
"""The signal type of whole items, which the extension for threatexchange brings."""

_COLUMNS = ["signal_type", "signal_str", "collab", "category", "tags"]
_TYPES = {name: kind for kind, name in hash_lists.KINDS.items()}
_NEGATIVE = "NEGATIVE_CLASS"
_SAID = {"POSITIVE_CLASS": CONFIRMED, "DISPUTED": DISPUTED, "INVESTIGATION_SEED": "", _NEGATIVE: ""}


def read(path: Path, *, negative: bool) -> Iterator[HashEntry]:
    """The videos and pictures of a dataset, in order; signals of other kinds are passed over.

    Args:
        path: of the file.
        negative: take those that its senders call no match of their kind, and else the others.

    Raises:
        UserError: it is no such file, or a line is none of its kind.
    """
    # The hashes of a long video are one field; the module knows no limit of one reader.
    before = csv.field_size_limit(exchange_lines.MAX_LINE_BYTES)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            if next(lines, None) != _COLUMNS:
                raise UserError(
                    f"{path}: no dataset; give what threatexchange dataset -P --csv prints"
                )
            for row in lines:
                try:
                    found = _row(row, negative)
                except (ValueError, RecursionError) as error:
                    raise _none(path, lines.line_num) from error
                if found is not None:
                    yield found
    except (csv.Error, UnicodeDecodeError) as error:
        raise _none(path, lines.line_num) from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a dataset of threatexchange") from error
    finally:
        csv.field_size_limit(before)


def _row(row: list[str], negative: bool) -> HashEntry | None:
    kind, text, _, category, tags = row
    if category not in _SAID:
        raise ValueError(category)
    if (category == _NEGATIVE) != negative:
        return None
    if kind == OWN_TYPE:
        one = exchange_lines.prints_parsed(text)
        found = HashEntry(one.sha256, one.md5, one.hashes, one.sounds, one.narrow)
    elif kind in _TYPES:
        found = hash_lists.parse_entry(text, _TYPES[kind])
    else:
        return None
    words = sorted(tags.split())
    if not all(map(is_label, words)):
        raise ValueError(tags)
    return replace(found, tags=tuple(words), said=_SAID[category])


def _none(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}, line {number}: no signal of its kind; nothing of the file was taken, so print "
        "the dataset anew"
    )
