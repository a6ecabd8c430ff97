"""Edits tasks of Discern as a dataset of FiftyOne; `round_trips.py` runs it.

    PYTHON benchmarks/round_trips_fiftyone.py FOLDER edits.json EXPORT

PYTHON is that of an environment with the package `fiftyone`; where that brings no MongoDB,
`FIFTYONE_DATABASE_URI` names one. `edits.json` tells a list of frames at
15 a second, counted from 0, by the name of a task, and how far all of them are moved by mistake.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

_FPS = 15


def main(folder: Path, edits: Path, export: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        # Nothing of the user's own is changed, and nothing told to anybody.
        os.environ |= {
            "FIFTYONE_DATABASE_DIR": f"{home}/db",
            "FIFTYONE_DO_NOT_TRACK": "true",
            "HOME": home,
        }
        import fiftyone as fo

        told = json.loads(edits.read_text(encoding="utf-8"))
        kind = fo.types.FiftyOneTemporalDetectionDataset
        dataset = fo.Dataset.from_dir(
            data_path=str(folder / "data.json"),
            labels_path=str(folder / "labels.json"),
            dataset_type=kind,
            label_field="discern",
        )
        dataset.compute_metadata()
        for sample in dataset:
            name = Path(sample.filepath).stem
            whole = sample.metadata.total_frame_count
            found = [
                fo.TemporalDetection(label=label, support=[1, whole])
                for label in ("origin_real", "discharge_yes")
            ]
            for frame in told["frames"][name]:
                start_s = (frame + told["moved"]) / _FPS
                found.append(
                    fo.TemporalDetection.from_timestamps(
                        [start_s, start_s + 1 / _FPS], sample=sample, label="discharge"
                    )
                )
            sample["discern"] = fo.TemporalDetections(detections=found)
            sample.save()
        dataset.export(
            labels_path=str(export),
            dataset_type=kind,
            label_field="discern",
            use_timestamps=True,
        )
        print(json.dumps({"tasks": len(dataset), "version": fo.__version__}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
