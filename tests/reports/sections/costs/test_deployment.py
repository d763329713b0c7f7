"""Size and latency as ONNX beside torch, by hand; nothing where no net was exported."""

from __future__ import annotations

import dataclasses
from typing import Any

from reports.document import Prose, Table
from reports.sections.costs.deployment import deployment_blocks
from tests.factories import make_timing
from tests.reports.document_reading import column_of

ONNX: dict[str, Any] = {
    "onnx_seconds_per_batch": {1: (0.001, 0.002, 0.004), 256: (0.016, 0.032, 0.064)},
    "onnx_bytes": 106_800,
    "onnx_runtime": "onnxruntime 1.32.0",
}


def test_sizes_latencies_and_factors_by_hand() -> None:
    timed = dataclasses.replace(make_timing("bn25k"), **ONNX)  # by torch: medians of 5 and 64 ms
    lacking = dataclasses.replace(make_timing("conv16k"), onnx_runtime="not exported: it draws")
    labelled = {"bn25k": timed, "conv16k": lacking, "fc3136": make_timing("fc3136")}
    prose, table, rest = deployment_blocks(labelled, {"hash-of-bn25k": 103_900.0}, where="here")
    assert isinstance(prose, Prose)
    assert "by onnxruntime 1.32.0 on one thread" in prose.text
    assert isinstance(table, Table)
    assert table.caption == "Deployment (here)"
    for name, told in {
        "Weights by torch (kB)": ("103.9", "—"),
        "ONNX file (kB)": ("106.8", "—"),
        "Pass at batch 1 (ms): torch": ("5.000", "5.000"),
        "Pass at batch 1 (ms): onnxruntime": ("2.000", "—"),
        "Factor at batch 1": ("2.50", "—"),
        "Pass at batch 256 (ms): onnxruntime": ("32.000", "—"),
        "Factor at batch 256": ("2.00", "—"),
    }.items():
        assert column_of(table, name) == dict(zip(("bn25k", "conv16k"), told, strict=True)), name
    assert rest == Prose("Not timed as ONNX: conv16k (not exported: it draws).")


def test_nothing_is_said_where_nothing_was_exported() -> None:
    assert list(deployment_blocks({"bn25k": make_timing("bn25k")}, {}, where="here")) == []
