"""What nets get wrong, on twenty made-up images: counted by hand, planted, and with what older stores lack."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from synthetic import MNIST, make_record, study_of

from bench.pictures import DataPictures
from bench.stats.verdicts import DECIDED
from reports.charts import Heatmap
from reports.conditions import find_conditions
from reports.document import Figure, Gallery, Prose, Section, Table
from reports.errors import MOST_PICTURED, error_sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.records import Study

SEEDS = range(6)
LABELS = np.repeat(np.arange(10), 2).astype(np.uint8)  # images 8 and 9 are fours
PICTURES = DataPictures(
    test=np.stack([np.full((1, 28, 28), 10 * number, np.uint8) for number in range(20)]),
    samples=np.zeros((0, 1, 28, 28), np.uint8),
    sample_labels=np.zeros(0, np.uint8),
    sample_indices=np.zeros(0, np.int32),
)


def _made_up(
    wrong: Mapping[str, Mapping[tuple[int, int], int]],
    *,
    accuracy: Mapping[str, float] | None = None,
    sure: float = 0.75,
) -> Study:
    """A study whose nets are right but for what `wrong` says: by seed and image, the class that is given."""
    runs, predicted, confidence = [], {}, {}
    for net, errors in wrong.items():
        for seed in SEEDS:
            record, curve = make_record(net, seed=seed)
            value = (accuracy or {}).get(net, 0.99) + 0.0001 * seed * (len(net) % 3)
            record = dataclasses.replace(record, test_accuracy=value, test_loss=0.03)
            runs.append((record, curve))
            answers = LABELS.copy()
            for (of_seed, image), given in errors.items():
                if of_seed == seed:
                    answers[image] = given
            predicted[record.run_id] = answers
            confidence[record.run_id] = np.full(20, sure, np.float32)
    study = study_of(*runs)
    return dataclasses.replace(
        study, predicted=predicted, confidence=confidence, labels={"da7a": LABELS}, pictures={"da7a": PICTURES}
    )


def _every_four_is_a_nine() -> Study:
    """A net that says 9 for every 4, and one that once takes the first zero for a 6."""
    nines = {(seed, image): 9 for seed in SEEDS for image in (8, 9)}
    return _made_up({"lenet21k": {(2, 0): 6}, "conv16k": nines}, accuracy={"lenet21k": 0.995, "conv16k": 0.9})


def _sections(study: Study) -> tuple[Section, ...]:
    (condition,) = find_conditions(study)
    styles = {entry.label: number for number, entry in enumerate(condition.entries)}
    return error_sections(condition, study, styles)


def _figures(section: Section) -> list[Figure]:
    return [block for block in section.blocks if isinstance(block, Figure)]


def _galleries(section: Section) -> dict[str, Gallery]:
    return {block.title: block for block in section.blocks if isinstance(block, Gallery)}


def _tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def _prose(section: Section) -> str:
    return " ".join(block.text for block in section.blocks if isinstance(block, Prose))


def _heat(figure: Figure) -> Heatmap:
    (panel,) = figure.panels
    assert isinstance(panel, Heatmap)
    return panel


def test_a_net_that_says_9_for_4_shows_on_its_heat_map() -> None:
    conv, lenet, _ = _figures(_sections(_every_four_is_a_nine())[0])
    heat = _heat(conv)
    assert (heat.x_label, heat.y_label, heat.kind) == ("Said", "True", "sequential")
    assert (heat.values[4][9], heat.texts[4][9], heat.texts[4][4], heat.texts[3][3]) == (
        10_000,
        "10,000",
        "0",
        "10,000",
    )
    assert [heat.values[c][c] for c in range(10)] == [None] * 10
    assert sum(value or 0 for row in heat.values for value in row) == 10_000
    assert conv.alt == "Heat map of the answers of conv16k by true class. Most often: 4 for 9 (10,000 of 10,000)."
    # one of two zeros with one of six seeds: 10,000 / 12
    assert _heat(lenet).values[0][6] == pytest.approx(10_000 / 12)
    assert _heat(lenet).texts[0][6] == "833"
    assert [cell.text for cell in lenet.table.rows[0][:8]] == ["0", "9,167", "0", "0", "0", "0", "0", "833"]


def test_the_difference_of_the_pair_with_a_verdict() -> None:
    section = _sections(_every_four_is_a_nine())[0]
    figure = _figures(section)[2]
    heat = _heat(figure)
    assert heat.kind == "diverging"
    assert (heat.values[4][9], heat.texts[4][9], heat.texts[4][4], heat.values[4][4]) == (
        10_000,
        "+10,000",
        "−10,000",
        None,
    )
    assert (heat.texts[0][6], heat.texts[1][2]) == ("−833", "0")
    assert heat.values[0][6] == pytest.approx(-10_000 / 12)
    assert figure.alt == (
        "Heat map of the answers of conv16k less those of lenet21k. conv16k more often takes 4 for 9 (10,000 of "
        "10,000); lenet21k more often takes 0 for 6 (833 of 10,000)."
    )
    assert "The verdict on conv16k and lenet21k stands above" in _prose(section)


def test_without_a_verdict_the_two_highest_means_are_called_no_more_than_that() -> None:
    study = _made_up({"lenet21k": {}, "conv16k": {}, "bn25k": {}}, accuracy={"lenet21k": 0.99, "conv16k": 0.98})
    short = dataclasses.replace(study, records=tuple(run for run in study.records if run.seed < 2))
    section = _sections(short)[0]
    text = "No pair here has a verdict. bn25k and lenet21k have the highest means, which does not make them best."
    assert text in _prose(section)
    assert _figures(section)[-1].title == "Where bn25k and lenet21k err differently"


def test_where_pairs_with_a_verdict_are_not_shown_no_more_is_said_than_of_those_shown() -> None:
    names = [f"net{number}0" for number in range(MOST_PICTURED + 1)]
    study = _made_up({name: {} for name in names})
    noise = np.random.default_rng(3).normal(0, 0.01, len(study.records)).tolist()  # nothing is equivalent
    noisy = [
        dataclasses.replace(run, test_accuracy=(0.5 if run.architecture == names[-1] else 0.95) + off)
        for run, off in zip(study.records, noise, strict=True)
    ]
    study = dataclasses.replace(study, records=tuple(noisy))
    (condition,) = find_conditions(study)
    decided = [pair for pair in condition.accuracy.pairs if pair.verdict in DECIDED]
    assert decided
    assert all(names[-1] in (pair.a, pair.b) for pair in decided)
    said = _prose(_sections(study)[0])
    assert "No pair of the 8 architectures shown has a verdict." in said
    assert "have the highest means of them, which does not make them best." in said
    assert "No pair here" not in said


def test_the_most_confused_pairs() -> None:
    table, *_ = _tables(_sections(_every_four_is_a_nine())[0])
    conv, lenet = table.rows
    assert [cell.text for cell in conv] == ["conv16k", "4 → 9", "100.00", "100.0 to 100.0", "2.0", "6"]
    assert [cell.text for cell in lenet][:3] == ["lenet21k", "0 → 6", "8.33"]
    assert lenet[2].interval is not None
    assert lenet[2].interval[0] == 0 < lenet[2].interval[1]


def test_pairs_that_tie_with_the_fifth_are_shown_too_and_their_intervals_have_one_decimal() -> None:
    # seven pairs of one image and one seed each, one of two seeds
    wrong = {(0, 2 * true): (true + 5) % 10 for true in range(7)} | {(1, 0): 5}
    section = _sections(_made_up({"lenet21k": wrong}))[0]
    (table,) = _tables(section)
    assert [row[1].text for row in table.rows] == ["0 → 5", "1 → 6", "2 → 7", "3 → 8", "4 → 9", "5 → 0", "6 → 1"]
    assert table.caption.startswith(
        "Most confused: the 5 highest rates of each architecture and those that tie with the last, 10 at most. "
    )
    ends = table.rows[0][3].text.split(" to ")
    assert [len(end.split(".")[1]) for end in ends] == [1, 1]
    assert _figures(section)[0].alt.endswith(
        "0 for 5 (1,667 of 10,000), 1 for 6 (833 of 10,000), 2 for 7 (833 of 10,000) and 4 more as often as the last."
    )


def test_pictures_of_what_is_wrong_and_of_what_is_hardest() -> None:
    galleries = _galleries(_sections(_every_four_is_a_nine())[0])
    conv = galleries["Wrong by conv16k, with most seeds first: 2 images"]
    assert [tile.caption for tile in conv.tiles] == ["true 4; 6 of 6 seeds wrong, 75 % sure; 6 said 9"] * 2
    assert conv.tiles[0].alt == "Test image 8, true class 4: 6 of 6 seeds of conv16k wrong, 75 % sure; 6 said 9."
    assert conv.tiles[1].pixels.shape == (28, 28)
    assert conv.tiles[1].pixels[0, 0] == 90
    (lenet,) = galleries["Wrong by lenet21k, with most seeds first: 1 image"].tiles
    assert lenet.caption == "true 0; 1 of 6 seeds wrong, 75 % sure; 1 said 6"
    hardest = galleries["Hardest images, over 12 runs of 2 architectures: 3 images"]
    assert [tile.caption for tile in hardest.tiles] == [
        "true 4; 6 of 12 runs wrong, 75 % sure; 6 said 9",
        "true 4; 6 of 12 runs wrong, 75 % sure; 6 said 9",
        "true 0; 1 of 12 runs wrong, 75 % sure; 1 said 6",
    ]


def test_images_that_one_gets_right_and_the_other_wrong() -> None:
    galleries = _galleries(_sections(_every_four_is_a_nine())[0])
    apart = galleries["lenet21k right, conv16k wrong: 2 images"]
    assert [tile.caption for tile in apart.tiles] == ["true 4; seeds right: 6 of 6 against 0 of 6; 6 said 9"] * 2
    assert apart.tiles[0].alt == (
        "Test image 8, true class 4: right with 6 of 6 seeds of lenet21k and 0 of 6 of conv16k; 6 said 9."
    )
    assert not any("conv16k right" in title for title in galleries)  # one seed of six is left to chance


def test_how_many_gave_the_commonest_class_and_how_sure_all_that_were_wrong_were() -> None:
    study = _made_up({"lenet21k": {(0, 0): 6, (1, 0): 8, (2, 0): 8}})
    study.confidence["lenet21k-3-0"][0] = 0.2
    study.confidence["lenet21k-3-1"][0] = 0.5
    study.confidence["lenet21k-3-2"][0] = 0.8
    (gallery,) = _galleries(_sections(study)[0]).values()
    # (0.2 + 0.5 + 0.8) / 3, although the two that said 8 were 65 % sure
    assert [tile.caption for tile in gallery.tiles] == ["true 0; 3 of 6 seeds wrong, 50 % sure; 2 said 8"]
    for seed in range(3):
        study.confidence[f"lenet21k-3-{seed}"][0] = 1.0
    (gallery,) = _galleries(_sections(study)[0]).values()
    assert "over 99 % sure" in gallery.tiles[0].caption


def test_wrong_classes_as_common_are_all_named_the_surest_first() -> None:
    study = _made_up({"lenet21k": {(0, 0): 3, (1, 0): 3, (2, 0): 7, (3, 0): 7, (4, 0): 9}})
    for seed in (2, 3):
        study.confidence[f"lenet21k-3-{seed}"][0] = 0.8
    (gallery,) = _galleries(_sections(study)[0]).values()
    (tile,) = gallery.tiles
    assert tile.caption == "true 0; 5 of 6 seeds wrong, 77 % sure; 2 said 7, 2 said 3"  # (3 * 0.75 + 2 * 0.8) / 5
    assert tile.alt == ("Test image 0, true class 0: 5 of 6 seeds of lenet21k wrong, 77 % sure; 2 said 7, 2 said 3.")
    study = _made_up({"lenet21k": {(seed, 0): 1 + seed for seed in SEEDS}})
    (gallery,) = _galleries(_sections(study)[0]).values()
    assert gallery.tiles[0].caption.endswith("; 1 said 1, 1 said 2, 1 said 3, and others as often")


def test_tiles_stand_by_the_confidence_they_print_and_the_order_is_said() -> None:
    # image 0: five sure sixes and an unsure one said 8; image 2: all said 7
    study = _made_up({"lenet21k": {(s, 0): 6 if s else 8 for s in SEEDS} | {(s, 2): 7 for s in SEEDS}})
    for seed in SEEDS:
        study.confidence[f"lenet21k-3-{seed}"][0] = 0.9 if seed else 0.12
    section = _sections(study)[0]
    (gallery,) = _galleries(section).values()
    # (5 * 0.9 + 0.12) / 6 = 0.77
    assert [tile.caption for tile in gallery.tiles] == [
        "true 0; 6 of 6 seeds wrong, 77 % sure; 5 said 6",
        "true 1; 6 of 6 seeds wrong, 75 % sure; 6 said 7",
    ]
    said = _prose(section)
    assert "most seeds wrong first and, of equal ones, the surest wrong answers first" in said
    assert "The confidence shown is the mean over all wrong answers, whatever they said" in said


def test_which_pairs_are_looked_at_how_many_images_and_which_pairs_have_none() -> None:
    nets = {"bn25k": 0.9901, "conv16k": 0.9, "fc3136": 0.95, "lenet21k": 0.9902}
    wrong = {"conv16k": {(seed, image): (image // 2 + 1) % 10 for seed in SEEDS for image in range(14)}}
    section = _sections(_made_up({net: wrong.get(net, {}) for net in nets}, accuracy=nets))[0]
    assert "Looked at: 3 of 6 pairs (conv16k with lenet21k, bn25k with conv16k and conv16k with fc3136)." in _prose(
        section
    )
    assert "better come first, by difference, then equivalent ones, then those with the highest" in _prose(section)
    titles = [title for title in _galleries(section) if " right, " in title]
    assert titles[0] == "lenet21k right, conv16k wrong: 12 of 14 images"
    assert len(_galleries(section)[titles[0]].tiles) == 12
    assert "No image tells" not in _prose(section)
    none = _prose(_sections(_made_up({"conv16k": {}, "lenet21k": {(0, 0): 6}}, accuracy=nets))[0])
    assert "Looked at: 1 of 1 pair (conv16k with lenet21k)." in none
    assert "No image tells these apart: conv16k with lenet21k." in none


def test_pairs_with_a_verdict_come_first_and_three_at_most() -> None:
    nets = {"bn25k": 0.9901, "conv16k": 0.9, "fc3136": 0.95, "lenet21k": 0.9902}
    errors = {(seed, 0): 6 for seed in SEEDS}
    each = {
        net: {(seed, image + 2 * at): given for (seed, image), given in errors.items()} for at, net in enumerate(nets)
    }
    titles = [title for title in _galleries(_sections(_made_up(each, accuracy=nets))[0]) if " right, " in title]
    # better pairs by difference: conv16k with lenet21k (9.02 pp), with bn25k (9.01), with fc3136 (5)
    assert titles == [
        f"{one} right, {other} wrong: 1 image"
        for a, b in (("conv16k", "lenet21k"), ("bn25k", "conv16k"), ("conv16k", "fc3136"))
        for one, other in ((a, b), (b, a))
    ]


def test_calibration_by_hand() -> None:
    section = _sections(_every_four_is_a_nine())[1]
    table = _tables(section)[0]
    # conv16k: 18 of 20 right at 75 % in every run: |0.9 − 0.75|; lenet21k: 20 of 20, and once 19: 0.25, 0.2
    conv, lenet = table.rows
    assert [cell.text for cell in conv] == ["conv16k", "15.00 (15.00 to 15.00)", "0.0300 (0.0300 to 0.0300)", "6"]
    # mean 145 / 6; s = 5 / sqrt(6); t(0.975, 5) = 2.570582, so ± 2.142
    assert lenet[1].text == "24.17 (22.02 to 26.31)"
    assert lenet[1].interval == pytest.approx((24.1667 - 2.1422, 24.1667 + 2.1422), abs=1e-3)
    (figure,) = _figures(section)
    (panel,) = figure.panels
    assert panel.target == 0
    assert [(s.label, s.style) for s in panel.series] == [("conv16k", 0), ("lenet21k", 1)]
    (point,) = panel.series[0].points
    assert [point.x, point.y] == pytest.approx([75, 15])
    # 0.75 * 15 = 11.25: bin 11
    texts = [cell.text for cell in figure.table.rows[1]]
    assert texts == ["lenet21k", "73.3 to 80.0", "120", "75.00", "99.17"]
    assert figure.alt.endswith(
        "; what adds most to the error: conv16k 90.0 % right when 75.0 % sure (120 answers); lenet21k 99.2 % right "
        "when 75.0 % sure (120 answers)."
    )


def test_the_alternative_text_of_reliability_names_no_bin_of_a_few_answers() -> None:
    study = _made_up({"lenet21k": {}, "conv16k": {(seed, 9): 0 for seed in SEEDS}})
    for seed in SEEDS:  # four answers of every run: 24 in all, a quarter of them wrong
        study.confidence[f"conv16k-3-{seed}"][6:10] = 0.3
    (figure,) = _figures(_sections(study)[1])
    assert [cell.text for cell in figure.table.rows[0]] == ["conv16k", "26.7 to 33.3", "24", "30.00", "75.00"]
    # 24 answers 45 pp apart are 10.8 of all, 96 answers 25 pp apart are 24
    assert "conv16k 100.0 % right when 75.0 % sure (96 answers)" in figure.alt
    assert "30" not in figure.alt


def test_both_numbers_of_calibration_are_of_the_same_seeds() -> None:
    study = _every_four_is_a_nine()
    losses = {("lenet21k", 0): None, ("lenet21k", 1): math.inf, ("lenet21k", 3): 0.05}
    mixed = tuple(
        dataclasses.replace(run, test_loss=losses.get((run.architecture, run.seed), run.test_loss))
        for run in study.records
    )
    section = _sections(dataclasses.replace(study, records=mixed))[1]
    conv, lenet = _tables(section)[0].rows
    assert (conv[3].text, lenet[3].text) == ("6", "4")
    # of seeds 2 to 5: one error of 0.2 and three of 0.25; losses 0.05 and three of 0.03
    assert [lenet[1].value, lenet[2].value] == pytest.approx([23.75, 0.035])
    assert "The table leaves out 2 runs without a finite log loss" in _prose(section)
    (figure,) = _figures(section)
    assert [cell.text for cell in figure.table.rows[1]][:3] == ["lenet21k", "73.3 to 80.0", "120"]


def test_where_no_log_loss_is_stored_calibration_has_all_seeds() -> None:
    study = _every_four_is_a_nine()
    bare = tuple(dataclasses.replace(run, test_loss=None) for run in study.records)
    section = _sections(dataclasses.replace(study, records=bare))[1]
    assert [cell.text for cell in _tables(section)[0].rows[0]] == ["conv16k", "15.00 (15.00 to 15.00)", "—", "6"]
    assert "leaves out" not in _prose(section)


def test_bins_with_few_answers_are_left_out() -> None:
    study = _every_four_is_a_nine()
    for run in SEEDS:
        study.confidence[f"conv16k-3-{run}"][0] = 0.3  # six answers in all
    (figure,) = _figures(_sections(study)[1])
    assert [cell.text for cell in figure.table.rows[0][:3]] == ["conv16k", "73.3 to 80.0", "114"]
    assert len(figure.table.rows) == 2


def test_without_confidences_nothing_is_said_of_them() -> None:
    (section,) = _sections(dataclasses.replace(_every_four_is_a_nine(), confidence={}))
    tiles = [tile for gallery in _galleries(section).values() for tile in gallery.tiles]
    assert tiles[0].caption == "true 4; 6 of 6 seeds wrong; 6 said 9"
    assert not any("sure" in tile.caption + tile.alt for tile in tiles)


def test_a_net_of_which_one_run_lacks_confidences_is_left_out_of_calibration() -> None:
    study = _every_four_is_a_nine()
    known = {run_id: sure for run_id, sure in study.confidence.items() if run_id != "conv16k-3-4"}
    section = _sections(dataclasses.replace(study, confidence=known))[1]
    assert [row[0].text for row in _tables(section)[0].rows] == ["lenet21k"]
    assert "No confidence is stored for every run of conv16k." in _prose(section)


def test_without_pictures_the_numbers_stay() -> None:
    section = _sections(dataclasses.replace(_every_four_is_a_nine(), pictures={}))[0]
    assert not _galleries(section)
    assert len(_figures(section)) == 3
    assert "No pictures of this data are stored" in _prose(section)


def test_damaged_pictures_are_missing_and_it_says_so() -> None:
    empty = dataclasses.replace(PICTURES, test=PICTURES.test[:0], damaged=True)
    section = _sections(dataclasses.replace(_every_four_is_a_nine(), pictures={"da7a": empty}))[0]
    assert not _galleries(section)
    assert len(_figures(section)) == 3
    (text,) = [b.text for b in section.blocks if isinstance(b, Prose) and b.tone == "warning"]
    assert text.startswith("The stored pictures of this data are damaged: the images themselves are not shown. Run ")
    assert "No pictures of this data are stored" not in _prose(section)


def test_without_predictions_or_labels_or_when_selected_on_test_there_is_no_section() -> None:
    study = _every_four_is_a_nine()
    assert _sections(dataclasses.replace(study, predicted={})) == ()
    assert _sections(dataclasses.replace(study, labels={})) == ()
    peeked = tuple(dataclasses.replace(run, protocol="as_claimed") for run in study.records)
    assert _sections(dataclasses.replace(study, records=peeked)) == ()


def test_a_net_without_predictions_and_runs_that_failed_are_left_out() -> None:
    study = _every_four_is_a_nine()
    known = {run_id: answers for run_id, answers in study.predicted.items() if not run_id.startswith("lenet")}
    bad = tuple(
        dataclasses.replace(run, status="failed") if run.seed == 0 and run.architecture == "conv16k" else run
        for run in study.records
    )
    section = _sections(dataclasses.replace(study, predicted=known, records=bad))[0]
    assert [figure.title for figure in _figures(section)] == ["What conv16k takes for what"]
    (gallery,) = _galleries(section).values()
    assert gallery.tiles[0].caption == "true 4; 5 of 5 seeds wrong, 75 % sure; 5 said 9"


def test_a_net_that_is_always_right_has_no_gallery() -> None:
    section = _sections(_made_up({"lenet21k": {}}))[0]
    assert not _galleries(section)
    assert _tables(section)[0].rows == ()
    assert _figures(section)[0].alt == "lenet21k is always right."


def test_of_many_architectures_the_first_are_pictured_and_it_says_so() -> None:
    nets = {f"net{number:02}": {(0, number % 20): (number // 2 + 1) % 10} for number in range(MOST_PICTURED + 2)}
    section = _sections(_made_up(nets))[0]
    assert "Shown are the first 8 architectures by name, of 10; the hardest images are those of all." in _prose(section)
    maps = [figure.title for figure in _figures(section) if "takes" in figure.title]
    assert maps == [f"What net{number:02} takes for what" for number in range(8)]
    galleries = _galleries(section)
    assert "Wrong by net07, with most seeds first: 1 image" in galleries
    assert len(galleries["Hardest images, over 60 runs of 10 architectures: 10 images"].tiles) == 10
    assert not any("net08" in title or "net09" in title for title in galleries)


def test_at_most_24_pictures() -> None:
    study = _made_up({"lenet21k": {}})
    labels = np.tile(LABELS, 2)
    wrong = {run_id: ((labels + 1) % 10).astype(np.uint8) for run_id in study.predicted}
    pictures = dataclasses.replace(PICTURES, test=np.concatenate([PICTURES.test] * 2))
    study = dataclasses.replace(
        study, predicted=wrong, confidence={}, labels={"da7a": labels}, pictures={"da7a": pictures}
    )
    (gallery,) = _galleries(_sections(study)[0]).values()
    assert len(gallery.tiles) == 24
    assert gallery.title == "Wrong by lenet21k, with most seeds first: 24 of 40 images"


def test_class_names_come_from_the_data_on_one_line_and_numbers_stand_in() -> None:
    study = _every_four_is_a_nine()
    names = ("T-shirt", "a\nb", "<b>", *"3456789")
    named = dataclasses.replace(study, datasets={"da7a": dataclasses.replace(MNIST, classes=names)})
    assert _heat(_figures(_sections(named)[0])[0]).rows[:4] == ("T-shirt", "a b", "<b>", "3")
    for datasets in ({}, {"da7a": dataclasses.replace(MNIST, classes=("a", "b"))}):
        section = _sections(dataclasses.replace(study, datasets=datasets))[0]
        assert _heat(_figures(section)[0]).columns == tuple("0123456789")


def test_coloured_images_and_slugs_of_one_document() -> None:
    study = _every_four_is_a_nine()
    coloured = dataclasses.replace(PICTURES, test=np.arange(20 * 3 * 4).reshape(20, 3, 2, 2).astype(np.uint8))
    sections = _sections(dataclasses.replace(study, pictures={"da7a": coloured}))
    tile = next(iter(_galleries(sections[0]).values())).tiles[0]
    assert tile.pixels.shape == (2, 2, 3)
    assert tile.pixels[0, 1].tolist() == [97, 101, 105]  # image 8 begins with 96; a channel has four pixels
    slugs = [b.slug for section in sections for b in section.blocks if isinstance(b, Figure | Gallery)]
    assert len(set(slugs)) == len(slugs) == 3 + 3 + 1 + 1
    assert [(section.level, section.detail, section.title) for section in sections] == [
        (3, True, "What they get wrong"),
        (3, True, "How sure they are"),
    ]
