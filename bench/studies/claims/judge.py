"""From the runs of a study to judged claims: which values each case has, its verdict, and all of it in words. Pure."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

import numpy as np

from bench.analysis.conditions import describe_setup, setup_of
from bench.core.errors import UsageError
from bench.core.seeds import SeedPlan
from bench.core.work.claims.claim import PAIRED, TRENDS, AskedClaim, Claim
from bench.core.work.claims.judged import FEWEST_SEEDS, CaseResult, JudgedClaim
from bench.core.work.claims.quantity import CLAIM_MARGIN
from bench.studies.claims import rules, words
from bench.studies.claims.quantities import find_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import Study
    from bench.core.seeds import Look
    from bench.core.work.claims.claim import Arm, Case
    from bench.core.work.claims.quantity import Quantity
    from bench.studies.claims.quantities import ArmRuns


def judge_claims(study: Study) -> tuple[JudgedClaim, ...]:
    """Every claim that a study asked for, in the order in which it did."""
    return tuple(judge_claim(asked, study) for asked in study.claims)


def judge_claim(asked: AskedClaim, study: Study) -> JudgedClaim:
    """One claim: look by look where its seeds were to run until decided; what a look decided stands."""
    claim = asked.claim
    if asked.trouble:
        return JudgedClaim(asked=asked, verdict="undecided", measured="", n=0, why=asked.trouble)
    if claim.rule == "defect":
        return _judge_defect(asked)
    if claim.rule == "count":
        return _judge_count(asked)
    looks = SeedPlan.parse(asked.seed_plan).two_looks
    judged = _judge_look(asked, study, looks[:1])
    for number in range(2, len(looks) + 1):
        if judged.verdict != "undecided" or not _has_more(asked, study, looks[number - 1]):
            break
        judged = _judge_look(asked, study, looks[:number])
    return judged


def _has_more(asked: AskedClaim, study: Study, look: Look) -> bool:
    """Whether all runs of a look have ended."""
    seeds = look.seeds or ()
    return all(find_runs(study, arm, asked, seeds).ended == set(seeds) for arm in asked.claim.arms)


def _judge_defect(asked: AskedClaim) -> JudgedClaim:
    wanted = asked.claim.claimed[0]
    caught = wanted in asked.caught
    why = "it fails as described" if caught else f"it does not say '{wanted}'"
    verdict = "reproduced" if caught else "not reproduced"
    return JudgedClaim(asked=asked, verdict=verdict, measured=asked.caught or "nothing failed", n=0, why=why)


def _judge_count(asked: AskedClaim) -> JudgedClaim:
    claim = asked.claim
    cases = []
    for case in claim.cases:
        counted, quantity = asked.exact.get(case.label, ()), claim.quantity_of(case)
        ruling = rules.judge_count(counted, claim.printed)
        said = words.numbers(counted)
        cases.append(CaseResult(label=case.label, quantity=quantity, verdict=ruling.verdict, said=said))
    verdict = rules.combine([case.verdict for case in cases], claim.rule)
    why = "equal at the printed precision" if verdict == "reproduced" else "not equal at the printed precision"
    if verdict == "depends":
        why = "equal under another completion only"
    measured = "; ".join(f"{case.label}: {case.said}" if len(cases) > 1 else case.said for case in cases)
    return JudgedClaim(asked=asked, verdict=verdict, measured=measured, n=0, why=why, cases=tuple(cases))


def _judge_look(asked: AskedClaim, study: Study, looks: Sequence[Look]) -> JudgedClaim:
    """The claim by the seeds of the last of some looks."""
    claim = asked.claim
    seeds = looks[-1].seeds or ()
    runs = {arm: find_runs(study, arm, asked, seeds) for arm in claim.arms}
    if claim.rule in (*PAIRED, *TRENDS):
        cases = _judge_paired(claim, runs, looks)
    else:
        outside = rules.share_of_outside(looks[-1])
        cases = [_judge_case(claim, case, runs[case.arm], study, outside=outside) for case in claim.cases]
    cases = [_timed(claim, case, result, runs) for case, result in zip(claim.cases, cases, strict=True)]
    verdict = rules.combine([case.verdict for case in cases], claim.rule)
    why = words.why(claim, verdict, cases, failed=sum(len(of.failed) for of in runs.values()))
    return JudgedClaim(
        asked=asked, verdict=verdict, measured=words.measured(claim, cases), n=cases[0].n, why=why, cases=tuple(cases)
    )


def _timed(claim: Claim, case: Case, result: CaseResult, runs: Mapping[Arm, ArmRuns]) -> CaseResult:
    """Of seconds, how they were timed; undecided where that was not alike."""
    if claim.quantity_of(case).kind != "seconds" or not result.n:
        return result
    setups = {setup_of(record) for arm in case.arms for record in runs[arm].records.values()}
    if len(setups) == 1:
        return dataclasses.replace(result, said=f"{result.said} ({describe_setup(setups.pop())})")
    said = "timed on unlike machines, or beside unlike numbers of other runs"
    return dataclasses.replace(result, verdict="undecided", outcome=said, said=said)


def _judge_case(claim: Claim, case: Case, runs: ArmRuns, study: Study, *, outside: float) -> CaseResult:
    """One completion by itself; undecided without enough seeds. `outside` is the level at which it is refused."""
    quantity = claim.quantity_of(case)
    if claim.rule == "series":
        return _judge_series(claim, case.label, quantity, runs, outside=outside)
    if claim.rule == "confusions":
        return _judge_confusions(claim, case.label, quantity, runs, study)
    values = _known(runs.values(quantity))
    last = _last(claim, quantity, runs)
    result = CaseResult(label=case.label, quantity=quantity, values=values, last=last, mean=_mean(values))
    if len(values) < FEWEST_SEEDS:
        return dataclasses.replace(result, said=words.too_few(len(values)))
    sample, printed = np.array(list(values.values())), claim.printed
    if claim.rule == "value":
        ruling = rules.judge_series([sample], printed, quantity.kind, outside=outside)
    elif claim.rule == "range":
        ruling = rules.judge_range(sample, *printed, outside=outside)
    elif claim.rule == "at least":
        ruling = rules.judge_at_least(sample, printed[0], outside=outside)
    else:
        ruling = rules.judge_usually(sample, printed[0])
    said = words.of_ruling(claim, quantity, ruling)
    return _ruled(result, ruling, said)


def _ruled(result: CaseResult, ruling: rules.Ruling, said: str) -> CaseResult:
    return dataclasses.replace(
        result, low=ruling.low, high=ruling.high, side=ruling.side, verdict=ruling.verdict, said=said
    )


def _last(claim: Claim, quantity: Quantity, runs: ArmRuns) -> dict[int, float]:
    """The last epoch's test accuracy of each run, beside the one that its rule chose on the test set."""
    if not claim.is_selected_on_test or str(quantity) != "test_accuracy":
        return {}
    return _known(runs.last())


