"""From the runs of a study to judged claims: which values each case has, its verdict, and all of it in words. Pure."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import UsageError
from bench.core.seeds import SeedPlan
from bench.core.work.claims.claim import PAIRED, TRENDS, AskedClaim, Claim
from bench.core.work.claims.judged import FEWEST_SEEDS, CaseResult, JudgedClaim
from bench.core.work.claims.quantity import CLAIM_MARGIN
from bench.studies.claims import rules, words
from bench.studies.claims.quantities import find_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    """Whether the runs of a look have begun to come in."""
    seeds = look.seeds or ()
    first = asked.claim.arms[0]
    found = find_runs(study, first, protocol=asked.claim.protocol, seeds=seeds)
    return len(found.records) + found.failed >= len(seeds)


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
    runs = {arm: find_runs(study, arm, protocol=claim.protocol, seeds=seeds) for arm in claim.arms}
    if claim.rule in (*PAIRED, *TRENDS):
        cases = _judge_paired(claim, runs, looks)
    else:
        cases = [_judge_case(claim, case, runs[case.arm], study) for case in claim.cases]
    verdicts = [case.verdict for case in (cases[:1] if claim.rule in TRENDS else cases)]
    verdict = rules.combine(verdicts, claim.rule)
    n, wanted = cases[0].n, min(len(seeds), FEWEST_SEEDS) if looks else FEWEST_SEEDS
    failed = sum(of.failed for of in runs.values())
    why = words.why(claim, verdict, cases, failed=failed, wanted=max(wanted, FEWEST_SEEDS))
    return JudgedClaim(
        asked=asked, verdict=verdict, measured=words.measured(claim, cases), n=n, why=why, cases=tuple(cases)
    )


def _judge_case(claim: Claim, case: Case, runs: ArmRuns, study: Study) -> CaseResult:
    """One completion by itself; undecided without enough seeds."""
    quantity = claim.quantity_of(case)
    if claim.rule == "series":
        return _judge_series(claim, case.label, quantity, runs)
    if claim.rule == "confusions":
        return _judge_confusions(claim, case.label, quantity, runs, study)
    values = _known(runs.values(quantity))
    last = _last(claim, quantity, runs)
    result = CaseResult(label=case.label, quantity=quantity, values=values, last=last, mean=_mean(values))
    if len(values) < FEWEST_SEEDS:
        return dataclasses.replace(result, said=words.too_few(len(values)))
    sample, printed = np.array(list(values.values())), claim.printed
    if claim.rule == "value":
        ruling = rules.judge_series([sample], printed, quantity.kind)
    elif claim.rule == "range":
        ruling = rules.judge_range(sample, *printed)
    elif claim.rule == "at least":
        ruling = rules.judge_at_least(sample, printed[0])
    else:
        ruling = rules.judge_usually(sample, printed[0])
    said = words.of_ruling(claim, quantity, ruling)
    return dataclasses.replace(result, low=ruling.low, high=ruling.high, verdict=ruling.verdict, said=said)


def _last(claim: Claim, quantity: Quantity, runs: ArmRuns) -> dict[int, float]:
    """The last epoch's test accuracy of each run, beside the one that its rule chose on the test set."""
    if not claim.is_selected_on_test or str(quantity) != "test_accuracy":
        return {}
    return _known(runs.last())


def _judge_series(claim: Claim, label: str, quantity: Quantity, runs: ArmRuns) -> CaseResult:
    members = [dataclasses.replace(quantity, at=at) for at in claim.at]
    series = tuple(_known(runs.values(member)) for member in members)
    result = CaseResult(label=label, quantity=quantity, values=min(series, key=len), series=series)
    if (fewest := min(map(len, series))) < FEWEST_SEEDS:
        return dataclasses.replace(result, said=words.too_few(fewest))
    samples = [np.array(list(of.values())) for of in series]
    ruling = rules.judge_series(samples, claim.printed, quantity.kind)
    said = words.of_ruling(claim, quantity, ruling)
    return dataclasses.replace(result, verdict=ruling.verdict, said=said)


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


def _judge_paired(claim: Claim, runs: Mapping[Arm, ArmRuns], looks: Sequence[Look]) -> list[CaseResult]:
    """All conditions together; of a trend each completion is the run after its second epoch against its first."""
    cases, pairs, signs = list[CaseResult](), list[rules.Pair](), list[float]()
    for case in claim.cases:
        quantity = claim.quantity_of(case)
        a, b = _sides(claim, case, quantity, runs)
        margin = CLAIM_MARGIN[quantity.kind]
        sign = 1.0 if quantity.higher_is_better else -1.0
        if claim.rule in TRENDS:
            sign = 1.0 if claim.rule == "rises" else -1.0
        pairs.append(({s: sign * v for s, v in a.items()}, {s: sign * v for s, v in b.items()}, margin))
        signs.append(sign)
        cases.append(CaseResult(label=case.label, quantity=quantity, values=a, against=b, mean=_mean(a)))
    found = rules.judge_conditions(pairs, [look for look in looks if _all_in(look, pairs)] or looks[:1])
    rule = "better" if claim.rule in TRENDS else claim.rule
    judged = []
    for result, pair, (_, _, margin), sign in zip(cases, found, pairs, signs, strict=True):
        verdict = rules.rule_of_pair(pair, rule) if pair.n >= FEWEST_SEEDS else "undecided"
        said = words.of_pair(claim, result, pair, margin=margin)
        low, high = sorted(sign * margin * end for end in (pair.low or 0.0, pair.high or 0.0))
        ends = {"low": low, "high": high} if pair.low is not None else {"low": None, "high": None}
        judged.append(dataclasses.replace(result, verdict=verdict, said=said, **ends))
    return judged


def _all_in(look: Look, pairs: Sequence[rules.Pair]) -> bool:
    return all(set(look.seeds or ()) <= a.keys() & b.keys() for a, b, _ in pairs)


def _sides(
    claim: Claim, case: Case, quantity: Quantity, runs: Mapping[Arm, ArmRuns]
) -> tuple[dict[int, float], dict[int, float]]:
    """Values by seed of what is claimed to be the one side, and of the other."""
    if claim.rule in TRENDS:
        first, second = (dataclasses.replace(quantity, at=at) for at in claim.at)
        return _known(runs[case.arm].values(second)), _known(runs[case.arm].values(first))
    if case.against is None:
        raise UsageError(f"Claim {claim.id}: case '{case.label}' is held against nothing.")
    return _known(runs[case.arm].values(quantity)), _known(runs[case.against].values(quantity))


def _known(values: Mapping[int, float]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _mean(values: Mapping[int, float]) -> float | None:
    return statistics.fmean(values.values()) if values else None
