"""Recomputes every verdict of claims from exported runs, without a line of this project.

    python tests/claims/recheck.py COMPACT_FOLDER claims.csv

Reads the files that `runner.py --export compact` writes: rows of runs, curves and answers as JSON, and the claims that
were asked for. The rules are those of docs/claims.md, written anew with NumPy and SciPy; where the suite draws at
random (permutations of ranks, resamples of confusions) this draws its own, so that a verdict at the very edge may
differ: it is printed and counts as a disagreement.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import lzma
import math
import re
import sys
import zlib
from pathlib import Path

import numpy as np
from scipy import stats

MARGINS = {"accuracy": 0.001, "loss": 0.01, "whole": 0.5, "epochs": 0.05, "seconds": 0.1}


def read(folder):
    rows = {}
    for path in sorted(Path(folder).glob("*.jsonl.xz")):
        for line in lzma.decompress(path.read_bytes()).decode().splitlines():
            entry = json.loads(line)
            rows.setdefault(entry["table"], []).append(entry["row"])
    return rows


def blob(value):
    return base64.b64decode(value["base64"])


class Runs:
    """Runs by what was trained, with their curves and answers."""

    def __init__(self, rows):
        links = {r["request_id"] for r in rows["bench_study_requests"] if r["current"]}
        curves = {r["run_id"]: json.loads(zlib.decompress(blob(r["points"]))) for r in rows.get("bench_curves", [])}
        answers = {r["run_id"]: np.load(io.BytesIO(blob(r["arrays"]))) for r in rows.get("bench_predictions", [])}
        self.classes = {r["data_hash"]: len(r["facts"]["classes"]) for r in rows.get("bench_datasets", [])}
        self.rows = []
        settled = {}
        for row in rows["bench_runs"]:
            if row["request_id"] in links and not row["superseded"] and row["status"] in ("ok", "diverged", "failed"):
                best, rank = settled.get(row["request_id"]), (row["status"] != "failed", row["attempt"])
                if best is None or rank > (best["status"] != "failed", best["attempt"]):
                    settled[row["request_id"]] = row
        for row in settled.values():
            ends = []
            if row["run_id"] in curves:
                c = curves[row["run_id"]]
                ends = [{k: v[i] for k, v in c.items()} for i in range(len(c["step"])) if not c["probe"][i]]
            self.rows.append((row, ends, answers.get(row["run_id"]), self.classes[row["data_hash"]]))

    def find(self, arm, asked, seeds):
        """{seed: (row, curve at ends of epochs, answers, classes)} of an arm, on what its claim was run on."""
        recipe = dict(arm["recipe"])
        if recipe.get("class_weights") == "none":
            del recipe["class_weights"]
        found = {}
        for row, ends, answer, classes in self.rows:
            budget = {k: v for k, v in row["budget"].items() if not k.startswith("row_seal")}
            stored = dict(row["recipe"].items())
            there = row["architecture"], row["protocol"], row["data_hash"]
            if there != (arm["net"], asked["claim"]["protocol"], asked["data_hash"]) or row["seed"] not in seeds:
                continue
            if stored == recipe and budget == {"epochs": arm["epochs"], "seconds": None}:
                found[row["seed"]] = (row, ends, answer, classes)
        return dict(sorted(found.items()))


def kind_of(name):
    if name.startswith(("epochs_to", "seconds_to")):
        return name.split("_")[0]
    if name in ("best_epoch", "epochs"):
        return "whole"
    return "loss" if name.endswith("loss") else "accuracy"


def value(run, quantity, at=None):  # noqa: PLR0911 - a table in code
    row, ends = run[:2]
    name, _, place = quantity.partition("@")
    at = int(place) if place else at
    kind = kind_of(name)
    if row["status"] == "failed":
        return math.nan
    whole = row["train_seconds"] / row["epochs"] * row["budget"]["epochs"] if row["epochs"] else math.nan
    if row["status"] == "diverged":
        return {"accuracy": 1 / run[3], "seconds": whole, "loss": math.nan}.get(kind, float(row["budget"]["epochs"]))
    if name == "batch_loss":
        losses = ends[0]["batch_losses"]
        place, rest = divmod(at - 1, 100)
        return losses[place] if not rest and place < len(losses) else math.nan
    if at is not None:
        key = {"test_accuracy": "val_accuracy"}.get(name, name)
        return ends[at - 1][key] if at <= len(ends) else math.nan
    if name == "last_test_accuracy":
        return ends[-1]["val_accuracy"]
    if name == "best_epoch":
        return ends[int(np.argmax([e["val_accuracy"] for e in ends]))]["epoch"]
    if "_to_" in name:
        unit, _, target = name.partition("_to_")
        time = next(t for t in row["time_to_targets"] if abs(t["target"] - int(target) / 100) < 1e-9)
        if unit == "epochs":
            return min(math.inf if time["epochs"] is None else time["epochs"], float(row["budget"]["epochs"]))
        return whole if time["seconds"] is None else time["seconds"]
    found = row[name]
    return math.nan if found is None else float(found)


def printed(text):
    about, digits, unit = re.fullmatch(r"(about |≈ ?|~ ?)?([0-9][0-9,]*(?:\.[0-9]+)?)\s*(%|K|M|MB|k)?", text).groups()
    digits, unit = digits.replace(",", ""), (unit or "").lower()
    half = 0.5 * 10.0 ** -len(digits.partition(".")[2])
    factor = 0.01 if unit == "%" else {"k": 1e3, "m": 1e6}.get(unit, 1.0)
    return float(digits) * factor, half * factor * (2 if about else 1)


def series(samples, claimed, kind, outside_level):
    """Of numbers of one run, the worst with Holm: outside 99 % not reproduced, within 95 % reproduced if sharp."""
    log = kind == "loss" and all(min(s) > 0 for s in samples)
    p_least, p_side, sharp = 1.0, 1.0, True
    for sample, text in zip(samples, claimed, strict=True):
        c, half = printed(text)
        x = np.log(sample) if log else np.array(sample)
        low, high = (math.log(max(c - half, c / 10)), math.log(c + half)) if log else (c - half, c + half)
        n, m, s = len(x), x.mean(), x.std(ddof=1)
        gap = max(0.0, low - m, m - high)
        gap = 0.0 if gap <= 1e-12 * max(1.0, abs(m)) else gap
        p = 1.0 if gap == 0 else 0.0 if s == 0 else 2 * stats.t.sf(gap / (s * math.sqrt(1 + 1 / n)), n - 1)
        side = x[x < m] if high < m else x[x > m]
        wide = max(s, math.sqrt(2 * ((side - m) ** 2).sum() / (n - 1)))
        p_wide = 1.0 if gap == 0 else 0.0 if wide == 0 else 2 * stats.t.sf(gap / (wide * math.sqrt(1 + 1 / n)), n - 1)
        p_least, p_side = min(p_least, p), min(p_side, p_wide)
        w = stats.t.ppf(0.975, n - 1) * s * math.sqrt(1 + 1 / n)
        w = (c * math.expm1(w) if log else w) + half
        sharp &= w <= (0.003 if kind == "accuracy" else 0.1 * abs(c)) + 1e-12
    p, outside = (min(1.0, least * len(samples)) for least in (p_least, p_side))
    return (
        "not reproduced"
        if outside < outside_level
        else "undecided"
        if p < 0.05
        else "reproduced"
        if sharp
        else "consistent"
    )


def mean_interval(x, level, *, by_side=False):
    n, m, s = len(x), np.mean(x), np.std(x, ddof=1)
    sides = [s, s]
    if by_side:
        off = np.array(x) - m
        sides = [max(s, math.sqrt(2 * (part**2).sum() / (n - 1))) for part in (off[off < 0], off[off > 0])]
    t = stats.t.ppf(0.5 + level / 2, n - 1) / math.sqrt(n)
    return m - t * sides[0], m + t * sides[1]


def range_(x, claimed, outside_level):
    (low, low_half), (high, high_half) = (printed(c) for c in claimed)
    inner, outer = mean_interval(x, 0.95), mean_interval(x, 1 - outside_level, by_side=True)
    if low <= inner[0] and inner[1] <= high:
        return "reproduced"
    return "not reproduced" if outer[0] > high + high_half or outer[1] < low - low_half else "undecided"


def at_least(x, claimed, outside_level):
    least, half = printed(claimed[0])
    if mean_interval(x, 0.9)[0] >= least:
        return "reproduced"
    high = mean_interval(x, 1 - 2 * outside_level, by_side=True)[1]
    return "not reproduced" if high < least - half else "undecided"


def usually(x, claimed, _outside_level):
    most, half = printed(claimed[0])
    k, n, z = sum(v <= most + half for v in x), len(x), stats.norm.ppf(0.975)
    centre = (k + z * z / 2) / (n + z * z)
    half = z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return "reproduced" if centre - half > 0.5 else "not reproduced" if centre + half < 0.5 else "undecided"


def rank_statistic(a, b):
    n = a.shape[-1]
    both = stats.rankdata(np.concatenate([a, b], -1), axis=-1)
    pa, pb = (both[..., :n] - stats.rankdata(a, axis=-1)) / n, (both[..., n:] - stats.rankdata(b, axis=-1)) / n
    lead, error = pa.mean(-1) - 0.5, np.std(pa - pb, axis=-1, ddof=1) / math.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 1e-12, lead / error, np.sign(lead) * math.inf)
    return np.where(np.abs(lead) <= 1e-12, 0.0, t)


NULL: dict[int, np.ndarray] = {}


def p_ranks(a, b, *, greater=False):
    n = len(a)
    if n not in NULL:
        order = np.random.default_rng(20_240_601).permuted(np.tile(np.arange(2.0 * n), (60_000, 1)), axis=1)
        NULL[n] = np.sort(np.abs(rank_statistic(order[:, :n], order[:, n:])))
    t = float(rank_statistic(a, b))
    p = (len(NULL[n]) - np.searchsorted(NULL[n], abs(t) * (1 - 1e-12)) + 1) / (len(NULL[n]) + 1)
    return p if not greater else p / 2 if t > 0 else 1 - p / 2


def p_flips(d):
    n = len(d)
    if n <= 15:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.vstack([np.ones(n), np.random.default_rng(5).choice([-1, 1], size=(99_999, n))])
    return float((np.abs(signs @ d) >= abs(d.sum()) - 1e-12 * max(1.0, np.abs(d).sum())).mean())


def p_better(a, b):
    p = p_ranks(a, b)
    small, large = sorted((a.std(), b.std()))
    if large <= 1e-12 or large >= 3 * small:
        d = a - b
        up, down = int((d > 1e-12).sum()), int((d < -1e-12).sum())
        signs = stats.binomtest(up, up + down).pvalue if up + down else 1.0
        t = stats.ttest_1samp(d, 0).pvalue if np.ptp(d) > 1e-12 * max(1.0, *np.abs(d)) else 1.0
        p = max(p, min(signs, t))
    return p


def p_equivalent(a, b):
    d = a - b
    if np.ptp(d) <= 1e-12 * max(1.0, *np.abs(d)):
        return float(abs(d.mean()) >= 1.0)
    moved = max(
        p_ranks(np.round(a + 1, 12), np.round(b, 12), greater=True),
        p_ranks(np.round(b + 1, 12), np.round(a, 12), greater=True),
    )
    upper = stats.ttest_1samp(d, -1.0, alternative="greater").pvalue
    lower = stats.ttest_1samp(d, 1.0, alternative="less").pvalue
    return max(moved, upper, lower)


def holm(ps):
    order = np.argsort(ps)
    out, worst = [0.0] * len(ps), 0.0
    for i, at in enumerate(order):
        worst = max(worst, min(1.0, ps[at] * (len(ps) - i)))
        out[at] = worst
    return out


def conditions(pairs, looks):
    """Each pair of samples by seed, in units of its margin, look by look; what a look decided stands."""
    found = {}
    for seeds, level in looks:
        open_ = [i for i in range(len(pairs)) if i not in found and all(set(seeds) <= x.keys() for x in pairs[i])]
        shared = {i: [s for s in seeds if all(math.isfinite(x[s]) for x in pairs[i])] for i in open_}
        data = {i: [np.array([x[s] for s in shared[i]]) for x in pairs[i]] for i in open_}
        places = sorted({*open_, *found})
        better = holm(
            [0.0 if found.get(i) in ("a", "b") else 1.0 if i in found else p_better(*data[i]) for i in places]
        )
        same = holm([0.0 if found.get(i) == "=" else 1.0 if i in found else p_equivalent(*data[i]) for i in places])
        for i in open_:
            a, b = data[i]
            d, at = a - b, places.index(i)
            agree = p_flips(d) < 0.05 and (d.mean() > 0) == (float(rank_statistic(a, b)) > 0)
            if not d.any():
                found[i] = "="
            elif better[at] < level and agree:
                half = stats.t.ppf(1 - level / len(places) / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))
                low, high = d.mean() - half, d.mean() + half
                matters = True if low > 1 or high < -1 else False if low > -1 and high < 1 else None
                found[i] = ("a" if d.mean() > 0 else "b") + ("" if matters is not False else " small")
                found[i] = found[i] if matters is not None else found[i][0] + " open"
            elif same[at] < level:
                found[i] = "="
    return [found.get(i, "?") for i in range(len(pairs))]


def of_pair(found, rule):
    if found == "?" or (rule in ("falls", "rises") and found == "="):
        return "undecided"
    if rule == "no difference":
        return "reproduced" if found == "=" else "not reproduced"
    if rule == "no gain":
        return {"a": "not reproduced", "a open": "undecided"}.get(found, "reproduced")
    return "reproduced" if found[0] == "a" else "not reproduced"


def confusion(answers, labels, pair, most):
    """Shares of resamples of means, of single runs, and of what they name as seldom as this pair."""
    generator = np.random.default_rng(11)
    runs, classes, draws = len(answers), int(labels.max()) + 1, 3_000
    of_means, of_runs = np.zeros(classes**2), np.zeros(classes**2)
    sizes = np.maximum(np.bincount(labels, minlength=classes), 1)
    wrong = np.flatnonzero((answers != labels).any(0))
    said, true = answers[:, wrong], labels[wrong]
    for _ in range(draws):
        weight = generator.poisson(1.0, size=len(wrong)).astype(float)
        chosen = np.bincount(generator.integers(runs, size=runs), minlength=runs)
        for target, seeds in ((of_means, chosen), (of_runs, np.eye(runs, dtype=int)[generator.integers(runs)])):
            counts = np.zeros((classes, classes))
            for seed in np.flatnonzero(seeds):
                np.add.at(counts, (true, said[seed]), weight * seeds[seed])
            np.fill_diagonal(counts, 0)
            rates = (counts / sizes[:, None]).ravel() + 1e-9 * generator.random(classes**2)
            target[np.argsort(-rates)[:most]] += 1 / draws
    cell = pair[0] * classes + pair[1]
    return of_means[cell], max(of_means[cell], of_runs[cell], of_runs[of_runs <= of_runs[cell] + 1e-12].sum() / most)


def looks_of(plan):
    if ":" in plan:
        first, last = map(int, plan.split(":"))
        spent = [0.05 * math.log1p((math.e - 1) * n / last) for n in (0, first, last)]
        return [(range(first), spent[1]), (range(last), spent[2] - spent[1])]
    seeds = [int(s) for s in plan.split(",") if s] if "," in plan else range(int(plan))
    return [(seeds, 0.05)]


def judge(asked, runs, names):
    claim, looks = asked["claim"], looks_of(asked["seed_plan"])
    if asked["trouble"]:
        return "undecided"
    if claim["rule"] == "defect":
        return "reproduced" if claim["claimed"][0] in asked["caught"] else "not reproduced"
    if claim["rule"] == "count":
        wanted = [printed(text) for text in claim["claimed"]]
        same = [
            len(got := asked["exact"][case["label"]]) == len(wanted)
            and all(abs(g - w) <= h * (1 + 1e-9) for g, (w, h) in zip(got, wanted, strict=True))
            for case in claim["cases"]
        ]
        return "reproduced" if same[0] else "depends" if any(same) else "not reproduced"
    verdict = "undecided"
    for number in range(1, len(looks) + 1):
        seeds = looks[number - 1][0]
        arms = [arm for case in claim["cases"] for arm in (case["arm"], case["against"]) if arm]
        if number > 1 and any(len(runs.find(arm, asked, seeds)) < len(seeds) for arm in arms):
            break
        verdict = judge_look(asked, runs, looks[:number], names)
        if verdict != "undecided":
            break
    return verdict


def timed_alike(*arms):
    """Whether seconds were taken on one machine, beside as many other runs."""
    rows = [run[0] for arm in arms for run in arm.values()]
    return len({(r["environment"].get("machine"), r["device"], r["threads"], r["jobs"]) for r in rows}) <= 1


def judge_look(asked, runs, looks, names):
    claim = asked["claim"]
    seeds, rule = looks[-1][0], claim["rule"]
    alike = []
    if rule in ("better", "no gain", "no difference", "falls", "rises"):
        pairs = []
        for case in claim["cases"]:
            quantity = case["quantity"] or claim["quantity"]
            kind = kind_of(quantity.partition("@")[0])
            sign = 1.0 if kind == "accuracy" else -1.0
            a = runs.find(case["arm"], asked, seeds)
            if rule in ("falls", "rises"):
                sign = 1.0 if rule == "rises" else -1.0
                sides = [{s: value(r, quantity, at) for s, r in a.items()} for at in reversed(claim["at"])]
            else:
                b = runs.find(case["against"], asked, seeds)
                sides = [{s: value(r, quantity) for s, r in each.items()} for each in (a, b)]
            alike.append(kind != "seconds" or timed_alike(a, b))
            pairs.append([{s: sign * v / MARGINS[kind] for s, v in x.items()} for x in sides])
        if min(sum(math.isfinite(x[s] + y.get(s, math.nan)) for s in x) for x, y in pairs) < 10:
            return "undecided"
        verdicts = [
            of_pair(found, rule) if timed else "undecided"
            for found, timed in zip(conditions(pairs, looks), alike, strict=True)
        ]
        if rule in ("falls", "rises"):
            return combined(verdicts)
        if {"reproduced", "not reproduced"} <= set(verdicts):
            return "depends"
        return verdicts[0] if len(set(verdicts)) == 1 else "undecided"
    outside = 0.01 * looks[-1][1] / 0.05
    return combined([judge_case(asked, case, runs, seeds, names, outside) for case in claim["cases"]])


def combined(verdicts):
    """Of completions: the first decides that it is reproduced, all of them that it is not."""
    if verdicts[0] in ("reproduced", "consistent"):
        return verdicts[0]
    return "not reproduced" if set(verdicts) == {"not reproduced"} else "undecided"


def judge_case(asked, case, runs, seeds, names, outside):
    claim = asked["claim"]
    found = runs.find(case["arm"], asked, seeds)
    quantity = case["quantity"] or claim["quantity"]
    kind = kind_of(quantity.partition("@")[0])
    if claim["rule"] == "confusions":
        answers = [r[2] for r in found.values() if r[2] is not None]
        if len(answers) < 10:
            return "undecided"
        order = [np.argsort(a["images"], kind="stable") for a in answers]
        said = np.stack([a["predicted"][o] for a, o in zip(answers, order, strict=True)])
        labels, verdicts = answers[0]["labels"][order[0]], []
        for text in claim["claimed"]:
            pair = tuple(names.index(x.strip()) for x in text.split(">"))
            of_means, rare = confusion(said, labels, pair, claim["at"][0] if claim["at"] else len(claim["claimed"]))
            verdicts.append("reproduced" if of_means >= 0.95 else "not reproduced" if rare <= 0.05 else "undecided")
        return (
            "not reproduced"
            if "not reproduced" in verdicts
            else verdicts[0]
            if len(set(verdicts)) == 1
            else "undecided"
        )
    places = claim["at"] if claim["rule"] == "series" else [None]
    samples = [[v for r in found.values() if math.isfinite(v := value(r, quantity, at))] for at in places]
    if min(map(len, samples)) < 10:
        return "undecided"
    if claim["rule"] in ("value", "series"):
        return series(samples, claim["claimed"], kind, outside)
    rule = {"range": range_, "at least": at_least, "usually": usually}[claim["rule"]]
    return rule(samples[0], claim["claimed"], outside)


def recheck(folder, table):
    """[(id, verdict here, verdict of the table)] of every claim."""
    rows = read(folder)
    runs = Runs(rows)
    classes = {row["data_hash"]: row["facts"]["classes"] for row in rows.get("bench_datasets", [])}
    with Path(table).open(newline="") as stream:
        told = {row["id"]: row["verdict"] for row in csv.DictReader(stream)}
    asked = [row["asked"] for row in sorted(rows.get("bench_claims", []), key=lambda row: row["place"])]
    return [
        (each["claim"]["id"], judge(each, runs, classes.get(each["data_hash"], [])), told.get(each["claim"]["id"]))
        for each in asked
    ]


if __name__ == "__main__":
    found = recheck(*sys.argv[1:3])
    for name, here, there in found:
        print(f"{name:8} {here:16} {'' if here == there else f'BUT claims.csv SAYS {there}'}")
    unlike = sum(here != there for _, here, there in found)
    print(f"{len(found)} verdicts recomputed, {unlike} differ.")
    sys.exit(bool(unlike))
