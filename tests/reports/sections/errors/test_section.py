"""What of nets' errors is shown, of whom, and what is left out where older stores lack it."""

from __future__ import annotations

import dataclasses

import numpy as np

from reports.document import Figure, Gallery, Prose
from reports.sections.errors.section import MOST_PICTURED
from tests.factories import MNIST
from tests.reports.document_reading import prose_of
from tests.reports.sections.errors.answer_studies import (
    PICTURES,
    every_four_is_a_nine,
    figures_of,
    galleries_of,
    heat_of,
    made_up,
    sections_of,
    tables_of,
)


def test_without_confidences_nothing_is_said_of_them() -> None:
    (section,) = sections_of(dataclasses.replace(every_four_is_a_nine(), confidence={}))
    tiles = [tile for gallery in galleries_of(section).values() for tile in gallery.tiles]
    assert tiles[0].caption == "true 4; 6 of 6 seeds wrong; 6 said 9"
    assert not any("sure" in tile.caption + tile.alt for tile in tiles)


def test_without_pictures_the_numbers_stay() -> None:
    section = sections_of(dataclasses.replace(every_four_is_a_nine(), pictures={}))[0]
    assert not galleries_of(section)
    assert len(figures_of(section)) == 3
    assert "No pictures of this data are stored" in prose_of(section)


def test_damaged_pictures_are_missing_and_it_says_so() -> None:
    empty = dataclasses.replace(PICTURES, test=PICTURES.test[:0], damaged=True)
    section = sections_of(dataclasses.replace(every_four_is_a_nine(), pictures={"da7a": empty}))[0]
    assert not galleries_of(section)
    assert len(figures_of(section)) == 3
    (text,) = [b.text for b in section.blocks if isinstance(b, Prose) and b.tone == "warning"]
    assert text.startswith("The stored pictures of this data are damaged: the images themselves are not shown. Run ")
    assert "No pictures of this data are stored" not in prose_of(section)


def test_without_predictions_or_labels_there_is_no_section() -> None:
    study = every_four_is_a_nine()
    assert sections_of(dataclasses.replace(study, predicted={})) == ()
    assert sections_of(dataclasses.replace(study, labels={})) == ()


def test_a_net_without_predictions_and_runs_that_failed_are_left_out() -> None:
    study = every_four_is_a_nine()
    known = {run_id: answers for run_id, answers in study.predicted.items() if not run_id.startswith("lenet")}
    bad = tuple(
        dataclasses.replace(run, status="failed") if run.seed == 0 and run.architecture == "conv16k" else run
        for run in study.records
    )
    section = sections_of(dataclasses.replace(study, predicted=known, records=bad))[0]
    assert [figure.title for figure in figures_of(section)] == ["What conv16k takes for what"]
    (gallery,) = galleries_of(section).values()
    assert gallery.tiles[0].caption == "true 4; 5 of 5 seeds wrong, 75 % sure; 5 said 9"


def test_a_net_that_is_always_right_has_no_gallery() -> None:
    section = sections_of(made_up({"lenet21k": {}}))[0]
    assert not galleries_of(section)
    assert tables_of(section)[0].rows == ()
    assert figures_of(section)[0].alt == "lenet21k is always right."


def test_of_many_architectures_the_first_are_pictured_and_it_says_so() -> None:
    nets = {f"net{number:02}": {(0, number % 20): (number // 2 + 1) % 10} for number in range(MOST_PICTURED + 2)}
    section = sections_of(made_up(nets))[0]
    assert "Shown are the first 8 architectures by name, of 10; the hardest images are those of all." in prose_of(
        section
    )
    maps = [figure.title for figure in figures_of(section) if "takes" in figure.title]
    assert maps == [f"What net{number:02} takes for what" for number in range(8)]
    galleries = galleries_of(section)
    assert "Wrong by net07, with most seeds first: 1 image" in galleries
    assert len(galleries["Hardest images, over 60 runs of 10 architectures: 10 images"].tiles) == 10
    assert not any("net08" in title or "net09" in title for title in galleries)


def test_class_names_come_from_the_data_on_one_line_and_numbers_stand_in() -> None:
    study = every_four_is_a_nine()
    names = ("T-shirt", "a\nb", "<b>", *"3456789")
    named = dataclasses.replace(study, datasets={"da7a": dataclasses.replace(MNIST, classes=names)})
    assert heat_of(figures_of(sections_of(named)[0])[0]).rows[:4] == ("T-shirt", "a b", "<b>", "3")
    for datasets in ({}, {"da7a": dataclasses.replace(MNIST, classes=("a", "b"))}):
        section = sections_of(dataclasses.replace(study, datasets=datasets))[0]
        assert heat_of(figures_of(section)[0]).columns == tuple("0123456789")


def test_coloured_images_and_slugs_of_one_document() -> None:
    study = every_four_is_a_nine()
    coloured = dataclasses.replace(PICTURES, test=np.arange(20 * 3 * 4).reshape(20, 3, 2, 2).astype(np.uint8))
    sections = sections_of(dataclasses.replace(study, pictures={"da7a": coloured}))
    tile = next(iter(galleries_of(sections[0]).values())).tiles[0]
    assert tile.pixels.shape == (2, 2, 3)
    assert tile.pixels[0, 1].tolist() == [97, 101, 105]  # image 8 begins with 96; a channel has four pixels
    slugs = [b.slug for section in sections for b in section.blocks if isinstance(b, Figure | Gallery)]
    assert len(set(slugs)) == len(slugs) == 3 + 3 + 1 + 1
    assert [(section.level, section.detail, section.title) for section in sections] == [
        (3, True, "What they get wrong"),
        (3, True, "How sure they are"),
    ]
