"""The doctor's words on the command line."""

from __future__ import annotations

import pytest

from bench.cli.arguments import parse_arguments
from bench.core.errors import BenchError


def test_alone_or_with_a_choice_it_is_the_action() -> None:
    for words in (
        ["--doctor"],
        ["--doctor", "--all"],
        ["--doctor", "--arch", "bn*"],
        ["--doctor", "--all", "--variants"],
    ):
        assert parse_arguments(words).action == "doctor"
    given = parse_arguments(["--doctor", "--dataset", "mnist,digits", "--image-size", "32", "--results", "r"])
    assert given.datasets == ("mnist", "digits")


def test_it_comes_before_a_training_unless_that_is_refused() -> None:
    assert parse_arguments(["--all"]).options.doctor
    for words in (["--all"], ["--check"], ["--all", "--write-thresholds"], ["--arch", "bn25k", "--tune"]):
        assert not parse_arguments([*words, "--no-doctor"]).options.doctor


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--doctor --report", "--doctor and --report exclude each other"),
        ("--doctor --check", "--check and --doctor exclude each other"),
        ("--doctor --no-doctor", "--no-doctor does nothing beside --doctor"),
        ("--doctor --seeds 3", "--seeds does nothing beside --doctor"),
        ("--doctor --variants", "--variants goes with --all"),
        ("--report --no-doctor", "--no-doctor does nothing beside --report"),
    ],
)
def test_what_does_nothing_beside_it_is_refused(words: str, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        parse_arguments(words.split())
