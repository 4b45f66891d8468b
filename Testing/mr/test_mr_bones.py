import pytest

from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.geometry.grid import Box
from KneeSegLib.mr.bones import find_bones, require_knee
from KneeSegLib.mr.settings import NEAR_MM
from Testing.phantoms.mr_probabilities import KNEE_BOXES_MM, box_grid, probabilities_of


def bones_of(**changes):
    boxes = {name: KNEE_BOXES_MM[name] for name in ("femur", "tibia", "patella")} | changes
    return find_bones(probabilities_of({name: box for name, box in boxes.items() if box}, box_grid(2.0)), box_grid(2.0))


def test_a_bone_has_the_volume_and_the_place_of_its_box():
    bones = bones_of()
    assert bones.volume_cm3("femur") == pytest.approx(48 * 50 * 60 / 1000.0, rel=0.08)
    places = bones.places_mm("femur")
    assert places.amin(dim=0).tolist() == pytest.approx([15.0, 20.0, 62.0], abs=2.5)
    assert places.amax(dim=0).tolist() == pytest.approx([75.0, 70.0, 110.0], abs=2.5)


def test_a_bone_that_nothing_was_taken_for_is_not_there():
    bones = bones_of()
    assert "fibula" not in bones.inside and bones.volume_cm3("fibula") == 0.0


def test_only_the_main_piece_of_a_bone_counts():
    probabilities = probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, box_grid(2.0))
    stray = probabilities_of({"femur": Box((10.0, 30.0), (30.0, 50.0), (30.0, 50.0))}, box_grid(2.0))
    probabilities.values[1] += stray.values[1]
    bones = find_bones(probabilities, probabilities.grid)
    low = bones.grid.z.positions_mm < 50.0
    assert not bones.inside["femur"][low].any() and float(bones.probability["femur"][low].max()) == 0.0
    assert bones.inside["femur"].any()


def test_probabilities_fade_out_just_around_the_piece():
    bones = bones_of()
    probability, inside = bones.probability["tibia"].numpy(), bones.inside["tibia"]
    assert probability[inside].min() > 0.5
    assert probability[~inside].max() <= 0.5 and probability[~inside].max() > 0.05


def test_a_knee_is_accepted():
    require_knee(bones_of(), "scan")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"tibia": None}, "no tibia could be seen"), ({"femur": None, "tibia": None}, "no femur and no tibia could"),
     ({"femur": Box((62.0, 70.0), (20.0, 40.0), (15.0, 35.0))}, "no femur could be seen")],
)  # fmt: skip
def test_a_missing_or_tiny_bone_is_named(changes, said):
    with pytest.raises(AnatomyNotFoundError, match=f"^No knee was found in 'scan': {said}"):
        require_knee(bones_of(**changes), "scan")


@pytest.mark.parametrize("gap_mm", [NEAR_MM - 6.0, NEAR_MM + 6.0])
def test_bones_that_lie_far_apart_are_no_knee(gap_mm):
    bones = bones_of(tibia=Box((0.0, 62.0 - gap_mm), *KNEE_BOXES_MM["tibia"][1:]))
    if gap_mm < NEAR_MM:
        require_knee(bones, "scan")
    else:
        with pytest.raises(AnatomyNotFoundError, match="does not meet in a joint"):
            require_knee(bones, "scan")


def test_a_femur_below_its_tibia_is_no_knee():
    with pytest.raises(AnatomyNotFoundError, match="does not meet in a joint"):
        require_knee(bones_of(femur=KNEE_BOXES_MM["tibia"], tibia=KNEE_BOXES_MM["femur"]), "scan")
