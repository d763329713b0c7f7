"""A net with its normalisation inside as ONNX: raw pixels in, logits out, any number of images.

The input is `images`, (N, C, H, W) uint8; the first output is `logits`, (N, classes) float32. A second file of the same
net has an output more for each layer that can be shown: where it is watched nothing can be fused, so that it is slower.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from bench.core.errors import ArchitectureError, first_line
from bench.models.trained.layers import WatchedNet
from bench.models.trained.session import INPUT, LAYERS_KEY, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.models.trained.pixels import PixelNet


class OnnxFiles(NamedTuple):
    """Content of the two files."""

    net: bytes
    layers: bytes


def make_onnx(model: PixelNet, shape: tuple[int, int, int], *, name: str, metadata: Mapping[str, str]) -> OnnxFiles:
    """Export a net by `torch.onnx.export`, traced once.

    Args:
        model: The net, on the CPU.
        shape: Channels, height and width of an image.
        name: What messages and the graph call it.
        metadata: What the files say of it, by key.

    Raises:
        ArchitectureError: torch cannot export it.
    """
    try:
        watched = WatchedNet(model, shape)
        try:
            program = _trace(watched, shape)
        finally:
            watched.release()
        return _write(program.model, watched.kinds, name=name, metadata=metadata)
    except Exception as fault:
        cause = fault.__cause__ or fault  # the exporter's own text tells of its steps, in colours
        why = first_line(cause)[:300]
        if "DataDependent" in type(cause).__name__:
            why = "its forward asks for values of the images, as by an if, and takes another way for other images"
        raise ArchitectureError(f"{name} cannot be exported to ONNX ({why}).") from fault


def _trace(watched: WatchedNet, shape: tuple[int, int, int]) -> Any:
    outputs = [OUTPUT, *(f"layer{number}" for number in range(len(watched.kinds)))]
    example = torch.zeros(2, *shape, dtype=torch.uint8)  # of one image torch takes the 1 for a constant
    with _quietly(), torch.no_grad():
        return torch.onnx.export(
            watched,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporter tells of its own deprecations, of each step, and prints the net that it could not follow."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(model: Any, kinds: Mapping[str, str], *, name: str, metadata: Mapping[str, str]) -> OnnxFiles:
    """Both files of a traced model (`onnx_ir.Model`), which is changed on the way."""
    import onnx_ir  # noqa: PLC0415 - belongs to an extra
    from onnx_ir.passes.common import RemoveUnusedNodesPass  # noqa: PLC0415

    _forget_places(model)
    graph = model.graph
    graph.name, model.producer_name, model.producer_version = name, "architecture-bench", ""
    model.metadata_props.update(metadata)
    layers = [[path, kind, output.name] for (path, kind), output in zip(kinds.items(), graph.outputs[1:], strict=True)]
    model.metadata_props[LAYERS_KEY] = json.dumps(layers)
    with_layers = onnx_ir.to_proto(model).SerializeToString()
    del model.metadata_props[LAYERS_KEY]
    del graph.outputs[1:]
    RemoveUnusedNodesPass()(model)
    return OnnxFiles(net=onnx_ir.to_proto(model).SerializeToString(), layers=with_layers)


def _forget_places(model: Any) -> None:
    """Take out where the code lay that was traced: files are published, and say nothing of this machine."""
    graph = model.graph
    graph.metadata_props.clear()
    for value in (*graph.inputs, *graph.outputs, *graph.initializers.values()):
        value.metadata_props.clear()
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