def _judge_series(claim: Claim, label: str, quantity: Quantity, runs: ArmRuns, *, outside: float) -> CaseResult:
    members = [dataclasses.replace(quantity, at=at) for at in claim.at]
    series = tuple(_known(runs.values(member)) for member in members)
    result = CaseResult(label=label, quantity=quantity, values=min(series, key=len), series=series)
    if (fewest := min(map(len, series))) < FEWEST_SEEDS:
        return dataclasses.replace(result, said=words.too_few(fewest))
    samples = [np.array(list(of.values())) for of in series]
    ruling = rules.judge_series(samples, claim.printed, quantity.kind, outside=outside)
    return _ruled(result, ruling, words.of_ruling(claim, quantity, ruling))


def _judge_confusions(claim: Claim, label: str, quantity: Quantity, runs: ArmRuns, study: Study) -> CaseResult:
    values = dict.fromkeys(runs.predicted, 0.0)
    result = CaseResult(label=label, quantity=quantity, values=values)
    if len(values) < FEWEST_SEEDS or runs.labels is None:
        return dataclasses.replace(result, said=words.too_few(len(values)))
    record = next(iter(runs.records.values()))
    names = study.datasets[record.data_hash].classes
    pairs = [_find_pair(pair, names) for pair in claim.claimed]
    if None in pairs:
        return dataclasses.replace(result, said=f"there is no such class among {', '.join(names)}")
    predicted = np.stack(list(runs.predicted.values()))
    most = claim.at[0] if claim.at else len(pairs)
    found = [
        rules.judge_confusion(predicted, runs.labels, pair, classes=len(names), most=most) for pair in pairs if pair
    ]
    verdict = rules.combine_all([one.verdict for one in found])
    said = words.of_confusions(claim.claimed, found, names)
    return dataclasses.replace(result, verdict=verdict, said=said)


