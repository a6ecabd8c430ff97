"""Trained weights as ONNX graphs: from a clip, or from a frame and what came before it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn.memory import begin, follow
from pipeline.learn.model_card import ModelCard
from pipeline.learn.networks.base import Network, State, Streaming
from pipeline.store.sound import num_samples

OPSET = 18
MAX_BYTES = 2**31
"""What a protocol buffer may hold."""
CLIPS, FRAMES, SOUNDS, PROBABILITIES = "clips", "frames", "sounds", "probabilities"
STATE, NEXT = "state_", "next_"
"""What the names of a stream's state begin with, as inputs and as outputs."""
PAST = "memory_"
"""What follows in the names of what a memory holds."""
# They tell of every node that they fold; torch warns of every torchvision operator that it does not
# need.
_LOGGED_FROM = {
    "onnx_ir": logging.WARNING,
    "onnxscript": logging.WARNING,
    "torch.onnx": logging.ERROR,
}


class ClipForm(nn.Module):
    """uint8 clips (N, T, H, W, 3) to float32 calibrated probabilities (N, 4).

    A network that hears takes their sounds, int16 (N, S), too.
    """

    def __init__(self, network: Network, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, clips: Tensor, *sounds: Tensor) -> Tensor:
        """Calibrated probabilities (N, 4) of clips."""
        return (self.network(clips, *sounds) / self.temperature).softmax(1)


