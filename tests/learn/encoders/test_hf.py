from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn.encoders.hf import HfEncoder
from pipeline.learn.encoders.hf_kinds import KINDS
from pipeline.learn.networks.hf import HfNet
from tests.learn.encoders.tiny import WAVES, WHISPER, publish

SIDE = 32
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
PICTURE = {**SMALL, "image_size": SIDE, "patch_size": 8}
TEXT = {**SMALL, "vocab_size": 8, "bos_token_id": 1, "eos_token_id": 2}
CONFIGS = {
    "dinov2": transformers.Dinov2Config(**PICTURE),
    "dinov2_with_registers": transformers.Dinov2WithRegistersConfig(
        **PICTURE, num_register_tokens=3
    ),
    "dinov3_vit": transformers.DINOv3ViTConfig(**PICTURE, num_register_tokens=3),
    "vit": transformers.ViTConfig(**PICTURE),
    "siglip": transformers.SiglipConfig(vision_config=PICTURE, text_config=TEXT),
    "clip": transformers.CLIPConfig(vision_config=PICTURE, text_config=TEXT),
    "resnet": transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
    "timesformer": transformers.TimesformerConfig(**PICTURE, num_frames=4),
    "videomae": transformers.VideoMAEConfig(**PICTURE, num_frames=4, tubelet_size=2),
    "vjepa2": transformers.VJEPA2Config(
        **{**SMALL, "hidden_size": 24},
        patch_size=8,
        crop_size=SIDE,
        frames_per_clip=4,
        pred_hidden_size=16,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    ),
    "ast": transformers.ASTConfig(**SMALL, max_length=64, num_mel_bins=32),
    "clap": transformers.ClapConfig(
        audio_config={
            "patch_embeds_hidden_size": 8,
            "hidden_size": 16,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
            "spec_size": 32,
            "num_mel_bins": 8,
            "window_size": 4,
        },
        text_config=TEXT,
    ),
    "wav2vec2": transformers.Wav2Vec2Config(
        **SMALL, **WAVES, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2
    ),
    "whisper": transformers.WhisperConfig(**WHISPER),
}
NORMAL = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.4]}
SQUARE = {"height": SIDE, "width": SIDE}
SQUEEZED = {"image_processor_type": "ViTImageProcessor", "size": SQUARE, "resample": 2, **NORMAL}
CROPPED = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 40},
    "crop_size": SQUARE,
    "do_center_crop": True,
    "resample": 3,
    **NORMAL,
}
EXTRACTORS: dict[str, dict[str, Any]] = {
    "ast": {
        "feature_extractor_type": "ASTFeatureExtractor",
        "sampling_rate": 16000,
        "max_length": 64,
        "num_mel_bins": 32,
    },
    "clap": {
        "feature_extractor_type": "ClapFeatureExtractor",
        "feature_size": 8,
        "sampling_rate": 8000,
        "hop_length": 80,
        "max_length_s": 1,
        "truncation": "rand_trunc",
    },
    "wav2vec2": {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000},
    "whisper": {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": 8,
        "sampling_rate": 16000,
        "chunk_length": 1,
    },
}
PREPROCESSORS = {
    **dict.fromkeys(CONFIGS, CROPPED),
    "siglip": {**SQUEEZED, "image_processor_type": "SiglipImageProcessor"},
    "vit": SQUEEZED,
    **EXTRACTORS,
}
OF_ANY_SIZE = ["dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "siglip", "clip", "vjepa2"]
CARD = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# A model\n"

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter:UserWarning")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models as they are published."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    for name, config in CONFIGS.items():
        transformers.AutoModel.from_config(config).save_pretrained(folder / name)
        (folder / name / "preprocessor_config.json").write_text(json.dumps(PREPROCESSORS[name]))
    (folder / "dinov2" / "README.md").write_text(CARD)
    return folder


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def taken_by(encoder: HfEncoder) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    if encoder.modality == "sound":
        return 0.1 * torch.randn(2, int(encoder.rate_hz) // 4, generator=generator)
    frames = torch.randint(0, 256, (2, 6, 40, 40, 3), dtype=torch.uint8, generator=generator)
    return frames if encoder.modality == "video" else frames[:, 0]


def rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}


def own_model(folder: Path) -> Any:
    """The checkpoint as transformers itself loads it, at half precision."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    model.load_state_dict(rounded(model.state_dict()))
    return model


def expected(folder: Path, encoder: HfEncoder, taken: Tensor) -> Tensor:
    """Features by transformers alone, of input that is prepared already."""
    model, given = own_model(folder), encoder._prepared(taken)
    with torch.no_grad():
        match folder.name:
            case "dinov2" | "vit":
                tokens = model(given).last_hidden_state
                return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
            case "dinov2_with_registers" | "dinov3_vit":
                tokens = model(given).last_hidden_state
                assert tokens.shape[1] == 1 + 3 + (SIDE // 8) ** 2
                return torch.cat([tokens[:, 0], tokens[:, 4:].mean(1)], dim=1)
            case "siglip":
                found = model.vision_model(given)
                return torch.cat([found.pooler_output, found.last_hidden_state.mean(1)], dim=1)
            case "clip":
                found = model.vision_model(given)
                patches = found.last_hidden_state[:, 1:].mean(1)
                return torch.cat([found.pooler_output, patches], dim=1)
            case "resnet":
                return model(given).last_hidden_state.mean((2, 3))
            case "timesformer":
                tokens = model(given).last_hidden_state
                return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
            case "videomae":
                return model(given).last_hidden_state.mean(1)
            case "vjepa2":
                return model.get_vision_features(given).mean(1)
            case "ast":
                tokens = model(given).last_hidden_state
                # A quarter of a second has 23 frames, and a patch begins at every tenth.
                patches = tokens[:, 2:].unflatten(1, (2, 5))[:, :, :3].flatten(1, 2)
                return torch.cat([tokens[:, 0], patches.mean(1)], dim=1)
            case "clap":
                return model.audio_model(given).last_hidden_state.mean((2, 3))
            case "wav2vec2":
                return model(given).last_hidden_state.mean(1)
            case "whisper":
                # A quarter of a second of the second that it is padded to.
                return model.encoder(given).last_hidden_state[:, :13].mean(1)
    raise AssertionError(folder.name)


@pytest.mark.parametrize("name", CONFIGS)
def test_features_are_the_first_token_and_the_mean_of_what_was_seen_or_heard(
    checkpoints: Path, name: str
) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / name))
    taken = taken_by(encoder)
    features = encoder(taken)
    assert features.shape == (2, encoder.num_features)
    assert features.dtype == torch.float32
    torch.testing.assert_close(
        features, expected(checkpoints / name, encoder, taken), rtol=0, atol=1e-5
    )
    assert (features[0] - features[1]).abs().max() > 1e-4
    assert torch.equal(features, encoder(taken))


@pytest.mark.parametrize("name", CONFIGS)
def test_an_encoder_is_rebuilt_from_json_and_half_its_bits_without_its_folder(
    checkpoints: Path, tmp_path: Path, name: str
) -> None:
    source = shutil.copytree(checkpoints / name, tmp_path / "source")
    encoder = HfEncoder.from_checkpoint(str(source))
    shutil.rmtree(source)
    described = json.dumps(encoder.architecture())
    assert str(tmp_path) not in described
    values = json.loads(described)
    assert values == encoder.architecture(), "a card gives back what was written"
    assert values.pop("name") == "hf"
    again = HfEncoder.from_architecture(**values)
    again.load_state_dict({key: value.half() for key, value in encoder.state_dict().items()})
    taken = taken_by(encoder)
    assert torch.equal(again(taken), encoder(taken))
    assert again.architecture() == encoder.architecture()
    assert again.provenance() == encoder.provenance()
    assert (again.modality, again.num_features) == (encoder.modality, encoder.num_features)
    assert (again.num_frames, again.rate_hz) == (encoder.num_frames, encoder.rate_hz)


def test_nothing_of_an_encoder_is_trained(checkpoints: Path) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / "wav2vec2")).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    taken = taken_by(encoder).requires_grad_()
    assert not encoder(taken).requires_grad


@pytest.mark.parametrize("name", ["dinov3_vit", "vjepa2", "whisper"])
def test_autocast_changes_little_and_no_type(checkpoints: Path, name: str) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / name))
    taken = taken_by(encoder)
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(taken)
    assert found.dtype == torch.float32
    assert 0 < (found - encoder(taken)).abs().max() < 0.05


@pytest.mark.parametrize("side", [SIDE, 48])
@pytest.mark.parametrize("name", ["dinov2", "vit", "siglip", "videomae"])
def test_frames_are_prepared_as_the_checkpoint_s_own_processor_does(
    checkpoints: Path, name: str, side: int
) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / name))
    generator = torch.Generator().manual_seed(3)
    # Far from black and white, where Pillow cuts curves that swing beyond after each direction.
    frames = torch.randint(64, 192, (4, side, side, 3), dtype=torch.uint8, generator=generator)
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoints / name)
    # Without the border that they would cut away.
    own = processor(
        list(frames.numpy()), size=SQUARE, do_center_crop=False, return_tensors="pt"
    ).pixel_values
    found = encoder._prepared(frames[None])[0] if name == "videomae" else encoder._prepared(frames)
    # Processors round to whole values between resizing and normalising.
    steps = 0.01 if side == SIDE else 2
    assert found.shape == (4, 3, SIDE, SIDE)
    assert (found - own.reshape(found.shape)).abs().max() <= steps / 255 / 0.2


@pytest.mark.parametrize("name", EXTRACTORS)
def test_sound_is_prepared_as_the_checkpoint_s_own_extractor_does(
    checkpoints: Path, name: str
) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / name))
    assert encoder.modality == "sound"
    assert encoder.rate_hz == (8000 if name == "clap" else 16000)
    taken = taken_by(encoder)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(checkpoints / name)
    own = extractor(list(taken.numpy()), sampling_rate=int(encoder.rate_hz), return_tensors="np")
    np.testing.assert_array_equal(
        encoder._prepared(taken).numpy(),
        np.asarray(own[encoder.model.main_input_name], np.float32),
    )


def test_long_sound_is_cut_at_its_end_and_not_by_lot(checkpoints: Path) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / "clap"))
    taken = torch.randn(1, 3 * int(encoder.rate_hz), generator=torch.Generator().manual_seed(0))
    assert torch.equal(encoder(taken), encoder(taken[:, : int(encoder.rate_hz)]))


def test_silence_that_a_model_is_padded_with_is_not_averaged(checkpoints: Path) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / "whisper"))
    taken = taken_by(encoder)
    padded = torch.nn.functional.pad(taken, (0, 3 * taken.shape[1]))
    assert (encoder(taken) - encoder(padded)).abs().max() > 1e-3


@pytest.mark.parametrize("name", OF_ANY_SIZE)
def test_frames_of_another_size_are_seen_where_the_encoder_can(
    checkpoints: Path, name: str
) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / name), size=48)
    taken = taken_by(encoder)
    assert encoder._prepared(taken).shape[-2:] == (48, 48)
    assert encoder(taken).shape == (2, encoder.num_features)
    values = encoder.architecture()
    del values["name"]
    again = HfEncoder.from_architecture(**values)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(taken), encoder(taken))
    with pytest.raises(UserError, match=r"conf/embed.yaml.*size=50.*such as 48"):
        HfEncoder.from_checkpoint(str(checkpoints / name), size=50)


def test_frames_of_another_size_are_refused_where_it_cannot(checkpoints: Path) -> None:
    with pytest.raises(UserError, match=r"size=48.*set size=32"):
        HfEncoder.from_checkpoint(str(checkpoints / "videomae"), size=48)


def test_video_is_seen_in_as_many_frames_as_it_takes(checkpoints: Path) -> None:
    encoder = HfEncoder.from_checkpoint(str(checkpoints / "videomae"))
    assert (encoder.modality, encoder.num_frames) == ("video", 4)
    taken = taken_by(encoder)
    assert torch.equal(encoder(taken), encoder(taken[:, [0, 2, 3, 5]]))


def test_a_video_backbone_and_an_encoder_read_the_same_folder(checkpoints: Path) -> None:
    folder = str(checkpoints / "videomae")
    network = HfNet.from_checkpoint(folder, dropout=0, freeze=True, layer_decay=1, lora_rank=0)
    assert network.pixels == HfEncoder.from_checkpoint(folder).pixels


def test_where_the_weights_come_from_is_told_without_a_path(checkpoints: Path) -> None:
    (found,) = HfEncoder.from_checkpoint(str(checkpoints / "dinov2")).provenance()
    data = (checkpoints / "dinov2" / "model.safetensors").read_bytes()
    assert found == {
        "name": "dinov2",
        "origin": "folder dinov2",
        "licence": "apache-2.0",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (silent,) = HfEncoder.from_checkpoint(str(checkpoints / "vit")).provenance()
    assert silent["licence"] == "not stated by the checkpoint"


def test_weights_in_several_files_are_one_hash(checkpoints: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoints / "dinov2", tmp_path / "divided")
    (folder / "model.safetensors").unlink()
    model = transformers.Dinov2Model.from_pretrained(checkpoints / "dinov2")
    model.save_pretrained(folder, max_shard_size=8000)
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 1
    lines = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in files]
    # Not of the checkpoint.
    (folder / "adapter.safetensors").write_bytes(b"another")
    divided = HfEncoder.from_checkpoint(str(folder))
    assert divided.provenance()[0]["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    taken = taken_by(divided)
    assert torch.equal(
        divided(taken), HfEncoder.from_checkpoint(str(checkpoints / "dinov2"))(taken)
    )


def test_a_hub_id_is_told_by_its_commit_and_warned_of_without_revision(
    checkpoints: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "1" * 40
    publish(checkpoints / "dinov2", tmp_path, "tiny", commit)
    with caplog.at_level(logging.WARNING):
        (found,) = HfEncoder.from_checkpoint("owner/tiny").provenance()
    (line,) = caplog.messages
    assert re.search(rf"conf/embed.yaml.*without @revision .* hf:owner/tiny@{commit}$", line)
    assert found["name"] == "owner/tiny"
    assert found["origin"] == f"hub owner/tiny@{commit}"
    assert found["licence"] == "apache-2.0"
    caplog.clear()
    assert HfEncoder.from_checkpoint(f"owner/tiny@{commit}").provenance() == [found]
    assert caplog.messages == []


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def folder(checkpoints: Path, tmp_path: Path) -> Path:
    """A checkpoint to break."""
    return shutil.copytree(checkpoints / "dinov2", tmp_path / "broken")


def test_a_missing_folder_is_told_in_full_and_the_hub_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoders").mkdir()

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", asked)
    for name in ("encoders/tiny", "./tiny", "a/b/c", str(tmp_path / "tiny")):
        found = re.escape(str((tmp_path / name).absolute()))
        with pytest.raises(UserError, match=rf"hf:{re.escape(name)}: .*\({found}: no such folder"):
            HfEncoder.from_checkpoint(name)


def test_a_hub_id_that_cannot_be_had_is_told_with_the_folder_that_it_could_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"there is no folder {tmp_path}/some/model\)"):
        HfEncoder.from_checkpoint("some/model")


def test_what_is_no_encoder_is_refused_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    asked = r"conf/embed\.yaml: name=hf:"
    with pytest.raises(UserError, match=rf"{asked}.*nowhere: no backbone there \(.*give a folder"):
        HfEncoder.from_checkpoint(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=rf"{asked}some/model: no backbone there"):
        HfEncoder.from_checkpoint("some/model")
    transformers.BertConfig().save_pretrained(folder)
    with pytest.raises(UserError, match=rf"{asked}.*'bert' is no encoder of pictures.*dinov2"):
        HfEncoder.from_checkpoint(str(folder))


def test_code_of_the_checkpoint_is_never_run(folder: Path, tmp_path: Path) -> None:
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'exploded')!r}, 'w')")
    own = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    edit(folder / "config.json", auto_map=own, attn_implementation="someone/kernels")
    encoder = HfEncoder.from_checkpoint(str(folder))
    assert encoder.model.config._attn_implementation in ("sdpa", "eager")
    assert not {"auto_map", "attn_implementation"} & encoder.config.keys()
    edit(folder / "config.json", model_type="evil")
    with pytest.raises(UserError, match=r"conf/embed\.yaml.*code of its own.*take one of a kind"):
        HfEncoder.from_checkpoint(str(folder))
    assert not (tmp_path / "exploded").exists()


def test_a_hostile_card_picks_no_other_model_and_no_other_code(checkpoints: Path) -> None:
    values = HfEncoder.from_checkpoint(str(checkpoints / "ast")).architecture()
    del values["name"]
    with pytest.raises(ValueError, match="'bert' is no encoder"):
        HfEncoder.from_architecture(**{**values, "model_type": "bert"})
    with pytest.raises(ValueError, match="'dinov2' is an encoder of picture"):
        HfEncoder.from_architecture(**{**values, "model_type": "dinov2"})
    config = {**values["config"], "attn_implementation": "someone/kernels"}
    sound = {**values["sound"], "feature_extractor_type": "Evil", "__class__": "Evil"}
    encoder = HfEncoder.from_architecture(**{**values, "config": config, "sound": sound})
    assert encoder.model.config._attn_implementation in ("sdpa", "eager")
    assert encoder.architecture()["sound"] == values["sound"]


def test_weights_that_are_missing_damaged_or_in_a_pickle_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    weights = folder / "model.safetensors"
    kept = transformers.Dinov2Model.from_pretrained(folder)
    kept.encoder.layer = kept.encoder.layer[:1]
    kept.save_pretrained(folder)
    edit(folder / "config.json", num_hidden_layers=2)
    with pytest.raises(UserError, match=r"18 weights .* are missing, such as encoder\.layer\.1"):
        HfEncoder.from_checkpoint(str(folder))
    weights.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"conf/embed\.yaml.*no weights that can be used"):
        HfEncoder.from_checkpoint(str(folder))
    weights.unlink()

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    torch.save(Bomb(), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="only safetensors are read"):
        HfEncoder.from_checkpoint(str(folder))
    assert not (tmp_path / "exploded").exists()


def test_weights_beyond_half_precision_are_refused(folder: Path) -> None:
    model = transformers.Dinov2Model.from_pretrained(folder)
    torch.nn.init.constant_(model.layernorm.weight, 1e6)
    model.save_pretrained(folder)
    with pytest.raises(UserError, match=r"layernorm\.weight has values beyond half precision"):
        HfEncoder.from_checkpoint(str(folder))


@pytest.mark.parametrize(("name", "says"), [("dinov2", "image_mean"), ("whisper", "Whisper")])
def test_a_missing_preprocessor_is_named(
    checkpoints: Path, tmp_path: Path, name: str, says: str
) -> None:
    folder = shutil.copytree(checkpoints / name, tmp_path / "broken")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=rf"preprocessor_config\.json: missing; it must.*{says}"):
        HfEncoder.from_checkpoint(str(folder))


@pytest.mark.parametrize(
    ("name", "section"), [("siglip", "image_processor"), ("clap", "feature_extractor")]
)
def test_a_preprocessor_among_others_is_found(
    checkpoints: Path, tmp_path: Path, name: str, section: str
) -> None:
    folder = shutil.copytree(checkpoints / name, tmp_path / "joined")
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({section: PREPROCESSORS[name]}))
    joined = HfEncoder.from_checkpoint(str(folder)).architecture()
    apart = HfEncoder.from_checkpoint(str(checkpoints / name)).architecture()
    assert joined["pixels"] == apart["pixels"]
    assert joined["sound"] == apart["sound"]


def test_without_transformers_the_remedy_is_named(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = HfEncoder.from_checkpoint(str(checkpoints / "dinov2")).architecture()
    del values["name"]
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"conf/embed\.yaml.*pip install '\.\[hf\]'"):
        HfEncoder.from_checkpoint(str(checkpoints / "dinov2"))
    with pytest.raises(UserError, match=r"pip install '\.\[hf\]'"):
        HfEncoder.from_architecture(**values)


HIERARCHY = {"image_size": SIDE, "patch_size": 4, "embed_dim": 8, "window_size": 4}
STAGES = {"depths": [1, 1], "num_heads": [2, 2]}
POSITIONS = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
OTHERS: dict[str, dict[str, Any]] = {
    "beit": PICTURE,
    "convnext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "convnextv2": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "data2vec-vision": PICTURE,
    "deit": PICTURE,
    "dinov3_convnext": {"hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1]},
    "ijepa": PICTURE,
    "swin": {**HIERARCHY, **STAGES},
    "swinv2": {**HIERARCHY, **STAGES},
    "vit_msn": PICTURE,
    "vivit": {**SMALL, "image_size": SIDE, "num_frames": 4, "tubelet_size": [2, 8, 8]},
    "data2vec-audio": {**SMALL, **WAVES, **POSITIONS},
    "hubert": {**SMALL, **WAVES, **POSITIONS},
    "unispeech": {**SMALL, **WAVES, **POSITIONS},
    "unispeech-sat": {**SMALL, **WAVES, **POSITIONS},
    "wav2vec2-conformer": {**SMALL, **WAVES, **POSITIONS},
    "wavlm": {**SMALL, **WAVES, **POSITIONS},
}


@pytest.mark.parametrize("model_type", OTHERS)
def test_every_other_kind_is_read_and_rebuilt(tmp_path: Path, model_type: str) -> None:
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[model_type](**OTHERS[model_type])
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    heard = KINDS[model_type].modality == "sound"
    preprocessor = EXTRACTORS["wav2vec2"] if heard else CROPPED
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    encoder = HfEncoder.from_checkpoint(str(tmp_path))
    values = json.loads(json.dumps(encoder.architecture()))
    del values["name"]
    again = HfEncoder.from_architecture(**values)
    again.load_state_dict(encoder.state_dict())
    taken = taken_by(encoder)
    features = encoder(taken)
    assert features.shape == (2, encoder.num_features)
    assert (features[0] - features[1]).abs().max() > 1e-4
    assert torch.equal(again(taken), features)


def test_every_kind_is_tried() -> None:
    towers = {"siglip_vision_model", "clip_vision_model", "clap_audio_model"}
    own = {config.model_type for config in CONFIGS.values()} - {"siglip", "clip", "clap"}
    assert set(KINDS) == own | towers | set(OTHERS)
