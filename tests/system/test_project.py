from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.system import project


def make_project(folder: Path) -> Path:
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "paths.yaml").write_text("work: .work\n")
    (folder / "dvc.yaml").write_text("stages: {}\n")
    return folder


def test_a_project_is_found_from_any_folder_inside_it(tmp_path: Path) -> None:
    made = make_project(tmp_path / "mine")
    inside = made / "footage" / "phone"
    inside.mkdir(parents=True)
    assert project.find(inside) == project.find(made) == made
    assert project.find(tmp_path) is None


@pytest.mark.parametrize("absent", ["conf/paths.yaml", "dvc.yaml"])
def test_half_of_a_project_is_none(tmp_path: Path, absent: str) -> None:
    made = make_project(tmp_path / "mine")
    (made / absent).unlink()
    assert project.find(made) is None


def test_the_nearest_project_counts(tmp_path: Path) -> None:
    outer = make_project(tmp_path / "outer")
    inner = make_project(outer / "inner")
    assert project.find(inner) == inner


def test_a_folder_inside_a_project_is_told_where_it_is(tmp_path: Path) -> None:
    made = make_project(tmp_path / "mine")
    project.check_is(made)
    with pytest.raises(UserError, match=f"cd {made}$"):
        project.check_is(made / "conf")
    with pytest.raises(UserError, match="discern init FOLDER"):
        project.check_is(tmp_path)


def test_a_new_project_can_be_made_from_the_template() -> None:
    assert project.find(project.TEMPLATE) == project.TEMPLATE
    assert all((project.TEMPLATE / name).is_file() for name in ("train.py", "evaluate.py"))
