"""What a net reaches without naming it is heard by its hash: every way planted, one edit at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.models.test_fingerprint import NET, changed

if TYPE_CHECKING:
    from pathlib import Path

LOOKUPS = [
    "globals()['FAR']",
    "vars()['FAR']",
    "locals().get('FAR')",
    "eval('FAR')",
    "exec('x = FAR')",
    "getattr(sys.modules[__name__], 'FAR')",
    "sys.modules.get(__name__).FAR",
    "getattr(importlib.import_module(__name__), 'FAR')",
    "load(__name__).FAR",
    "__import__(__name__).FAR",
    "builtins.eval('FAR')",
    "seen[__name__].FAR",
    "Net.forward.__globals__['FAR']",
    "inspect.getmodule(Net).FAR",
    "inspect.currentframe().f_globals['FAR']",
    "sys.modules[__name__].__dict__['FAR']",
    "nn.Module.__subclasses__()",
]
IMPORTS = (
    "import builtins, importlib, inspect, sys\nfrom importlib import import_module as load\n"
    "from sys import modules as seen\n"
)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_where_code_looks_names_up_by_text_all_of_the_file_is_heard(tmp_path: Path, lookup: str) -> None:
    text = NET.replace("SOURCE = ", IMPORTS + "FAR = 3\n\nclass Far(nn.Module):\n    size = 1\n\nSOURCE = ", 1)
    assert changed(tmp_path, "FAR = 3", "FAR = 4", text=text) == set()  # nobody looks it up yet
    text = text.replace("        return self", f"        {lookup}\n        return self")
    assert changed(tmp_path, "FAR = 3", "FAR = 4", text=text) == {"a", "b"}
    assert changed(tmp_path, "size = 1", "size = 2", text=text) == {"a", "b"}
    assert changed(tmp_path, "hidden=5", "hidden=6", text=text) == {"a", "b"}  # a declaration may be what is looked up
    assert changed(tmp_path, "# a comment", "# another", text=text) == set()
    assert changed(tmp_path, '"""One layer."""', '"""Layer."""', text=text) == set()
    assert changed(tmp_path, 'summary="text"', 'summary="better"', text=text) == set()


def test_a_lookup_in_a_list_of_declarations_keeps_the_others_too(tmp_path: Path) -> None:
    listed = NET.partition("A = ")[0] + (
        'ALL = [\n    Architecture(name="a", build=lambda: globals()["ALL"][1].build()),\n'
        '    Architecture(name="b", build=partial(Net, hidden=5)),\n]\n'
    )
    assert changed(tmp_path, "hidden=5", "hidden=6", text=listed) == {"a", "b"}


@pytest.mark.parametrize("call", ["self.eval()", "[m for m in self.modules()]", "nn.Linear(1, 1).eval()"])
def test_methods_of_every_net_are_no_lookup(tmp_path: Path, call: str) -> None:
    text = NET.replace("        return self", f"        {call}\n        return self")
    assert changed(tmp_path, "lr=1e-3", "lr=2e-3", text=text) == set()


def test_a_lookup_that_the_net_does_not_use_keeps_nothing(tmp_path: Path) -> None:
    text = NET.replace("SOURCE = ", "def unused():\n    return globals()\n\nSOURCE = ", 1)
    assert changed(tmp_path, "lr=1e-3", "lr=2e-3", text=text) == set()


REGISTERING = """
KNOWN = {}
class Block(nn.Module):
    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        KNOWN[cls.__name__] = cls
"""
HOOKS = {
    "__init_subclass__": REGISTERING,
    "assigned": "KNOWN = {}\ndef note(cls):\n    KNOWN[cls.__name__] = cls\n"
    "class Block(nn.Module):\n    __init_subclass__ = classmethod(note)\n",
    "metaclass": "KNOWN = {}\nclass Meta(type):\n    def __init__(cls, name, *_):\n        KNOWN[name] = cls\n"
    "class Block(nn.Module, metaclass=Meta):\n    pass\n",
    "called": "KNOWN = {}\ndef base():\n    class Inner(nn.Module):\n        def __init_subclass__(cls):\n"
    "            KNOWN[cls.__name__] = cls\n    return Inner\nclass Block(base()):\n    pass\n",
    "other name": REGISTERING.replace("Block", "Hidden") + "Block = Hidden\n",
    "nested": "if True:\n" + REGISTERING.replace("\n", "\n    ") + "\n",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_classes_that_a_base_class_registers_are_heard(tmp_path: Path, hook: str) -> None:
    classes = "class Wide(Block):\n    units = 5\nclass Wider(Wide):\n    units = 6\n"
    text = NET.replace("class Net", HOOKS[hook] + classes + "\nclass Net", 1)
    text = text.replace("nn.Linear(784, hidden)", "nn.Linear(784, KNOWN['Wider'].units)")
    assert changed(tmp_path, "units = 5", "units = 7", text=text) == {"a", "b"}
    assert changed(tmp_path, "units = 6", "units = 7", text=text) == {"a", "b"}
    assert changed(
        tmp_path, "[cls.__name__] = cls" if hook != "metaclass" else "[name] = cls", "['Wider'] = cls", text=text
    ) == {"a", "b"}
    plain = text.replace("(Block)", "(nn.Module)")
    plain = plain.replace("KNOWN['Wider'].units", "7")
    assert changed(tmp_path, "units = 6", "units = 8", text=plain) == set()
