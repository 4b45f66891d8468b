"""Where windows are centred is the recipe's to say."""

import pytest
import torch

from KneeSegLib.errors import InputError
from KneeSegLib.training.ct_sources import LocaliserSource, SliceSource
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.window_centres import Centres, draw_centre_near, draw_place


def draw(centres: Centres, knee: Anatomy, count: int = 40) -> list[torch.Tensor | None]:
    generator = torch.Generator().manual_seed(0)
    subject = PreparedSubject(knee)
    return [draw_place(centres, subject, generator) for _ in range(count)]


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [("eminence", 60, 63), ("condyle", 66, 69), ("patella", 70, 74), ("shafts", 0, 128)],
)
def test_places_are_where_the_bones_are(place: str, low: float, high: float, geometric_knee: Anatomy) -> None:
    for found in draw(Centres(**{place: 1.0}), geometric_knee):
        assert found is not None and low <= float(found[0]) <= high


def test_a_fraction_of_the_windows_is_centred_and_the_others_lie_anywhere(geometric_knee: Anatomy) -> None:
    found = draw(Centres(condyle=0.25, eminence=0.25), geometric_knee, 400)
    centred = [float(place[0]) for place in found if place is not None]
    assert 150 < len(centred) < 250
    assert 60 < sum(height > 64 for height in centred) < 140


def test_a_subject_without_the_place_is_seen_anywhere(geometric_knee: Anatomy) -> None:
    assert draw(Centres(feet=1.0), geometric_knee, 5) == [None] * 5


def test_windows_show_their_place_and_stay_in_a_joints_box(geometric_knee: Anatomy) -> None:
    subject, generator = PreparedSubject(geometric_knee), torch.Generator().manual_seed(1)
    place = subject.find_level_mm(CLASSES.index("tibia_right"), 1.0)
    for _ in range(50):
        centre = draw_centre_near(place, subject, (48, 48, 48), 1.0, generator)
        assert bool(((place - centre).abs() <= 24).all())
        assert 24 <= float(centre[0]) <= 104
    subject.joint = "body"
    heights = [float(draw_centre_near(place, subject, (128, 48, 48), 1.0, generator)[0]) for _ in range(50)]
    assert min(heights) < 60 and max(heights) > 68  # a window as high as the box: on a body it may reach beyond


def test_sources_centre_their_windows(geometric_knee: Anatomy, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def remember(subject, shape, spacing_mm, centre, synthesis, generator):
        seen.append(centre.tolist())
        raise InterruptedError

    monkeypatch.setattr("KneeSegLib.training.ct_sources.render_ct", remember)
    entries = ["centres.condyle=1.0", "centres.feet=0", "centres.pelvis=0", "centres.eminence=0"]
    entries += ["centres.patella=0", "centres.shafts=0", "spacing_mm=1.0"]
    for kind, recipe, shape in (
        (LocaliserSource, read_recipe("ct-localiser", entries), (48, 48, 48)),
        (SliceSource, read_recipe("ct-knee", ["centres.condyle=1.0", "spacing_mm=1.0", "slab_slices=2"]), (96, 96)),
    ):
        source = kind(recipe, [PreparedSubject(geometric_knee)])
        for seed in range(10):
            with pytest.raises(InterruptedError):
                source.render(shape, torch.Generator().manual_seed(seed))
    assert all(67 - 15 <= centre[0] <= 67 + 15 for centre in seen)


@pytest.mark.parametrize(
    ("recipe", "entries", "sentence"),
    [
        ("ct-localiser", ["centres.feet=0.9"], "together they are at most 1"),
        ("ct-localiser", ["centres.feet=-0.1"], "each is a fraction"),
        ("ct-refine", ["centres.patella=0.5"], "belong to slices, localiser, naming"),
        ("ct-knee", ["centres.heel=0.5"], "'heel' is unknown"),
    ],
)
def test_a_recipe_with_wrong_centres_is_refused(recipe: str, entries: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_recipe(recipe, entries)
