"""The data and the insides of nets as pictures: pixels worked out by hand, and what older stores lack."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.analysis.conditions import find_conditions
from bench.core.metadata import DataPictures, LayerRow, Portrait, StageMaps
from reports.document import Gallery, Prose, Section, Table
from reports.sections.inside import MOST_PORTRAYED, compose_maps, inside_section
from tests.factories import make_metadata, make_run, make_study, study_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.core.records import Study

SAMPLES = DataPictures(
    test=np.zeros((10, 1, 28, 28), np.uint8),
    samples=np.stack([np.full((1, 28, 28), 50 + number, np.uint8) for number in range(6)]),
    sample_labels=np.array([0, 0, 1, 1, 4, 4], np.uint8),
    sample_indices=np.array([1, 21, 3, 6, 2, 9], np.int32),
)
FILTERS = np.array([[[[-0.5, 0.25], [0.0, 0.1]]], [[[0.0, 0.0], [0.0, 0.0]]]], np.float32)  # (2, 1, 2, 2)


def _stage(layer: str, *shape: int, kind: str = "Conv2d") -> StageMaps:
    """Maps (K, C, H, W) of zeros, the first image's from −1.25 to 3."""
    lows, highs = np.zeros(shape[0], np.float32), np.ones(shape[0], np.float32)
    lows[0], highs[0] = -1.25, 3
    return StageMaps(layer=layer, kind=kind, maps=np.zeros(shape, np.uint8), lows=lows, highs=highs)


def _portrait(run_id: str, *stages: StageMaps, filters: NDArray[np.float32] = FILTERS) -> Portrait:
    return Portrait(run_id=run_id, images=np.array([0, 4], np.int32), filters=filters, stages=stages)


def _study(*portraits: Portrait, **changes: object) -> Study:
    runs = [make_run(net, seed=seed) for net in ("lenet21k", "bn25k") for seed in (0, 1)]
    study = study_of(*runs)
    return dataclasses.replace(study, pictures={"da7a": SAMPLES}, portraits=portraits, **changes)  # type: ignore[arg-type]


def _section(study: Study) -> Section:
    section = inside_section(study, find_conditions(study))
    assert section is not None
    return section


def _galleries(section: Section) -> dict[str, Gallery]:
    return {block.title: block for block in section.blocks if isinstance(block, Gallery)}


def _prose(section: Section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Prose)]


def test_a_store_without_pictures_has_no_section() -> None:
    study = make_study()
    assert inside_section(study, find_conditions(study)) is None
    assert inside_section(dataclasses.replace(study, pictures={"other": SAMPLES}), find_conditions(study)) is None


def test_the_data_as_it_is_and_some_of_its_images() -> None:
    labels = np.array([0, 1, 1, 4, 4, 4], np.uint8)
    section = _section(_study(labels={"da7a": labels}))
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    rows = {what.text: value.text for what, value in table.rows}
    assert rows == {
        "Images": "60,000 to train and validate on, 10,000 to test",
        "Size of an image": "1 × 28 × 28 (1 channel, height, width)",
        "Mean of each channel": "0.1307 (pixels from 0 to 1, whole training pool)",
        "Deviation of each channel": "0.3081",
        "Classes": "10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "Test images of each class": "0: 1, 1: 2, 2: 0, 3: 0, 4: 3, 5: 0, 6: 0, 7: 0, 8: 0, 9: 0",
    }
    (gallery,) = _galleries(section).values()
    assert [tile.caption for tile in gallery.tiles] == ["0", "0", "1", "1", "4", "4"]
    assert gallery.tiles[4].alt == "Training image: 4, number 2 of the pool."
    assert gallery.tiles[4].pixels.tolist() == np.full((28, 28), 54).tolist()
    assert (section.title, section.level, section.detail) == ("Inside the nets", 2, True)


def test_without_labels_or_facts_of_the_data_the_images_stay() -> None:
    section = _section(_study())
    assert not any("Test images" in row[0].text for b in section.blocks if isinstance(b, Table) for row in b.rows)
    section = _section(_study(datasets={}))
    assert not [block for block in section.blocks if isinstance(block, Table)]
    assert next(iter(_galleries(section).values())).tiles[4].caption == "4"


def test_of_very_many_samples_the_first_are_shown_and_it_says_so() -> None:
    many = dataclasses.replace(
        SAMPLES,
        samples=np.zeros((61, 1, 2, 2), np.uint8),
        sample_labels=np.zeros(61, np.uint8),
        sample_indices=np.arange(61, dtype=np.int32),
    )
    (gallery,) = _galleries(_section(dataclasses.replace(_study(), pictures={"da7a": many}))).values()
    assert gallery.title == "Images of mnist, the first of each class; 60 of 61 are shown"
    assert len(gallery.tiles) == 60


