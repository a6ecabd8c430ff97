from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pipeline

PACKAGE = Path(pipeline.__file__).parent
ENDINGS = (".csv", ".html", ".json", ".jsonl", ".npy", ".npz", ".parquet", ".safetensors")
# Files of Hugging Face and of people, and plots, each of which is of one suite.
NO_OUTPUTS = {"learn/hub.py", "store/storage.py", "learn/encoders/hf.py"}
PLOTS = "assess/suites/"


def names_in(path: Path) -> set[str]:
    texts = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if Path(text).suffix in ENDINGS and not set(text) & set(" /*\n")}


def test_the_name_of_a_file_is_written_in_one_module_alone() -> None:
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        if module in NO_OUTPUTS:
            continue
        for name in names_in(path):
            if not (module.startswith(PLOTS) and name.endswith(".csv")):
                found[name].append(module)
    assert {"manifest.parquet", "report.html", "told.npz"} < found.keys()
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}