def _find_pair(text: str, names: Sequence[str]) -> tuple[int, int] | None:
    true, said = (part.strip() for part in text.split(">"))
    return (names.index(true), names.index(said)) if true in names and said in names else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sides:
    """A condition: values by seed of what is claimed to be the one side and of the other, NaN where a run has none.

    Attributes:
        sign: By which they are multiplied so that more of them is what is claimed.
    """

    case: Case
    quantity: Quantity
    values: Mapping[int, float]
    against: Mapping[int, float]
    sign: float

    @property
    def margin(self) -> float:
        """Half the width of the range of equivalence."""
        return CLAIM_MARGIN[self.quantity.kind]

    @property
    def pair(self) -> rules.Pair:
        """As the rule takes it."""
        first, second = ({seed: self.sign * v for seed, v in of.items()} for of in (self.values, self.against))
        return first, second, self.margin


def _judge_paired(claim: Claim, runs: Mapping[Arm, ArmRuns], looks: Sequence[Look]) -> list[CaseResult]:
    """All conditions together; of a trend each completion is the run after its second epoch against its first."""
    conditions = [_find_sides(claim, case, runs) for case in claim.cases]
    pairs = [each.pair for each in conditions]
    found = rules.judge_conditions(pairs, [look for look in looks if _all_in(look, pairs)] or looks[:1])
    return [_judge_condition(claim, sides, pair) for sides, pair in zip(conditions, found, strict=True)]


def _judge_condition(claim: Claim, sides: _Sides, pair: PairVerdict) -> CaseResult:
    """A condition, with the values of the seeds that it was judged by."""
    known = _known(sides.values), _known(sides.against)
    seeds = pair.seeds or sorted(known[0])
    values, against = ({seed: of[seed] for seed in seeds if seed in of} for of in known)
    result = CaseResult(
        label=sides.case.label,
        quantity=sides.quantity,
        values=values,
        against=against,
        mean=_mean(values),
        verdict=rules.rule_of_pair(pair, claim.rule) if pair.n >= FEWEST_SEEDS else "undecided",
        outcome=words.outcome(claim, pair),
    )
    said = words.of_pair(claim, result, pair, margin=sides.margin)
    if pair.low is None or pair.high is None:
        return dataclasses.replace(result, said=said)
    low, high = sorted(sides.sign * sides.margin * end for end in (pair.low, pair.high))
    return dataclasses.replace(result, said=said, low=low, high=high)


def _all_in(look: Look, pairs: Sequence[rules.Pair]) -> bool:
    return all(set(look.seeds or ()) <= a.keys() & b.keys() for a, b, _ in pairs)


def _find_sides(claim: Claim, case: Case, runs: Mapping[Arm, ArmRuns]) -> _Sides:
    quantity = claim.quantity_of(case)
    if claim.rule in TRENDS:
        first, second = (runs[case.arm].values(dataclasses.replace(quantity, at=at)) for at in claim.at)
        sign = 1.0 if claim.rule == "rises" else -1.0
        return _Sides(case=case, quantity=quantity, values=second, against=first, sign=sign)
    if case.against is None:
        raise UsageError(f"Claim {claim.id}: case '{case.label}' is held against nothing.")
    values, against = (runs[arm].values(quantity) for arm in (case.arm, case.against))
    sign = 1.0 if quantity.higher_is_better else -1.0
    return _Sides(case=case, quantity=quantity, values=values, against=against, sign=sign)


def _known(values: Mapping[int, float]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _mean(values: Mapping[int, float]) -> float | None:
    return statistics.fmean(values.values()) if values else None