def test_damaged_pictures_and_portraits_are_left_out_and_it_says_so() -> None:
    lost = dataclasses.replace(SAMPLES, samples=SAMPLES.samples[:0], damaged=True)
    broken = dataclasses.replace(_portrait("lenet21k-3-1", filters=FILTERS[:0]), damaged=True)
    study = _study(broken, _portrait("bn25k-3-0"))
    section = _section(dataclasses.replace(study, pictures={"da7a": lost}))
    warnings = [block.text for block in section.blocks if isinstance(block, Prose) and block.tone == "warning"]
    again = " Run the training command again to have them anew; it trains nothing that is stored."
    assert warnings == [
        f"Damaged in the store, and so left out: {what}.{again}"
        for what in ("the pictures of mnist", "the insides of lenet21k, seed 1 (mnist, shared recipe, 3 epochs, cpu)")
    ]
    assert [title.partition(":")[0] for title in _galleries(section)] == ["bn25k"]
    assert not any("lenet21k has no convolution" in text for text in _prose(section))


def test_an_undamaged_portrait_of_another_condition_takes_the_place_of_a_damaged_one() -> None:
    study = make_study()  # two nets were trained for 1 and for 3 epochs
    first, second = find_conditions(study)[:2]
    whole, broken = (
        next(run for run in condition.records if run.architecture == "bn25k").run_id for condition in (second, first)
    )
    both = (_portrait(whole), dataclasses.replace(_portrait(broken), damaged=True))
    said = _prose(_section(dataclasses.replace(study, portraits=both)))
    assert [text.split(": ")[0] for text in said] == [f"bn25k, seed 0 ({second.title})"]


def test_filters_have_zero_in_grey_and_their_own_scale() -> None:
    section = _section(_study(_portrait("lenet21k-3-0")))
    gallery = next(of for title, of in _galleries(section).items() if "filters" in title)
    # 127.5 + 127.5 w / 0.5, rounded to even: −0.5 → 0, 0.25 → 191.25, 0 → 127.5, 0.1 → 153
    assert gallery.tiles[0].pixels.tolist() == [[0, 191], [128, 153]]
    assert gallery.tiles[1].pixels.tolist() == [[128, 128], [128, 128]]  # all zero, not a division by zero
    assert [tile.caption for tile in gallery.tiles] == ["1: ±0.5", "2: ±0"]
    assert gallery.tiles[0].alt == "Filter 1 of the first convolution of lenet21k, weights up to 0.5 in size."
    assert gallery.title == (
        "lenet21k: filters of the first convolution, 2×2; grey is 0, white and black ± its largest weight"
    )
    assert (
        "lenet21k, seed 0 (mnist, shared recipe, 3 epochs, cpu): one fitted net; other seeds find other filters."
        in (_prose(section))
    )


def test_filters_of_colours_and_very_many() -> None:
    weights = np.zeros((70, 3, 2, 2), np.float32)
    weights[0, 0, 0, 0], weights[0, 2, 1, 1] = 2, -1
    section = _section(_study(_portrait("lenet21k-3-0", filters=weights)))
    gallery = next(of for title, of in _galleries(section).items() if "the first 64 of 70" in title)
    assert len(gallery.tiles) == 64
    assert gallery.tiles[0].pixels.shape == (2, 2, 3)
    assert gallery.tiles[0].pixels[0, 0].tolist() == [255, 128, 128]
    assert gallery.tiles[0].pixels[1, 1].tolist() == [128, 128, 64]  # 127.5 − 63.75 = 63.75
    assert gallery.title.endswith(
        "; red, green and blue are the weights of its three channels: half is 0, full and none ± its largest weight"
    )


@pytest.mark.parametrize("shape", [(0, 0, 0, 0), (4, 2, 3, 3)])
def test_a_net_without_filters_that_are_images_says_so(shape: tuple[int, ...]) -> None:
    section = _section(_study(_portrait("lenet21k-3-0", filters=np.ones(shape, np.float32))))
    assert "lenet21k has no convolution whose filters could be shown as images." in _prose(section)
    assert not any("filters" in title for title in _galleries(section))


def test_stages_say_what_is_shown_and_of_how_much() -> None:
    portrait = _portrait("lenet21k-3-0", _stage("conv1", 2, 10, 24, 24), _stage("fc1", 2, 32, 1, 1, kind="Linear"))
    galleries = _galleries(_section(_study(portrait)))
    conv = galleries["lenet21k, stage 1: conv1 (Conv2d), 10 maps of 24 × 24"]
    assert [tile.caption for tile in conv.tiles] == ["−1.25 to 3", "0 to 1"]
    assert conv.tiles[1].alt == (
        "conv1 (Conv2d) of lenet21k for 4, number 2 of the pool: 10 maps of 24 × 24, values 0 to 1."
    )
    assert conv.tiles[0].pixels.shape == (3 * 25 - 1, 4 * 25 - 1)
    # The layers of lenet21k say that fc1 has 50 values.
    assert (
        len(galleries["lenet21k, stage 2: fc1 (Linear), 32 of 50 values; next, flat and not shown: fc2 (Linear)"].tiles)
        == 2
    )
    said = " ".join(_prose(_section(_study(portrait))))
    assert "Black is the lowest value of the maps kept of a stage for one image" in said
    shown = galleries["lenet21k: what the net was shown"]
    assert [tile.caption for tile in shown.tiles] == ["0, number 1 of the pool", "4, number 2 of the pool"]
    assert shown.tiles[1].pixels[0, 0] == 54