class StreamForm(nn.Module):
    """uint8 frames (N, H, W, 3) and the state before them to probabilities and the state after.

    A network that hears takes the sounds of the frames, int16 (N, S), too. What a memory holds is
    part of the state.
    """

    def __init__(self, network: Streaming, card: ModelCard) -> None:
        super().__init__()
        self.network, self.card = network, card

    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros."""
        state, memory = self.network.start(num_streams), self.card.memory
        past = {} if memory is None else begin(memory, num_streams, torch.float32)
        return state | {f"{PAST}{name}": value for name, value in past.items()}

    def forward(self, frames: Tensor, state: State, *sounds: Tensor) -> tuple[Tensor, State]:
        """Calibrated probabilities (N, 4) of frames, and the state after them."""
        form, memory = self.card.clip, self.card.memory
        past = {
            name.removeprefix(PAST): value for name, value in state.items() if name.startswith(PAST)
        }
        own = {name: value for name, value in state.items() if not name.startswith(PAST)}
        logits, own = self.network.step(frames, own, *sounds)
        logits = logits / self.card.temperature
        if memory is not None:
            clip_s = form.num_frames / form.fps
            logits, _, past = follow(
                memory, logits, past, num_answers=form.num_frames, clip_s=clip_s
            )
        return logits.softmax(1), own | {f"{PAST}{name}": value for name, value in past.items()}


def clip_form(detector: Detector) -> Any:
    """An `onnx.ModelProto` that answers for any number of clips.

    Raises:
        UserError: the network does not export.
    """
    form = detector.card.clip
    size = (2, form.num_frames, form.size, form.size, 3)
    clips = {0: torch.export.Dim(CLIPS)}
    sounds = _sounds(detector, form.num_frames)
    return _export(
        ClipForm(detector.network, detector.card.temperature),
        (torch.zeros(size, dtype=torch.uint8), *sounds),
        dynamic=(clips, *([(clips,)] if sounds else [])),
        inputs=[CLIPS, *([SOUNDS] if sounds else [])],
        outputs=[PROBABILITIES],
    )


def stream_form(detector: Detector) -> Any:
    """An `onnx.ModelProto` of one step of any number of streams, of a causal network.

    Its state begins as zeros; after a step, what begins with `NEXT` goes back in under `STATE`.

    Raises:
        UserError: the network does not export.
    """
    network, size = detector.network, detector.card.clip.size
    assert isinstance(network, Streaming), network
    form = StreamForm(network, detector.card)
    state = form.start(2)
    streams = {0: torch.export.Dim("streams")}
    sounds = _sounds(detector, 1)
    return _export(
        form,
        # The empty dictionary keeps the state from being taken for arguments by name.
        (torch.zeros(2, size, size, 3, dtype=torch.uint8), state, *sounds, {}),
        dynamic=(streams, dict.fromkeys(state, streams), *([(streams,)] if sounds else [])),
        inputs=[
            *(FRAMES, *(f"{STATE}{name}" for name in state)),
            *([SOUNDS] if sounds else []),
        ],
        outputs=[PROBABILITIES, *(f"{NEXT}{name}" for name in state)],
    )


def _sounds(detector: Detector, num_frames: int) -> tuple[Tensor, ...]:
    """Two sounds that last as long as some frames, for a network that hears; else none."""
    if not detector.hears:
        return ()
    return (torch.zeros(2, num_samples(num_frames, detector.card.clip.fps), dtype=torch.int16),)


def _export(
    form: nn.Module,
    example: tuple[Any, ...],
    *,
    dynamic: Any,
    inputs: list[str],
    outputs: list[str],
) -> Any:
    num_bytes = sum(value.nbytes for value in form.state_dict().values())
    if num_bytes >= MAX_BYTES:
        raise UserError(
            f"weights of {num_bytes / 2**30:.1f} GiB do not fit into an ONNX file, which holds "
            "less than 2; train a smaller backbone"
        )
    try:
        with torch.no_grad(), _libraries_quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                form.eval(),
                example,
                dynamo=True,
                dynamic_shapes=dynamic,
                input_names=inputs,
                output_names=outputs,
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(f"this network cannot become ONNX: {reason}") from error
    assert program is not None
    model = program.model_proto
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise UserError(
            "this network can become ONNX for a fixed number of clips only; where it asks for "
            "len(clips), let it ask for clips.shape[0]"
        )
    return model


@contextmanager
def _libraries_quiet() -> Iterator[None]:
    """Keep what the exporter's libraries tell of their own work from the user's log."""
    before = {name: logging.getLogger(name).level for name in _LOGGED_FROM}
    for name, level in _LOGGED_FROM.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def serialise(model: Any, properties: Mapping[str, Any]) -> bytes:
    """The bytes of an `onnx.ModelProto`, the same wherever and whenever it was made.

    Args:
        properties: JSON values, which go into `metadata_props`, a text by name.
    """
    # They hold the paths of the source that the graph was traced from.
    for message in (
        model,
        *_messages(model.graph),
        *chain.from_iterable(map(_messages, model.functions)),
    ):
        message.ClearField("metadata_props")
        if "doc_string" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("doc_string")
    for name, value in sorted(properties.items()):
        entry = model.metadata_props.add()
        entry.key = name
        entry.value = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _messages(graph: Any) -> Iterator[Any]:
    """A graph or a function, and all inside of it, the branches of its conditions too."""
    yield graph
    for name in ("input", "output", "value_info", "initializer", "node"):
        for message in getattr(graph, name, ()):
            # Inputs and outputs of a function are names alone.
            if not isinstance(message, str):
                yield message
    for node in graph.node:
        for attribute in node.attribute:
            for branch in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _messages(branch)


def first_state(session: Any, num_streams: int) -> dict[str, NDArray[Any]]:
    """Return what an `onnxruntime.InferenceSession` of a stream takes beside the first frames."""
    types = {
        **{"tensor(float)": np.float32, "tensor(int64)": np.int64},
        **{"tensor(int16)": np.int16},
    }
    return {
        value.name: np.zeros([num_streams, *value.shape[1:]], types[value.type])
        for value in session.get_inputs()
        if value.name not in (FRAMES, SOUNDS)
    }


def signature(values: Any) -> dict[str, dict[str, Any]]:
    """Type and shape of inputs or outputs by name; a text in a shape is any number."""
    import onnx

    return {
        value.name: {
            "type": onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            "shape": [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        }
        for value in values
    }
