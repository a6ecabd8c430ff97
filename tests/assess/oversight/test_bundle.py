from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.assess import lineage
from pipeline.assess.evidence import Evidence
from pipeline.assess.oversight.bundle import CROISSANT, DATASHEET, MODEL_CARD, write_bundle
from pipeline.assess.oversight.croissant import CONFORMS_TO, FIELDS, TABLE
from pipeline.assess.suites.data import data
from pipeline.learn.model_card import ModelCard
from pipeline.store.manifest import Clip
from tests.assess import audited, toy

EVIL = "<script>alert(1)</script>|`\u202e[x](javascript:1) =cmd()" + "y" * 50_000
CARD = {
    "architecture": {"name": "flash"},
    "preprocessing": {"num_frames": 16, "size": 32, "fps": 15.0, "crf": 18},
    "classes": ["real_shooting", "fictional_shooting", "real_other", "fictional_other"],
    "temperature": 1.25,
    "memory": {"answer_s": 1.0, "origin_s": 30.0, "lasting": 0.5, "discharge_s": 0.3},
    "weights_sha256": "f" * 64,
    "config": {"seed": 7, "name": "```</code>"},
    "data": {
        "sha256": {"index.parquet": "e" * 64},
        "footage": [
            {
                "source": "fleet-a",
                "origin": "real",
                "licence": "CC0-1.0",
                "authority": "",
                "train": 8,
                "val": 4,
            }
        ],
    },
}
CONFIG = {"num_bootstrap": 40, "confidence": 0.9}


def written(
    evidence: Evidence, folder: Path, card: dict[str, Any] | None = None, unit: str = "clip"
) -> dict[str, str]:
    places = evidence.folders
    hashes = {}
    if places is not None:
        folders = {name: getattr(places, name) for name in ("clips", "splits", "augmented")}
        hashes = lineage.hash_stages(folders, places.probes)
    folder.mkdir()
    write_bundle(
        folder,
        heading="Discern evaluation",
        unit=unit,
        sections={"data": data.run(evidence)},
        metrics=evidence.summaries,
        card=ModelCard.parse(card or CARD, Path("model.json")),
        config=CONFIG,
        data=evidence.facts,
        clip=evidence.clip,
        hashes=hashes,
    )
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def bundle(tmp_path: Path) -> dict[str, str]:
    return written(audited.write(audited.project(), tmp_path), tmp_path / "reports")


def headings(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


def test_a_detector_that_hears_nothing_says_so_in_its_card_alone(bundle: dict[str, str]) -> None:
    assert "The detector hears nothing" in bundle[MODEL_CARD]
    assert ", no sound" in bundle[MODEL_CARD]
    assert "hears nothing" not in bundle[DATASHEET] + bundle[CROISSANT]


def test_the_model_card_has_the_sections_of_mitchell_et_al(bundle: dict[str, str]) -> None:
    assert headings(bundle[MODEL_CARD]) == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
        "Configuration",
    ]


def test_the_model_card_is_filled_from_the_run(bundle: dict[str, str]) -> None:
    card = bundle[MODEL_CARD]
    assert f"`{'f' * 64}`" in card
    assert "temperature 1.25" in card
    assert "evidence 30 s old counts for 1/e for the origin, and 0.3 s old for the" in card
    assert "16 frames of 32 x 32 pixels, 15 a second (1.07 s)" in card
    assert "Intervals hold 90 % of 40 resamples" in card
    assert "| fleet-a | real | CC0-1.0 | not given | 8 | 4 |" in card
    assert "| test | 12 | 2 | 4 | 2 | 4 |" in card
    assert "| data | recordings | good | No recording is in two splits (32 checked). |" in card
    assert "| train |" not in card.partition("## Evaluation data")[2]


def test_the_model_card_says_what_was_trained_elsewhere(
    bundle: dict[str, str], tmp_path: Path
) -> None:
    card = {**CARD, "pretrained": {"EfficientNet-Lite0": "e" * 64}}
    folder = tmp_path / "second"
    told = written(audited.write(audited.project(), tmp_path / "project"), folder, card)
    line = f"| Trained elsewhere | a frozen part: EfficientNet-Lite0, SHA-256 `{'e' * 64}` |"
    assert line in told[MODEL_CARD]
    assert "Trained elsewhere" not in bundle[MODEL_CARD]


def test_a_metric_stands_with_its_interval_or_the_reason_why_not(tmp_path: Path) -> None:
    evidence = toy.evidence()
    auroc = evidence.summaries["test"].shooting["auroc"]
    card = written(evidence, tmp_path / "reports")[MODEL_CARD]
    shown = f"{auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f})"
    assert f"| test | Is it a real shooting? | AUROC | {shown} |" in card
    assert "– (needs 100 negatives, has 80)" in card


def test_a_fault_in_the_data_stands_in_both_cards(tmp_path: Path) -> None:
    made = audited.project()
    leaked = made.of_split("test")[0].clip_id
    made.change(lambda clip: clip.clip_id == leaked, split="train")
    found = written(audited.write(made, tmp_path), tmp_path / "reports")
    assert "| data | recordings | fault |" in found[MODEL_CARD]
    assert leaked in found[MODEL_CARD]
    assert "**1 broken**" in found[DATASHEET]


