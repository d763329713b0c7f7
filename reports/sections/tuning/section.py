"""What tuning did and gained: one section for each dataset and budget, with a part for each architecture."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

from bench.analysis.winners import is_of, winner_of, won_by_default
from bench.core.recipe import Recipe
from bench.system.text import listing, one_line, plural, slugify
from reports.cells import number_column, percent_column, table_of, text_column
from reports.document import Prose, Section, Table, those, warning
from reports.sections.tuning.gains import describe_gain, gain_table, order_sentence
from reports.sections.tuning.trials import objective_columns, trials_section
from reports.sections.versions import ON_ACCURACY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.work.tuning import Trial, Tuning
    from reports.document import Block
    from reports.sections.tuning.gains import Contest, Gain

_OBJECTIVES = {
    "accuracy": "validation accuracy (to be raised)",
    "macs": "MACs (to be lowered)",
    "latency": "latency of one image (to be lowered)",
}


def tuning_sections(
    contests: Sequence[Contest], conditions: Sequence[Condition], styles: Mapping[str, int]
) -> tuple[Section, ...]:
    """What was tuned and how, what it gained, and every trial; nothing for a study without tunings."""
    sections: list[Section] = []

    def free(slug: str) -> str:
        """The slug, numbered where one of the sections has it."""
        taken = {section.slug for section in sections}
        numbered = itertools.chain([slug], (f"{slug}-{number}" for number in itertools.count(2)))
        return next(name for name in numbered if name not in taken)

    for contest in contests:
        title = "Tuning" if len(contests) == 1 else f"Tuning: {contest.title}"
        blocks = tuple(_contest_blocks(contest, conditions))
        sections.append(Section(title=title, slug=free("tuning"), blocks=blocks))
        for gain in contest.gains:
            slug, style = free(f"tuning-{slugify(gain.label)}"), styles.get(gain.label, 0)
            sections.append(trials_section(gain.tuning, label=gain.label, slug=slug, style=style))
    return tuple(sections)


def _contest_blocks(contest: Contest, conditions: Sequence[Condition]) -> Iterator[Block]:
    gains = contest.gains
    yield from _what_was_done(gains)
    yield _budget(gains)
    if any(len(gain.tuning.objectives) == 1 for gain in gains):
        yield gain_table(contest)
        if any(condition.metric.is_balanced for condition in conditions):
            yield Prose(ON_ACCURACY)
    yield from _winners(gains)
    if left_out := [
        f"{gain.label} {plural(len(gain.verdict.left_out), 'seed')}"
        for gain in gains
        if gain.verdict and gain.verdict.left_out
    ]:
        yield warning(f"Left out where tuned or default diverged or failed: {listing(left_out)}.")
    if contest.elsewhere:
        yield Prose("Runs of other devices or versions were retrained too; the table holds those that ended last.")
    if all(won_by_default(gain.tuning) for gain in gains):
        text = "Every winner is the default recipe: tuning gained nothing here, and there is no table of tuned runs."
        yield Prose(text)
    yield from those(order_sentence(contest, conditions))
    yield from (_front(gain) for gain in gains if len(gain.tuning.objectives) > 1 and gain.tuning.winners)
    yield _space_table(gains)


def tuning_lead(contests: Sequence[Contest]) -> tuple[Prose, ...]:
    """What tuning gained, in one sentence for each dataset and budget."""
    return tuple(
        Prose(f"Tuned against default on {contest.title}: {'; '.join(map(describe_gain, contest.gains))}.")
        for contest in contests
    )


def _what_was_done(gains: Sequence[Gain]) -> Iterator[Block]:
    objectives = _each(gains, lambda t: " and ".join(_OBJECTIVES[name] for name in t.objectives))
    pruner = _each(gains, lambda t: t.pruner)
    text = (
        f"For each architecture, recipes were searched by {_each(gains, lambda t: t.sampler)}; pruned by: {pruner}. "
        f"Trials: {_each(gains, lambda t: f'{t.wanted:,}')} for each architecture; the seeds of a trial: "
        f"{_each(gains, lambda t: ', '.join(map(str, t.seeds)))}. Sought was {objectives}; no trial looked at the test "
        "set. What a winning trial scored is the best of many and partly luck, and so no result: winning recipes "
        "were trained again on fresh seeds, beside the default recipe on the same seeds, and only these runs are "
        "compared."
    )
    yield Prose(one_line(text))
    if any(len(gain.tuning.objectives) > 1 for gain in gains):
        yield Prose(
            "With several objectives there is no single winner but a front, and so no gain over the default; pruning "
            "was off, because Optuna cannot prune with several objectives."
        )
    if short := [gain for gain in gains if len(gain.tuning.trials) < gain.tuning.wanted]:
        ended = listing([f"{len(gain.tuning.trials)} of {gain.tuning.wanted} trials of {gain.label}" for gain in short])
        yield warning(f"Only {ended} have ended; more may change the winners.")
    if late := [gain for gain in gains if len(gain.tuning.trials) > gain.tuning.counted]:
        counted = listing([f"{gain.tuning.counted} of {gain.label}" for gain in late])
        yield Prose(f"So that every architecture has as many, only the first trials can win: {counted}.")


def _budget(gains: Sequence[Gain]) -> Prose:
    """That the search may cost the same everywhere; what it did cost stands in the table."""
    tuning = gains[0].tuning
    text = "An image counts each time that it is trained on, in pruned and failed trials too."
    if len({gain.tuning.ceiling_images for gain in gains}) > 1:
        ceilings = listing([f"{gain.label} {gain.tuning.ceiling_images:,}" for gain in gains])
        unequal = f"The ceilings of training images differ ({ceilings}): these gains were not bought at one price."
        return warning(f"{unequal} {text}")
    return Prose(
        f"Every architecture may spend the same {tuning.ceiling_images:,} training images: "
        f"{plural(tuning.wanted, 'trial')} of {plural(tuning.epochs, 'epoch')}, {tuning.epoch_images:,} images each, "
        f"on {plural(len(tuning.seeds), 'seed')}. {text}"
    )


def _each(gains: Sequence[Gain], read: Callable[[Tuning], str]) -> str:
    """What is said of all tunings, or of each group of them that shares it, by name."""
    said: dict[str, list[str]] = {}
    for gain in gains:
        said.setdefault(read(gain.tuning), []).append(gain.label)
    return next(iter(said)) if len(said) == 1 else "; ".join(f"{text} ({listing(of)})" for text, of in said.items())


def _winners(gains: Sequence[Gain]) -> Iterator[Prose]:
    """What won, in a line each: what it has otherwise than the default."""
    for gain in gains:
        winner = winner_of(gain.tuning)
        if winner is None or won_by_default(gain.tuning):
            continue
        default, won = (vars(Recipe.from_json(dict(recipe))) for recipe in (gain.tuning.default, winner.recipe))
        changed = [
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in winner.hyperparameters.items()
            if name not in default or won[name] != default[name]
        ]
        text = f"{gain.label}: trial {winner.number} won, with {listing(changed)}; the rest is as by default."
        yield Prose(one_line(text))


def _front(gain: Gain) -> Table:
    def retrained(trial: Trial) -> list[float]:
        runs = [run for run in gain.later if is_of(run, trial)]
        return [run.test_accuracy for run in runs if run.test_accuracy is not None]

    return table_of(
        f"The front of {gain.label}: trials that no other beats; what they scored in the search is no result",
        gain.tuning.winners,
        [
            number_column("Trial", lambda trial: trial.number),
            text_column("Architecture", lambda trial: trial.architecture),
            percent_column("Validation accuracy in the search (%)", lambda trial: trial.values[0]),
            *objective_columns(gain.tuning),
            percent_column(
                "Retrained: test accuracy (%)",
                lambda trial: statistics.fmean(known) if (known := retrained(trial)) else None,
            ),
            number_column("Seeds", lambda trial: len(retrained(trial))),
        ],
    )


def _space_table(gains: Sequence[Gain]) -> Table:
    where: dict[tuple[str, str], list[str]] = {}
    for gain in gains:
        for searched in gain.tuning.space.items():
            where.setdefault(searched, []).append(gain.label)
    return table_of(
        "What was searched",
        where,
        [
            text_column("Hyperparameter", lambda searched: searched[0]),
            text_column("Searched", lambda searched: searched[1]),
            text_column("Architectures", lambda s: "all" if len(where[s]) == len(gains) else listing(where[s])),
        ],
    )
