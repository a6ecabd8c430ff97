from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.config import ClipFormat
from pipeline.errors import UserError
from pipeline.learn.networks import rebuild
from pipeline.learn.networks.own import OwnNet
from tests.learn.networks.nets import random_clips

CLIP = ClipFormat(num_frames=4, size=32, fps=15.0, crf=18)
PLAIN = """
import torch
class Plain(torch.nn.Module):
    def __init__(self, num):
        super().__init__()
        self.head = torch.nn.Linear(3, num)
        self.drop = torch.nn.Dropout(0.5)
    def forward(self, clips):
        assert clips.dtype == torch.uint8
        return self.drop(self.head(clips.float().mean((1, 2, 3))))
def make(clip):
    assert clip.size == 32
    return Plain(4)
def five(clip):
    return Plain(5)
def nothing(clip):
    return None
number = 3
"""
DERIVED = """
from tests.learn.networks.nets import Framewise
def make(clip):
    return Framewise()
"""
Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_a_plain_module_gets_bytes_and_its_logits_are_the_answer(write: Write) -> None:
    write("plain_net", PLAIN)
    network = OwnNet("plain_net:make", CLIP)
    assert network.training
    clips = random_clips(2, 4)
    answer = network.eval()(clips)
    assert torch.equal(answer, network.inner(clips))
    assert torch.equal(network(clips.float() + 0.3), answer)
    assert network.num_features == network.embed(clips).shape[1] == 4


def test_a_network_of_ours_is_used_as_it_is(write: Write) -> None:
    write("derived_net", DERIVED)
    network = OwnNet("derived_net:make", CLIP)
    assert network.num_features == network.embed(random_clips(2, 4)).shape[1] == 16
    grouped = [p for group in network.parameter_groups() for p in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))


def test_it_is_rebuilt_only_when_its_code_is_trusted(write: Write, tmp_path: Path) -> None:
    write("traced_net", "import pathlib\npathlib.Path(__file__ + '.ran').touch()" + PLAIN)
    ran = tmp_path / "traced_net.py.ran"
    architecture = {
        "name": "own",
        "factory": "traced_net:make",
        "clip": {"num_frames": 4, "size": 32, "fps": 15.0, "crf": 18},
    }
    for trusted in (None, "other:make"):
        with pytest.raises(UserError, match="traced_net:make, whose code runs only when you"):
            rebuild(architecture, trusted)
    assert not ran.exists()
    assert rebuild(architecture, "traced_net:make").architecture() == architecture
    assert ran.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_x:make", "cannot import no_such_module_x .No module named"),
        ("wrong_net:absent", "has no function 'absent'"),
        ("wrong_net:number", "has no function 'number'"),
        ("wrong_net:nothing", "made a NoneType"),
        ("wrong_net:five", r"gave \(2, 5\) for 2 clips; give logits of shape \(2, 4\)"),
    ],
)
def test_what_is_no_network_is_refused(write: Write, name: str, message: str) -> None:
    write("wrong_net", PLAIN)
    with pytest.raises(UserError, match=message):
        OwnNet(name, CLIP)
