from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers

from pipeline import app
from pipeline.config import ClipFormat, TrainApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.model_card import CARD
from pipeline.learn.networks import build, outside_hashes
from pipeline.learn.networks.hf import HfNet
from tests.learn.encoders.tiny import publish
from tests.learn.networks.nets import random_clips

CLIP = ClipFormat(num_frames=8, size=32, fps=15.0, crf=18)
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}
CONFIGS = {
    "videomae": transformers.VideoMAEConfig(
        image_size=32, num_frames=4, tubelet_size=2, intermediate_size=32, **SMALL
    ),
    "timesformer": transformers.TimesformerConfig(
        image_size=32, num_frames=4, intermediate_size=32, **SMALL
    ),
    "vjepa2": transformers.VJEPA2Config(
        crop_size=32,
        frames_per_clip=4,
        mlp_ratio=2,
        pred_hidden_size=16,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=4,
        num_pooler_layers=1,
        **{**SMALL, "hidden_size": 24},
    ),
}
PREPROCESSOR = {
    "size": {"shortest_edge": 40},
    "crop_size": {"height": 32, "width": 32},
    "do_center_crop": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.4],
    "resample": 2,
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of backbones as they are published, with heads of another task."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    for name, config in CONFIGS.items():
        config.num_labels = 7
        model = transformers.AutoModelForVideoClassification.from_config(config)
        model.save_pretrained(folder / name)
        (folder / name / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    # As it is published after pre-training: without the layers that classify.
    bare = transformers.AutoModel.from_config(CONFIGS["videomae"])
    bare.save_pretrained(folder / "bare")
    shutil.copy(folder / "videomae" / "preprocessor_config.json", folder / "bare")
    return folder


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def built(folder: Path, *overrides: str) -> HfNet:
    cfg = app.compose("train", f"model.name='hf:{folder}'", "model.dropout=0.0", *overrides)
    assert isinstance(cfg, TrainApp)
    torch.manual_seed(1)
    network = build(cfg.model, CLIP)
    assert isinstance(network, HfNet)
    return network


def learn_a_step(network: HfNet) -> None:
    torch.manual_seed(2)
    torch.nn.init.normal_(network.head.weight)
    optimizer = torch.optim.SGD(
        [{"params": list(g.parameters), "lr": g.lr_scale} for g in network.parameter_groups()]
    )
    network(random_clips(2, CLIP.num_frames)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def trained(network: HfNet) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", CONFIGS)
def test_features_are_what_the_backbone_s_own_classifier_saw(checkpoints: Path, name: str) -> None:
    network = built(checkpoints / name).eval()
    clips = random_clips(2, CLIP.num_frames)
    model = transformers.AutoModelForVideoClassification.from_pretrained(checkpoints / name).eval()
    with torch.no_grad():
        features = network.embed(clips)
        logits = model(**{model.main_input_name: network.pixels(clips)}).logits
        torch.testing.assert_close(model.classifier(features), logits, rtol=0, atol=1e-5)
    assert features.shape == (2, network.num_features)
    assert (features[0] - features[1]).abs().max() > 1e-4


@pytest.mark.parametrize("lora_rank", [0, 2])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_tuned_backbone_loads_without_its_folder(
    checkpoints: Path, tmp_path: Path, name: str, lora_rank: int
) -> None:
    source, models = tmp_path / "source", tmp_path / "models"
    shutil.copytree(checkpoints / name, source)
    models.mkdir()
    network = built(source, f"model.hf.lora_rank={lora_rank}")
    learn_a_step(network)
    shutil.rmtree(source)
    weights.save(
        models,
        network,
        clip=CLIP,
        temperature=1.0,
        provenance={},
    )
    assert str(tmp_path) not in (models / CARD).read_text()
    clips = random_clips(2, CLIP.num_frames)
    with torch.no_grad():
        expected = network.eval()(clips).double().softmax(1).numpy()
    detector = Detector.load(models)
    np.testing.assert_allclose(detector.predict(clips.numpy()), expected, atol=1e-6)
    assert detector.network.architecture() == network.architecture()
    with pytest.raises(UserError, match="network 'hf' answer for whole clips only"):
        detector.stream(1)


@pytest.mark.parametrize("name", CONFIGS)
def test_everything_learns_each_once_and_slower_the_deeper(checkpoints: Path, name: str) -> None:
    network = built(checkpoints / name, "model.hf.layer_decay=0.5")
    torch.nn.init.normal_(network.head.weight)
    network(random_clips(2, CLIP.num_frames)).square().sum().backward()
    groups = network.parameter_groups()
    grouped = [p for group in groups for p in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert not unused
    rate = {id(p): group.lr_scale for group in groups for p in group.parameters}
    by_name = {key: rate[id(p)] for key, p in network.named_parameters()}
    layers = f"backbone.{name}.encoder.layer"
    assert {r for key, r in by_name.items() if "embeddings" in key} == {0.5**4}
    for layer in range(3):
        assert {r for key, r in by_name.items() if key.startswith(f"{layers}.{layer}.")} == {
            0.5 ** (3 - layer)
        }
    assert by_name["head.weight"] == by_name["head.bias"] == 1
    assert {r for key, r in by_name.items() if "pooler" in key or "fc_norm" in key} <= {1.0}
    assert all(group.decays == all(p.ndim > 1 for p in group.parameters) for group in groups)


def test_a_frozen_backbone_learns_only_what_its_checkpoint_lacked(checkpoints: Path) -> None:
    whole = built(checkpoints / "videomae", "model.hf.freeze=true")
    assert trained(whole) == {"head.weight", "head.bias"}
    bare = built(checkpoints / "bare", "model.hf.freeze=true")
    fresh = {"backbone.fc_norm.weight", "backbone.fc_norm.bias"}
    assert trained(bare) == fresh | {"head.weight", "head.bias"}
    before = {name: value.clone() for name, value in bare.state_dict().items()}
    learn_a_step(bare)
    changed = {k for k, value in bare.state_dict().items() if not torch.equal(value, before[k])}
    assert changed == trained(bare)
    assert not bare.train().backbone.training
    assert bare.dropout.training


def test_adapters_learn_in_place_of_the_weights(checkpoints: Path) -> None:
    clips = random_clips(2, CLIP.num_frames)
    plain = built(checkpoints / "vjepa2").eval()
    network = built(checkpoints / "vjepa2", "model.hf.lora_rank=2").eval()
    torch.testing.assert_close(network.embed(clips), plain.embed(clips))
    names = trained(network) - {"head.weight", "head.bias"}
    # Query, key, value and projection of each of three layers, and two maps after them.
    assert len(names) == 3 * 6 * 2
    assert all(".lora_" in name for name in names)
    learn_a_step(network)
    assert not torch.allclose(network.eval().embed(clips), plain.embed(clips))


def test_adapters_in_a_frozen_backbone_are_a_mistake(checkpoints: Path) -> None:
    with pytest.raises(UserError, match=r"model\.hf\.freeze=true and model\.hf\.lora_rank=2"):
        built(checkpoints / "videomae", "model.hf.freeze=true", "model.hf.lora_rank=2")


def test_equal_seeds_give_equal_fresh_weights(checkpoints: Path) -> None:
    first, second = (built(checkpoints / "bare", "model.hf.lora_rank=2") for _ in range(2))
    other = second.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in first.state_dict().items())


def test_a_hub_id_is_told_by_its_commit_and_warned_of_without_revision(
    checkpoints: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    first, second = "1" * 40, "2" * 40
    assert outside_hashes("hf:owner/tiny") == {}
    for commit in (first, second):
        publish(checkpoints / "videomae", tmp_path, "tiny", commit)
        caplog.clear()
        built(Path("owner/tiny"))
        (line,) = caplog.messages
        assert re.search(rf"owner/tiny: without @revision .* hf:owner/tiny@{commit}$", line)
        assert outside_hashes("hf:owner/tiny") == {"hf:owner/tiny": commit}
    caplog.clear()
    pinned = f"owner/tiny@{first}"
    built(Path(pinned))
    built(checkpoints / "videomae")
    assert caplog.messages == []
    assert outside_hashes(f"hf:{pinned}") == {f"hf:{pinned}": first}


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def broken(checkpoints: Path, folder: Path) -> Path:
    return shutil.copytree(checkpoints / "videomae", folder / "broken")


def test_what_is_no_backbone_is_refused_in_a_sentence(checkpoints: Path, tmp_path: Path) -> None:
    folder = broken(checkpoints, tmp_path)
    with pytest.raises(UserError, match=r"hf:.*nowhere: no backbone there \(.*give a folder"):
        built(tmp_path / "nowhere")
    with pytest.raises(UserError, match="hf:some/model: no backbone there"):
        built(Path("some/model"))
    transformers.BertConfig().save_pretrained(folder)
    with pytest.raises(UserError, match=r"'bert' is no video classification backbone.*vjepa2"):
        built(folder)


def test_weights_in_a_pickle_are_never_opened(checkpoints: Path, tmp_path: Path) -> None:
    folder = broken(checkpoints, tmp_path)
    (folder / "model.safetensors").unlink()

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    torch.save(Bomb(), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"weights that can be used .*only safetensors are read"):
        built(folder)
    assert not (tmp_path / "exploded").exists()


def test_damaged_and_misshapen_weights_are_refused(checkpoints: Path, tmp_path: Path) -> None:
    folder = broken(checkpoints, tmp_path)
    edit(folder / "config.json", hidden_size=32)
    with pytest.raises(UserError, match="no weights that can be used"):
        built(folder)
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="no weights that can be used"):
        built(folder)


def test_no_code_of_the_checkpoint_and_none_of_the_hub_is_run(
    checkpoints: Path, tmp_path: Path
) -> None:
    folder = broken(checkpoints, tmp_path)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'exploded')!r}, 'w')")
    own = {"AutoConfig": "evil.Config", "AutoModelForVideoClassification": "evil.Model"}
    edit(folder / "config.json", auto_map=own, attn_implementation="someone/kernels")
    network = built(folder)
    assert not (tmp_path / "exploded").exists()
    assert network.backbone.config._attn_implementation in ("sdpa", "eager")
    assert not {"auto_map", "attn_implementation"} & network.config.keys()


def test_a_hostile_card_picks_no_attention_code_and_no_other_model(checkpoints: Path) -> None:
    values = {
        k: v for k, v in built(checkpoints / "videomae").architecture().items() if k != "name"
    }
    config = {**values["config"], "attn_implementation": "someone/kernels"}
    network = HfNet.from_architecture(**{**values, "config": config})
    assert network.backbone.config._attn_implementation in ("sdpa", "eager")
    with pytest.raises(ValueError, match="'bert' is no video classification backbone"):
        HfNet.from_architecture(**{**values, "model_type": "bert"})


def test_a_missing_preprocessor_is_named(checkpoints: Path, tmp_path: Path) -> None:
    folder = broken(checkpoints, tmp_path)
    edit(folder / "preprocessor_config.json", crop_size=224)
    with pytest.raises(UserError, match="frames of 224 pixels for a backbone that takes 32"):
        built(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"preprocessor_config\.json: missing; it must say"):
        built(folder)
