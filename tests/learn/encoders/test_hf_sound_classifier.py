from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.encoders.hf_sound_classifier import NAMES, HfSoundClassifier
from tests.learn.encoders.tiny import WAVES, WHISPER, publish, write_ear

LABELS = ("Speech", "Fusillade", "Music", "Gunshot, gunfire", "Siren")
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "wav2vec2": (
        transformers.Wav2Vec2Config(
            **SMALL,
            **WAVES,
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            classifier_proj_size=8,
        ),
        transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000),
    ),
    "whisper": (
        transformers.WhisperConfig(**WHISPER, init_std=0.3, classifier_proj_size=8),
        transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1),
    ),
}
KINDS = ["ast", *OTHERS]

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter:UserWarning")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of classifiers as they are published."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_ear(folder / "ast", labels=LABELS)
    torch.manual_seed(0)
    for name, (config, extractor) in OTHERS.items():
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {label: number for number, label in enumerate(LABELS)}
        model = transformers.AutoModelForAudioClassification.from_config(config)
        model.save_pretrained(folder / name)
        extractor.save_pretrained(folder / name)
    return folder


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def stretches(ear: HfSoundClassifier) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return 0.1 * torch.randn(3, int(ear.rate_hz) // 2, generator=generator)


@pytest.mark.parametrize("name", KINDS)
def test_features_are_the_logits_that_transformers_gives(checkpoints: Path, name: str) -> None:
    ear = HfSoundClassifier.from_checkpoint(str(checkpoints / name))
    assert (ear.modality, ear.num_features) == ("sound", len(LABELS))
    assert ear.rate_hz == (8000 if name == "wav2vec2" else 16_000)
    taken = stretches(ear)
    model = transformers.AutoModelForAudioClassification.from_pretrained(checkpoints / name).eval()
    extract = transformers.AutoFeatureExtractor.from_pretrained(checkpoints / name)
    own = extract(list(taken.numpy()), sampling_rate=int(ear.rate_hz), return_tensors="pt")
    with torch.no_grad():
        expected = model(**{model.main_input_name: own[model.main_input_name]}).logits
    # Its weights are rounded to half precision.
    torch.testing.assert_close(ear(taken), expected, rtol=0, atol=0.02)
    assert (ear(taken)[0] - ear(taken)[1]).abs().max() > 1e-4
    torch.testing.assert_close(ear(taken[1:2]), ear(taken)[1:2], rtol=0, atol=1e-5)


def test_the_largest_logit_of_a_class_of_firearms_counts(checkpoints: Path) -> None:
    ear = HfSoundClassifier.from_checkpoint(str(checkpoints / "ast"))
    values = torch.tensor([[9.0, -2.0, 8.0, -3.0, 7.0], [9.0, -2.0, 8.0, 1.0, 7.0]])
    assert ear.firearms(values).tolist() == [-2.0, 1.0]
    assert ear.firearms(values[:, None]).shape == (2, 1)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_audioset_is_known_however_it_is_capitalised(
    tmp_path: Path, name: str
) -> None:
    asked = write_ear(tmp_path / "ear", labels=["Speech", name.upper()])
    ear = encoders.build_sound(asked)
    assert ear.firearms(torch.tensor([1.0, 5.0])) == 5


@pytest.mark.parametrize("name", KINDS)
def test_an_ear_is_rebuilt_from_json_and_half_its_bits_without_its_folder(
    checkpoints: Path, tmp_path: Path, name: str
) -> None:
    source = shutil.copytree(checkpoints / name, tmp_path / "source")
    ear = HfSoundClassifier.from_checkpoint(str(source))
    shutil.rmtree(source)
    described = json.dumps(ear.architecture())
    assert str(tmp_path) not in described
    assert json.loads(described) == ear.architecture(), "a card gives back what was written"
    again = encoders.rebuild(json.loads(described))
    assert isinstance(again, HfSoundClassifier)
    again.load_state_dict({key: value.half() for key, value in ear.state_dict().items()})
    taken = stretches(ear)
    assert torch.equal(again(taken), ear(taken))
    assert torch.equal(again.firearms(again(taken)), ear.firearms(ear(taken)))
    assert again.architecture() == ear.architecture()
    assert again.provenance() == ear.provenance()
    assert (again.num_features, again.rate_hz) == (ear.num_features, ear.rate_hz)


def test_nothing_of_an_ear_is_trained(checkpoints: Path) -> None:
    ear = HfSoundClassifier.from_checkpoint(str(checkpoints / "ast")).train()
    assert not any(module.training for module in ear.modules())
    assert not any(parameter.requires_grad for parameter in ear.parameters())


def test_what_knows_no_firearms_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    name = write_ear(tmp_path / "ear", labels=["Speech", "Music"])
    needed = r"sound\.name=hf:.*ear: .* 2 classes, such as 'Speech', .* Gunshot, gunfire; Machine"
    with pytest.raises(UserError, match=needed):
        encoders.build_sound(name)
    card = HfSoundClassifier.from_checkpoint(
        write_ear(tmp_path / "other").removeprefix("hf:")
    ).architecture()
    with pytest.raises(ValueError, match="none of its 1 classes is of firearms"):
        encoders.rebuild(card | {"labels": ["Speech"]})
    with pytest.raises(ValueError, match="'vit' is no classifier of sounds"):
        encoders.rebuild(card | {"model_type": "vit"})


def test_what_classifies_no_sound_is_refused(tmp_path: Path) -> None:
    transformers.ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"'vit' is no classifier of sounds .* one of audio-spect"):
        encoders.build_sound(f"hf:{tmp_path}")


def test_an_encoder_without_a_trained_classifier_is_refused(checkpoints: Path) -> None:
    folder = checkpoints / "headless"
    shutil.copytree(checkpoints / "ast", folder)
    model = transformers.ASTModel.from_pretrained(checkpoints / "ast")
    config = json.loads((folder / "config.json").read_text())
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"weights of the classifier are missing, such as classif"):
        encoders.build_sound(f"hf:{folder}")


def test_a_classifier_that_does_not_say_how_sound_is_prepared_is_refused(
    checkpoints: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoints / "ast", tmp_path / "silent")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"preprocessor_config.json: missing.*ASTFeatureExtractor"):
        encoders.build_sound(f"hf:{folder}")


def test_a_hub_id_without_revision_is_warned_of(
    checkpoints: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "1" * 40
    publish(checkpoints / "ast", tmp_path, "ear", commit)
    with caplog.at_level(logging.WARNING):
        (told,) = encoders.build_sound("hf:owner/ear").provenance()
    assert [f"hf:owner/ear@{commit}" in line for line in caplog.messages] == [True]
    assert told["origin"] == f"hub owner/ear@{commit}"


def test_half_precision_is_what_a_detector_keeps(checkpoints: Path) -> None:
    ear = HfSoundClassifier.from_checkpoint(str(checkpoints / "ast"))
    for value in ear.state_dict().values():
        assert np.array_equal(value.half().float().numpy(), value.numpy())
