"""Slices of a part by what is known of its clips: manifest, original files, notes and pixels."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.evidence import Evidence
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.suites.slices import notes, pixels
from pipeline.assess.suites.slices.notes import Slice
from pipeline.numbers.metrics import FloatArray, IntArray
from pipeline.store import manifest, workdir
from pipeline.store.bank_matches import not_of_banks

_SIDES = (240, 480, 720)
_RATES = (20.0, 40.0)
_MAX_TEXT = 60
# A key of the notes may be called as one of these.
_OURS = frozenset(
    {
        "viewpoint",
        "original side",
        "original rate",
        "original file",
        "brightness",
        "picture",
        "contrast",
    }
)


def of_manifest(part: JudgedSet, folder: Path) -> tuple[list[Slice], list[str]]:
    """Slices by viewpoint, notes and original file; and the keys of notes that are no slices.

    `folder` is that of the stage ingest.

    Raises:
        UserError: a table is missing, unreadable or of another schema.
    """
    clips = _read(folder / manifest.MANIFEST, manifest.Clip, ("clip_id", "viewpoint", "notes"))
    rows = pc.index_in(part.clips["clip_id"], value_set=clips["clip_id"].combine_chunks())
    found = _texts("viewpoint", clips["viewpoint"].take(rows))
    encoded = clips["notes"].take(rows).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy()
    by_notes, left_out = notes.slices(encoded.dictionary.to_pylist(), codes)
    by_notes = [
        replace(one, name=f"{one.name} (notes)") if one.name in _OURS else one for one in by_notes
    ]
    return [*found, *by_notes, *_of_files(part, folder)], left_out


def of_pixels(part: JudgedSet, evidence: Evidence, num_clips: int) -> dict[int, pixels.Statistics]:
    """Look at `num_clips` judged rows at most, always the same ones of the same clips."""
    rows = _sample(part, num_clips)
    size = evidence.batch_size
    code = workdir.code_sha256("assess/suites/slices/pixels.py", "copies/fingerprint.py")
    found = {}
    for start in evidence.progress(range(0, len(rows), size), f"look at {part.name}"):
        for row in rows[start : start + size]:
            number = part.clip_of(row)
            sample = [code, part.samples[number]] if part.samples else []
            made = partial(_measured, part, number)
            found[row] = pixels.Statistics(*evidence.answers.of(sample, made).tolist())
    return found


def _measured(part: JudgedSet, number: int) -> FloatArray:
    return np.array(astuple(pixels.measure(part.read(number).frames)))


def _sample(part: JudgedSet, num_clips: int) -> list[int]:
    """Rows whose names hash lowest: a clip that is added changes one of them at most."""
    column = "sample_id" if part.files is None else "path"
    names = part.judged[column].to_pylist()
    digests = [hashlib.sha256(name.encode()).digest() for name in names]
    return sorted(sorted(range(len(names)), key=digests.__getitem__)[:num_clips])


def _read(path: Path, row_type: type, columns: Sequence[str]) -> pa.Table:
    with manifest.open_table(path, row_type) as file:
        return file.read(columns=list(columns))


def _of_files(part: JudgedSet, folder: Path) -> list[Slice]:
    columns = ("collection", "path", "width", "height", "fps", "marks")
    files = _read(folder / manifest.FILES, manifest.File, columns)
    keys = [
        pc.binary_join_element_wise(table["collection"], table["path"], "\n")
        for table in (part.clips, files)
    ]
    own = files.take(pc.index_in(keys[0], value_set=keys[1].combine_chunks()))
    side = pc.min_element_wise(own["width"], own["height"]).cast(pa.float64())
    return [
        *_classes("original side", "px", side, _SIDES),
        *_classes("original rate", "fps", own["fps"], _RATES),
        *_texts(
            "original file",
            pc.if_else(_is_marked(own["marks"]), "with a mark", "without a mark"),
        ),
    ]


def _is_marked(marks: pa.ChunkedArray) -> pa.ChunkedArray:
    marked = [bool(not_of_banks(manifest.marks_of_pictures(one))) for one in marks.to_pylist()]
    return pa.chunked_array([pa.array(marked, pa.bool_())])


def _classes(name: str, unit: str, values: pa.ChunkedArray, limits: Sequence[float]) -> list[Slice]:
    """Slices between `limits`, the lower one of which belongs to the class."""
    numbers = values.to_numpy().astype(np.float64)
    known = np.isfinite(numbers)
    number = np.searchsorted(limits, np.where(known, numbers, 0.0), side="right")
    names = [
        f"below {limits[0]:g} {unit}",
        *(f"{low:g} to {high:g} {unit}" for low, high in itertools.pairwise(limits)),
        f"{limits[-1]:g} {unit} and more",
    ]
    return [
        Slice(name, text, member, known)
        for i, text in enumerate(names)
        if (member := known & (number == i)).any()
    ]


def _texts(name: str, values: pa.ChunkedArray) -> list[Slice]:
    """A slice a distinct text, but for texts that are too many to be one each."""
    encoded = values.combine_chunks().dictionary_encode()
    codes: IntArray = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
    texts = encoded.dictionary.to_pylist()
    known = codes >= 0
    if len(texts) > notes.MAX_VALUES:
        return []
    return [
        Slice(name, _readable(text), codes == code, known)
        for code, text in sorted(enumerate(texts), key=lambda pair: pair[1])
    ]


def _readable(text: str) -> str:
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown[:_MAX_TEXT] or "not given"