def test_the_datasheet_has_the_sections_of_gebru_et_al(bundle: dict[str, str]) -> None:
    assert headings(bundle[DATASHEET]) == [
        "Known gaps",
        "Motivation",
        "Composition",
        "Separation of the splits",
        "Collection process",
        "Preprocessing, cleaning and labelling",
        "Uses",
        "Distribution",
        "Maintenance",
    ]
    assert "33 files of 32 recordings gave 65 clips" in bundle[DATASHEET]
    assert "| file that was rejected | decode\\_error | 1 |" in bundle[DATASHEET]
    assert "| CC0-1.0 | 65 |" in bundle[DATASHEET]
    assert "0 clips hold sound, in which people may be heard" in bundle[DATASHEET]


@pytest.mark.parametrize("name", [MODEL_CARD, DATASHEET, CROISSANT])
def test_known_gaps_are_spelled_out_everywhere(name: str, bundle: dict[str, str]) -> None:
    text = bundle[name]
    assert "No footage of a real attack is in the data, and none of any real shooting." in text
    said = "were rendered by a computer, in whole or in part: numbers on them are no evidence"
    assert f"{said} about real cameras" in text
    assert "In test, few recordings stand behind a class (1 of" in text


def test_footage_of_cameras_takes_back_what_is_said_of_rendered(tmp_path: Path) -> None:
    made = audited.project()
    made.variants = []
    made.change(lambda clip: clip.origin == "real", rendered=False)
    text = written(audited.write(made, tmp_path), tmp_path / "reports")[DATASHEET]
    assert "none of any real shooting" not in text
    assert "No index says whether a real shooting is an attack" in text
    assert "were rendered by a computer" not in text


def test_croissant_has_what_the_specification_requires(bundle: dict[str, str]) -> None:
    found = json.loads(bundle[CROISSANT])
    assert found["@type"] == "sc:Dataset"
    assert found["conformsTo"] == CONFORMS_TO
    assert found["@context"]["conformsTo"] == "dct:conformsTo"
    assert all(found[key] for key in ("name", "description", "license"))
    files = {one["@id"]: one for one in found["distribution"]}
    assert TABLE in files
    for one in files.values():
        assert one["@type"] == "cr:FileObject"
        assert len(one["sha256"]) == 64
        assert one["name"]
        assert one["contentUrl"]
        assert one["encodingFormat"]
    [records] = found["recordSet"]
    assert records["@type"] == "cr:RecordSet"
    assert records["key"]["@id"] in {one["@id"] for one in records["field"]}
    for one in records["field"]:
        assert one["@type"] == "cr:Field"
        assert one["dataType"].startswith("sc:")
        assert one["source"]["fileObject"]["@id"] in files
    assert len({one["@id"] for one in records["field"]} | set(files)) == len(files) + len(FIELDS)


def test_every_column_of_the_manifest_is_explained() -> None:
    assert list(FIELDS) == [f.name for f in fields(Clip)]


def test_croissant_loads_the_clips_where_its_library_is_installed(
    bundle: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    path = tmp_path / CROISSANT
    path.write_text(bundle[CROISSANT])
    dataset = mlcroissant.Dataset(path)
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("clips"))
    assert len(records) == 65
    assert records[0]["clips/clip_id"] == b"000000"
    assert records[0]["clips/split"] == b"train"


def test_hashes_are_those_of_the_files(bundle: dict[str, str], tmp_path: Path) -> None:
    listed = {
        one["contentUrl"]: one["sha256"] for one in json.loads(bundle[CROISSANT])["distribution"]
    }
    here = {
        f"{stage}/{name}": digest
        for stage in ("clips", "splits", "augmented")
        for name, digest in lineage.hash_folder(tmp_path / stage).items()
    }
    assert listed == here


def test_a_malicious_index_stays_text(tmp_path: Path) -> None:
    made = audited.project()
    made.variants = []
    made.change(
        lambda clip: clip.split == "test",
        source=EVIL,
        licence=EVIL,
        authority=EVIL,
    )
    card = {**CARD, "architecture": {"name": EVIL}}
    found = written(audited.write(made, tmp_path), tmp_path / "reports", card)
    for name, text in found.items():
        assert "\u202e" not in text
        assert len(text) < 100_000
        if name != CROISSANT:
            assert "<" not in text
            assert "\\[x\\](javascript" in text
            assert "[x](" not in text
    json.loads(found[CROISSANT])


def test_equal_runs_in_other_folders_give_equal_bytes(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        root = tmp_path / name
        texts.append(written(audited.write(audited.project(), root), root / "reports"))
    assert texts[0] == texts[1]
    assert str(tmp_path) not in "".join(texts[0].values())


def test_a_collection_has_cards_and_no_data_set_to_describe(tmp_path: Path) -> None:
    evidence = replace(toy.evidence(), val=None)
    found = written(evidence, tmp_path / "reports")
    assert set(found) == {MODEL_CARD, DATASHEET}
    assert "There are no splits." in found[DATASHEET]
    assert "Whether training saw any of this footage, the tables cannot tell." in found[DATASHEET]
    assert (
        "2 sources do not say who released them and on what basis: phone, sintel."
        in (found[DATASHEET])
    )
