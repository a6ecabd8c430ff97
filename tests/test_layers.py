from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipeline import app


def test_imports_only_point_down() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=app.PROJECT)
    assert result.returncode == 0, result.stdout
