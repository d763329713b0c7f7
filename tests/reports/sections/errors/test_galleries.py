"""Pictures of what nets get wrong and of what tells two apart: which, in which order, with which words."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.reports.document_reading import prose_of
from tests.reports.sections.errors.answer_studies import (
    LABELS,
    PICTURES,
    SEEDS,
    every_four_is_a_nine,
    galleries_of,
    made_up,
    sections_of,
)


def test_pictures_of_what_is_wrong_and_of_what_is_hardest() -> None:
    galleries = galleries_of(sections_of(every_four_is_a_nine())[0])
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
    galleries = galleries_of(sections_of(every_four_is_a_nine())[0])
    apart = galleries["lenet21k right, conv16k wrong: 2 images"]
    assert [tile.caption for tile in apart.tiles] == ["true 4; seeds right: 6 of 6 against 0 of 6; 6 said 9"] * 2
    assert apart.tiles[0].alt == (
        "Test image 8, true class 4: right with 6 of 6 seeds of lenet21k and 0 of 6 of conv16k; 6 said 9."
    )
    assert not any("conv16k right" in title for title in galleries)  # one seed of six is left to chance


def test_how_many_gave_the_commonest_class_and_how_sure_all_that_were_wrong_were() -> None:
    study = made_up({"lenet21k": {(0, 0): 6, (1, 0): 8, (2, 0): 8}})
    study.confidence["lenet21k-3-0"][0] = 0.2
    study.confidence["lenet21k-3-1"][0] = 0.5
    study.confidence["lenet21k-3-2"][0] = 0.8
    (gallery,) = galleries_of(sections_of(study)[0]).values()
    # (0.2 + 0.5 + 0.8) / 3, although the two that said 8 were 65 % sure
    assert [tile.caption for tile in gallery.tiles] == ["true 0; 3 of 6 seeds wrong, 50 % sure; 2 said 8"]
    for seed in range(3):
        study.confidence[f"lenet21k-3-{seed}"][0] = 1.0
    (gallery,) = galleries_of(sections_of(study)[0]).values()
    assert "over 99 % sure" in gallery.tiles[0].caption


def test_wrong_classes_as_common_are_all_named_the_surest_first() -> None:
    study = made_up({"lenet21k": {(0, 0): 3, (1, 0): 3, (2, 0): 7, (3, 0): 7, (4, 0): 9}})
    for seed in (2, 3):
        study.confidence[f"lenet21k-3-{seed}"][0] = 0.8
    (gallery,) = galleries_of(sections_of(study)[0]).values()
    (tile,) = gallery.tiles
    assert tile.caption == "true 0; 5 of 6 seeds wrong, 77 % sure; 2 said 7, 2 said 3"  # (3 * 0.75 + 2 * 0.8) / 5
    assert tile.alt == ("Test image 0, true class 0: 5 of 6 seeds of lenet21k wrong, 77 % sure; 2 said 7, 2 said 3.")
    study = made_up({"lenet21k": {(seed, 0): 1 + seed for seed in SEEDS}})
    (gallery,) = galleries_of(sections_of(study)[0]).values()
    assert gallery.tiles[0].caption.endswith("; 1 said 1, 1 said 2, 1 said 3, and others as often")


def test_tiles_stand_by_the_confidence_they_print_and_the_order_is_said() -> None:
    # image 0: five sure sixes and an unsure one said 8; image 2: all said 7
    study = made_up({"lenet21k": {(s, 0): 6 if s else 8 for s in SEEDS} | {(s, 2): 7 for s in SEEDS}})
    for seed in SEEDS:
        study.confidence[f"lenet21k-3-{seed}"][0] = 0.9 if seed else 0.12
    section = sections_of(study)[0]
    (gallery,) = galleries_of(section).values()
    # (5 * 0.9 + 0.12) / 6 = 0.77
    assert [tile.caption for tile in gallery.tiles] == [
        "true 0; 6 of 6 seeds wrong, 77 % sure; 5 said 6",
        "true 1; 6 of 6 seeds wrong, 75 % sure; 6 said 7",
    ]
    said = prose_of(section)
    assert "most seeds wrong first and, of equal ones, the surest wrong answers first" in said
    assert "The confidence shown is the mean over all wrong answers, whatever they said" in said


def test_which_pairs_are_looked_at_how_many_images_and_which_pairs_have_none() -> None:
    nets = {"bn25k": 0.9901, "conv16k": 0.9, "fc3136": 0.95, "lenet21k": 0.9902}
    wrong = {"conv16k": {(seed, image): (image // 2 + 1) % 10 for seed in SEEDS for image in range(14)}}
    section = sections_of(made_up({net: wrong.get(net, {}) for net in nets}, accuracy=nets))[0]
    assert "Looked at: 3 of 6 pairs (conv16k with lenet21k, bn25k with conv16k and conv16k with fc3136)." in prose_of(
        section
    )
    assert "better come first, by difference, then equivalent ones, then those with the highest" in prose_of(section)
    titles = [title for title in galleries_of(section) if " right, " in title]
    assert titles[0] == "lenet21k right, conv16k wrong: 12 of 14 images"
    assert len(galleries_of(section)[titles[0]].tiles) == 12
    assert "No image tells" not in prose_of(section)
    none = prose_of(sections_of(made_up({"conv16k": {}, "lenet21k": {(0, 0): 6}}, accuracy=nets))[0])
    assert "Looked at: 1 of 1 pair (conv16k with lenet21k)." in none
    assert "No image tells these apart: conv16k with lenet21k." in none


def test_pairs_with_a_verdict_come_first_and_three_at_most() -> None:
    nets = {"bn25k": 0.9901, "conv16k": 0.9, "fc3136": 0.95, "lenet21k": 0.9902}
    errors = {(seed, 0): 6 for seed in SEEDS}
    each = {
        net: {(seed, image + 2 * at): given for (seed, image), given in errors.items()} for at, net in enumerate(nets)
    }
    titles = [title for title in galleries_of(sections_of(made_up(each, accuracy=nets))[0]) if " right, " in title]
    # better pairs by difference: conv16k with lenet21k (9.02 pp), with bn25k (9.01), with fc3136 (5)
    assert titles == [
        f"{one} right, {other} wrong: 1 image"
        for a, b in (("conv16k", "lenet21k"), ("bn25k", "conv16k"), ("conv16k", "fc3136"))
        for one, other in ((a, b), (b, a))
    ]


def test_at_most_24_pictures() -> None:
    study = made_up({"lenet21k": {}})
    labels = np.tile(LABELS, 2)
    wrong = {run_id: ((labels + 1) % 10).astype(np.uint8) for run_id in study.predicted}
    pictures = dataclasses.replace(PICTURES, test=np.concatenate([PICTURES.test] * 2))
    study = dataclasses.replace(
        study, predicted=wrong, confidence={}, labels={"da7a": labels}, pictures={"da7a": pictures}
    )
    (gallery,) = galleries_of(sections_of(study)[0]).values()
    assert len(gallery.tiles) == 24
    assert gallery.title == "Wrong by lenet21k, with most seeds first: 24 of 40 images"
