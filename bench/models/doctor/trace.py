"""One forward pass, operation by operation: which layer asked for it, in which line, and the shapes in and out."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from bench.models.determinism import fixed_arithmetic
from bench.system.python_file import is_own_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation:
    """A function of torch as a net called it.

    Attributes:
        name: `view`, `linear` …
        layer: Path of the innermost module that was running.
        place: `net.py:12`, the innermost line of the net's file; empty where that is not known.
        inputs: Shapes of the tensors that it was given.
        outputs: Shapes of those that it gave; none where it failed.
        sizes: Whole numbers among its arguments, as a reshape has.
    """

    name: str
    layer: str
    place: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...] = ()
    sizes: tuple[int, ...] = ()

    @property
    def values(self) -> int:
        """How many values its first input has."""
        return math.prod(self.inputs[0]) if self.inputs else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trace:
    """How a forward pass of some images went.

    Attributes:
        images: How many.
        operations: Those that ended, in order.
        output: Shape of what came out; None where that is no tensor, or nothing.
        error: What it raised; None where it came to its end.
        failed: The operation that raised it; None where it was no operation of torch.
        layer: Path of the innermost module that was running then, and the shape that had arrived at it.
        arrived: That shape; empty for none.
    """

    images: int
    operations: tuple[Operation, ...]
    output: Shape | None = None
    error: BaseException | None = None
    failed: Operation | None = None
    layer: str = ""
    arrived: Shape = ()


class Watch(TorchFunctionMode):
    """Hears every function of torch that a net calls, and which module calls it."""

    def __init__(self, model: nn.Module, file: Path | None = None) -> None:
        super().__init__()
        self._names = {id(module): name for name, module in model.named_modules()}
        self._file, self._running = file, list[tuple[str, "Shape"]]()
        self.operations: list[Operation] = []
        self.failed: Operation | None = None

    @property
    def layer(self) -> str:
        """Path of the innermost module that is running, or was when something was raised."""
        return self._running[-1][0] if self._running else ""

    @property
    def arrived(self) -> Shape:
        """Shape of the first tensor that it was given."""
        return self._running[-1][1] if self._running else ()

    def __enter__(self) -> Self:
        self._handles = [
            register_module_forward_pre_hook(self._begin),
            register_module_forward_hook(self._end),
        ]
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        if id(module) in self._names:
            shapes = [tuple(value.shape) for value in find_tensors(inputs)]
            self._running.append((self._names[id(module)], shapes[0] if shapes else ()))

    def _end(self, module: nn.Module, _inputs: Any, _output: Any) -> None:
        name = self._names.get(id(module))
        while any(running == name for running, _ in self._running):  # those that raised within have not ended
            if self._running.pop()[0] == name:
                break

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        given = [*args, *kwargs.values()]
        inputs = tuple(tuple(value.shape) for value in find_tensors(given))
        if name.startswith("__") or not inputs:
            return func(*args, **kwargs)
        sizes = tuple(_find_whole_numbers(given))
        operation = Operation(name=name, layer=self.layer, place=find_place(self._file), inputs=inputs, sizes=sizes)
        try:
            output = func(*args, **kwargs)
        except BaseException:
            self.failed = operation
            raise
        outputs = tuple(tuple(value.shape) for value in find_tensors([output]))
        if outputs:
            self.operations.append(dataclasses.replace(operation, outputs=outputs))
            self.look(self.operations[-1], given, output)
        return output

    def look(self, operation: Operation, given: list[Any], output: Any) -> None:
        """What whoever listens makes of an operation that has ended; nothing here."""


def trace(model: nn.Module, images: Tensor, *, training: bool, file: Path | None) -> Trace:
    """Run a net on images (N, C, H, W), and say how it went whatever it raises."""
    watch, number = Watch(model, file), len(images)
    with fixed_arithmetic("cpu"):
        try:
            model.train(training)
            with torch.set_grad_enabled(training), watch:
                output: Any = model(images.clone())
        except BaseException as error:
            if not is_own_fault(file, error):
                raise
            return Trace(
                images=number,
                operations=tuple(watch.operations),
                error=error,
                failed=watch.failed,
                layer=watch.layer,
                arrived=watch.arrived,
            )
    shape = tuple(output.shape) if isinstance(output, Tensor) else None
    return Trace(images=number, operations=tuple(watch.operations), output=shape)


@contextlib.contextmanager
def hooked(
    model: nn.Module,
    *,
    before: Callable[[str, Any], None] | None = None,
    after: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Call `before` with the path and the inputs of each module that begins in here, and `after` when it ends.

    Scripted modules that take no hooks are not heard.
    """
    handles = []
    for name, module in model.named_modules():
        with contextlib.suppress(RuntimeError):  # it takes none
            if before is not None:
                handles.append(module.register_forward_pre_hook(lambda _, inputs, name=name: before(name, inputs)))
            if after is not None:
                handles.append(module.register_forward_hook(lambda _m, _i, _o, name=name: after(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def find_module(model: nn.Module, path: str) -> nn.Module:
    """A module of a net by its path; scripted nets have no `get_submodule`. KeyError where there is none."""
    found: nn.Module = dict(model.named_modules())[path]
    return found


def call_layer(model: nn.Module, path: str) -> str:
    """What to call a module in a sentence: `fc1`, or of one that has a number `layer 1 (Conv2d)`."""
    if not path.rpartition(".")[2].isdigit():
        return path
    return f"layer {path} ({type(find_module(model, path)).__name__})"


def find_tensors(values: Any) -> Iterator[Tensor]:
    """Tensors among values, and in lists, tuples and dicts of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from find_tensors(value.values() if isinstance(value, dict) else value)


def _find_whole_numbers(values: Any) -> Iterator[int]:
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool):
            yield int(value)
        elif isinstance(value, list | tuple):
            yield from _find_whole_numbers(value)


def find_place(file: Path | None) -> str:
    """`net.py:12`: the innermost line of a file that is running; empty when none is."""
    frame = inspect.currentframe() if file is not None else None
    while frame is not None:
        if file is not None and frame.f_code.co_filename == str(file):
            return f"{file.name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