def test_flat_layers_that_have_no_stage_are_named_where_they_ran() -> None:
    rows = [
        LayerRow(name=name, kind=kind, output_shape=shape, params=0, macs=0)
        for name, kind, shape in (
            ("conv", "Conv2d", (2, 4, 4)),
            ("flat", "Flatten", (32,)),
            ("fc1", "Linear", (8,)),
            ("act", "ReLU", (8,)),
            ("drop", "Dropout", (8,)),
            ("fc2", "Linear", (10,)),
        )
    ]
    stages = (_stage("conv", 2, 2, 4, 4), *(_stage(name, 2, 8, 1, 1, kind="Linear") for name in ("fc1", "fc2")))
    metadata = dataclasses.replace(make_metadata("lenet21k"), layers=tuple(rows))
    study = _study(_portrait("lenet21k-3-0", *stages), architectures={"hash-of-lenet21k": metadata})
    assert [title.partition("; ")[2] for title in _galleries(_section(study)) if "stage" in title] == [
        "next, flat and not shown: flat (Flatten)",
        "next, flat and not shown: act (ReLU) and drop (Dropout)",
        "",
    ]


def test_a_portrait_of_data_without_pictures_or_facts() -> None:
    study = _study(_portrait("lenet21k-3-0", _stage("fc9", 2, 7, 1, 1)), architectures={})
    section = _section(dataclasses.replace(study, pictures={}))
    (stage,) = [of for title, of in _galleries(section).items() if "stage" in title]
    assert stage.title == "lenet21k, stage 1: fc9 (Conv2d), 7 values"
    assert "for sample 4:" in stage.tiles[1].alt
    assert not any("shown" in title for title in _galleries(section))


def test_of_very_deep_nets_stages_are_spread_from_the_first_to_the_last() -> None:
    portrait = _portrait("lenet21k-3-0", *(_stage(f"layer{number}", 2, 1, 2, 2) for number in range(34)))
    section = _section(_study(portrait))
    stages = [int(title.split("stage ")[1].split(":")[0]) for title in _galleries(section) if "stage " in title]
    assert stages == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34]
    assert "12 of 34 stages are shown, evenly spaced." in " ".join(_prose(section))


def test_nets_stand_by_name_and_runs_that_are_in_no_table_are_left_out() -> None:
    study = _study(_portrait("lenet21k-3-1"), _portrait("nobody"), _portrait("bn25k-3-0"))
    said = [text.split(" (")[0] for text in _prose(_section(study)) if "one fitted net" in text]
    assert said == ["bn25k, seed 0", "lenet21k, seed 1"]


def test_an_architecture_of_several_conditions_is_shown_once() -> None:
    study = make_study()  # two nets were trained for 1 and for 3 epochs
    both = tuple(_portrait(f"bn25k-{epochs}-0") for epochs in (1, 3))
    said = _prose(_section(dataclasses.replace(study, portraits=both)))
    first = find_conditions(study)[0].title
    assert [text for text in said if "one fitted net" in text] == [
        f"bn25k, seed 0 ({first}): one fitted net; other seeds find other filters."
    ]


def test_of_many_nets_the_first_are_shown_and_it_says_so() -> None:
    runs = [make_run(f"net{number:02}", seed=0) for number in range(MOST_PORTRAYED + 2)]
    portraits = tuple(_portrait(record.run_id, _stage("a", 2, 1, 2, 2)) for record, _ in runs)
    section = _section(dataclasses.replace(study_of(*runs), portraits=portraits))
    assert "Insides are shown of the first 8 nets by name, of 10." in _prose(section)
    assert not any("net08" in title for title in _galleries(section))
    slugs = [gallery.slug for gallery in _galleries(section).values()]
    assert len(set(slugs)) == len(slugs) == 2 * 8


def test_a_portrait_of_no_image_has_filters_alone() -> None:
    empty = dataclasses.replace(_portrait("lenet21k-3-0", _stage("a", 1, 1, 2, 2)), images=np.zeros(0, np.int32))
    titles = list(_galleries(_section(_study(empty))))
    assert [title for title in titles if "lenet21k" in title] == [titles[-1]]
    assert "filters" in titles[-1]


def test_maps_side_by_side_with_a_grey_line_between() -> None:
    maps = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint8)  # three maps of 1 × 2: two in the first row
    assert compose_maps(maps).tolist() == [
        [1, 2, 128, 3, 4],
        [128, 128, 128, 128, 128],
        [5, 6, 128, 128, 128],
    ]


def test_values_stand_in_one_row_or_in_a_square() -> None:
    assert compose_maps(np.arange(10, dtype=np.uint8)[:, None, None]).tolist() == [list(range(10))]
    assert compose_maps(np.arange(20, dtype=np.uint8)[:, None, None]).tolist() == [
        list(range(start, start + 5)) for start in (0, 5, 10, 15)
    ]
    assert compose_maps(np.zeros((32, 3, 3), np.uint8)).shape == (6 * 4 - 1, 6 * 4 - 1)
