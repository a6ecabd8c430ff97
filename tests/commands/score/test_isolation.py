from __future__ import annotations

from pathlib import Path

from pipeline.commands.score.isolation import _PRELOADED, apart
from tests.commands.score.toy import configured


def test_processes_that_decode_do_without_torch_and_tell_what_they_took(project: Path) -> None:
    modules = f"[__import__(name) for name in {_PRELOADED}]"
    work = "sum(range(5_000_000)) and 'torch' in __import__('sys').modules"
    cfg = configured(project)
    ((has_torch, cpu_s),) = apart(eval, iter([f"({modules}, {work})[1]"]), cfg, cfg.run)
    assert has_torch is False
    assert 0.01 < cpu_s < 60
