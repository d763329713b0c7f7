"""What a request asks: a picture, in one of three ways, and which nets look at it; anything else is refused."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from flask import abort
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from bench.core.errors import DataError, UnknownNameError
from bench.data.own.arrays.images import Named, convert_images
from bench.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from flask import Request

    from bench.data.given.prepare import Prepared
    from bench.deploy.nets import UsableNet
    from bench.deploy.serving.playground import Loaded

    Prepare: TypeAlias = Callable[[bytes, Loaded], Prepared]

_PARAMETERS = ("architecture", "layers")
_PLAIN = ("application/octet-stream", "")
_MOST_SHOWN = 60
_DATA_URL = re.compile(r"data:[\w/+.-]*;base64,")
"""What stands before the base64 that a browser's `toDataURL` gives."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that can be answered.

    Attributes:
        prepared: The picture as nets take it.
        nets: Those that are asked.
        watched: The one whose layers are wanted; None for none.
    """

    prepared: Prepared
    nets: Sequence[UsableNet]
    watched: UsableNet | None


def read_asked(request: Request, loaded: Loaded, *, prepare: Prepare) -> Asked:
    """What a request asks; aborts with 400 for words that mean nothing, 415 for a type, 422 for a picture.

    Args:
        request: The request.
        loaded: What there is to ask.
        prepare: Prepares a picture's file for the nets that are loaded.
    """
    for name in request.args:
        if name not in _PARAMETERS:
            abort(400, f"No parameter '{_show(name)}'; there are {' and '.join(_PARAMETERS)}.")
    names = request.args.getlist("architecture")
    nets = [_find(name, loaded) for name in dict.fromkeys(names)] or list(loaded.nets)
    layers = request.args.getlist("layers")
    if len(layers) > 1:
        abort(400, "Layers of one architecture are shown at a time; give 'layers' once.")
    watched = _find(layers[0], loaded) if layers else None
    prepared = _read_picture(request, loaded, lambda content: prepare(content, loaded))
    return Asked(prepared=prepared, nets=nets, watched=watched)


def _find(name: str, loaded: Loaded) -> UsableNet:
    for net in loaded.nets:
        if net.run.name == name:
            return net
    raise BadRequest(str(UnknownNameError("architecture", _show(name), [net.run.name for net in loaded.nets])))


def _read_picture(request: Request, loaded: Loaded, prepare: Callable[[bytes], Prepared]) -> Prepared:
    kind = request.mimetype
    try:
        if kind == "application/json":
            return _read_json(request.get_data(), loaded, prepare)
        if kind == "multipart/form-data":
            given = request.files.getlist("image")
            if len(given) != 1 or len(request.files) != 1 or request.form:
                abort(400, "The form must have one file, called 'image', and nothing else.")
            return prepare(given[0].read())
        if kind.startswith("image/") or kind in _PLAIN:
            return prepare(request.get_data())
    except DataError as fault:
        abort(422, f"The picture cannot be used: {str(fault).rstrip('.')}.")
    raise UnsupportedMediaType(
        f"Content type '{_show(kind)}' is not read; give image/* or application/octet-stream for a file, "
        "multipart/form-data or application/json."
    )


def _read_json(content: bytes, loaded: Loaded, prepare: Callable[[bytes], Prepared]) -> Prepared:
    """`{"image": BASE64}`, also as a data URL, or `{"pixels": [[…]]}`: H×W, C×H×W or H×W×C, 0 to 255 or fractions."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        _refuse_json("it is no JSON")
    if not isinstance(body, dict) or len(body) != 1 or not {"image", "pixels"} & body.keys():
        _refuse_json("it is no object with 'image' or 'pixels' alone")
    if "image" in body:
        if not isinstance(body["image"], str):
            _refuse_json("'image' is no text")
        try:
            return prepare(base64.b64decode(_DATA_URL.sub("", body["image"]), validate=True))
        except (binascii.Error, ValueError):
            _refuse_json("'image' is no base64")
    return loaded.preparer.prepare_array(_read_pixels(body["pixels"], loaded))


def _read_pixels(values: Any, loaded: Loaded) -> Any:
    """(C, H, W) uint8 of nested lists."""
    try:
        array = np.array(values)
    except (ValueError, OverflowError, RecursionError):
        _refuse_json("the rows of 'pixels' differ in length, or hold numbers that are too large")
    if array.ndim not in (2, 3) or array.dtype.kind not in "iuf" or not array.size:
        _refuse_json("'pixels' is no list of rows of numbers, H×W, C×H×W or H×W×C")
    most = loaded.preparer.most_side
    if most is not None and max(array.shape) > most:
        raise DataError(f"it has {'×'.join(map(str, array.shape))} values, more than {most:,} a side")
    [images], _ = convert_images([Named("pixels", array[None])], origin="JSON")
    return np.ascontiguousarray(images[0])


def _refuse_json(why: str) -> NoReturn:
    abort(400, f"The body cannot be used: {why}; see /api/openapi.json.")


def _show(text: str) -> str:
    shown = one_line(text)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
