from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.commands import label_mapping
from pipeline.errors import UserError


def test_a_mapping_is_read_whatever_the_order_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('Ours,Theirs\nattack,"TVE, level 1"\nattack, livestream \n\n')
    assert label_mapping.read(path) == {"TVE, level 1": "attack", "livestream": "attack"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        ("theirs\nx\n", "labels.csv: its columns are theirs; give theirs and ours"),
        ("theirs,ours,more\nx,y,z\n", "its columns are theirs, ours, more; give theirs and ours"),
        ("theirs,ours\nx,y\nx,z\n", "row 3: 'x' is there twice, or empty"),
        ("theirs,ours\n,y\n", "row 2: '' is there twice, or empty"),
        (
            "theirs,ours\nx,\n",
            "row 2: 'x' has no label of ours of one line and at most 200 letters",
        ),
        (f"theirs,ours\nx,{'y' * 201}\n", "row 2: 'x' has no label of ours"),
        ('theirs,ours\nx,"a\nb"\n', "'x' has no label of ours of one line"),
        ("theirs,ours\nx,y,z\n", "row 2: 3 cells instead of 2"),
    ],
)
def test_a_mapping_that_is_none_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=why):
        label_mapping.read(path)
    with pytest.raises(UserError, match="gone: No such file or directory; give labels=FILE"):
        label_mapping.read(tmp_path / "gone")
