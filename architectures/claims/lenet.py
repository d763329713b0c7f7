"""What the LeNet-like project claims (B1–B3): counts and sizes, nothing of which is trained."""

from __future__ import annotations

from bench.spec import Arm, Case, Claim

B = "the LeNet-like project (B)"
NET = (Case(label="lenet21k", arm=Arm(net="lenet21k")),)

CLAIMS = [
    Claim(id="B1a", source=B, text="21,840 parameters", rule="count", quantity="parameters", claimed=("21,840",),
          cases=NET),
    Claim(id="B1b", source=B, text="260 + 5,020 + 16,050 + 510 of them in the four layers", rule="count",
          quantity="layer_parameters", claimed=("260", "5,020", "16,050", "510"), cases=NET),
    Claim(id="B2", source=B, text="31.21 M multiply-adds for a batch of 64 (torchinfo)", rule="count",
          quantity="torchinfo_madds_batch_64", claimed=("31.21 M",), cases=NET),
    Claim(id="B3", source=B, text="torchinfo's sizes at batch 64: input, forward/backward, parameters, total",
          rule="count", quantity="torchinfo_mb_batch_64", claimed=("0.20 MB", "3.64 MB", "0.09 MB", "3.92 MB"),
          cases=NET),
]  # fmt: skip
