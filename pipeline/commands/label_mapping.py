"""A file that says what the labels of others are called here: CSV with `theirs` and `ours`."""

from __future__ import annotations

from pathlib import Path

from pipeline.copies.bank_log import is_label
from pipeline.copies.exchange_lines import MAX_LABEL
from pipeline.errors import UserError
from pipeline.footage import csvfile

COLUMNS = ("theirs", "ours")


def read(path: Path) -> dict[str, str]:
    """Return what each of their labels is called here.

    Raises:
        UserError: no such file, a column that is missing or unknown, a label of theirs twice, or
            one of ours that is empty, too long or of several lines.
    """
    try:
        header, *rows = csvfile.read(path, COLUMNS)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give labels=FILE of CSV") from error
    if sorted(header.cells) != sorted(COLUMNS):
        raise UserError(
            f"{path}: its columns are {', '.join(header.cells)}; give {' and '.join(COLUMNS)}"
        )
    found: dict[str, str] = {}
    for row in rows:
        if row.mistake:
            raise UserError(f"{path}: {row.mistake}")
        told = dict(zip(header.cells, row.cells, strict=True))
        theirs, ours = told["theirs"].strip(), told["ours"].strip()
        if not theirs or theirs in found:
            raise UserError(
                f"{path}: row {row.number}: '{theirs}' is there twice, or empty; give each of "
                "their labels once"
            )
        if not ours or len(ours) > MAX_LABEL or not is_label(ours):
            raise UserError(
                f"{path}: row {row.number}: '{theirs}' has no label of ours of one line and at "
                f"most {MAX_LABEL} letters; give one, or leave the row out"
            )
        found[theirs] = ours
    return found
