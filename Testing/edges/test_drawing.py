"""Edges that are known: planes, balls and gaps with a cortex of known thickness, seen by a scanner of known blur."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.special import erf

from KneeSegLib.anatomy import structure
from KneeSegLib.edges.drawing import draw_edges
from KneeSegLib.edges.half_maximum import locate_half_maximum
from KneeSegLib.edges.measurement import EdgeMeasurement
from KneeSegLib.geometry.mesh import points_of
from KneeSegLib.inference.labels import LegLabels, Margin
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.volume import Volume
from KneeSegLib.surfaces import surface_of

SOFT_HU, CORTEX_HU, MARROW_HU = 40.0, 1400.0, 200.0
SHAPE = (40, 44, 48)
VOXEL_MM = (0.6, 0.5, 0.5)
SOFTNESS_MM = 0.5
"""Over this distance a network's margin goes from 0 to tanh(1)."""
FEMUR, TIBIA = (structure(bone, "right") for bone in ("femur", "tibia"))

Distance = Callable[[np.ndarray], np.ndarray]
"""Signed distance in mm of points ``(3, ...)``, positive outside."""


def ball(radius_mm: float) -> Distance:
    centre = np.array([n * mm / 2.0 for n, mm in zip(SHAPE, VOXEL_MM)]) + 0.13
    return lambda points: np.sqrt(((points.T - centre) ** 2).sum(axis=-1)).T - radius_mm


def plane(normal: Sequence[float], at_mm: float) -> Distance:
    """Bone below a plane through the middle of the volume, moved by some mm along its normal."""
    unit = np.array(normal) / np.linalg.norm(normal)
    middle = np.array([n * mm / 2.0 for n, mm in zip(SHAPE, VOXEL_MM)])
    return lambda points: ((points.T - middle) @ unit).T - at_mm


def grid() -> np.ndarray:
    return np.stack(np.meshgrid(*(np.arange(n) * mm for n, mm in zip(SHAPE, VOXEL_MM)), indexing="ij"))


def cortex_profile(distance_mm: np.ndarray, thickness_mm: float, blur_mm: float, cortex_hu: float = CORTEX_HU):
    """HU over soft tissue of a bone with a cortex, blurred across its surface."""

    def inside(edge_mm: float) -> np.ndarray:
        return (1.0 - erf((distance_mm - edge_mm) / (blur_mm * np.sqrt(2.0)))) / 2.0

    marrow_hu = min(MARROW_HU, cortex_hu)
    return (cortex_hu - SOFT_HU) * inside(0.0) + (marrow_hu - cortex_hu) * inside(-thickness_mm)


def half_maximum_mm(thickness_mm: float, blur_mm: float) -> float:
    """Where the fine profile falls half-way from its maximum to soft tissue."""
    along_mm = np.arange(-3.0, 3.0, 0.001)
    profile = cortex_profile(along_mm, thickness_mm, blur_mm)
    return float(along_mm[np.flatnonzero(profile >= profile.max() / 2.0)[-1]])


def leg_of(bones: dict[str, np.ndarray]) -> LegLabels:
    """Labels and margins of bones whose distances are given, as a network would estimate their cortex's edge."""
    whole = (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    labels, margins = np.zeros(SHAPE, np.uint8), {}
    for bone, distance_mm in bones.items():
        values = np.rint(127.0 * np.tanh(-distance_mm / SOFTNESS_MM))
        inside = distance_mm < 0
        margins[bone] = Margin(np.where(inside, values.clip(1), values.clip(max=-1)).astype(np.int8), whole)
        labels[inside] = structure(bone, "right").label_value
    return LegLabels("right", labels, whole, margins)


def scan_of(hu: np.ndarray) -> Scan:
    image = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
    image.SetSpacing(VOXEL_MM[::-1])
    return Scan.of_volume(Volume(image, "CT", "phantom"))


def drawn(leg: LegLabels, hu: np.ndarray, move: bool = True) -> dict[str, EdgeMeasurement]:
    return draw_edges(leg, scan_of(hu), locate_half_maximum, move)


def surface_points(leg: LegLabels, bone: str = "femur") -> np.ndarray:
    """Points (3, N) of the mesh that labels and margin come to, in mm along z, y and x; none on the volume's border."""
    images = []
    for array in (leg.labels, leg.margins[bone].values):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(VOXEL_MM[::-1])
        images.append(image)
    points = points_of(surface_of(images[0], structure(bone, "right"), images[1]))[:, ::-1]
    far = (np.array(SHAPE) - 1) * VOXEL_MM
    return points[((points > 3.0) & (points < far - 3.0)).all(axis=1)].T


@pytest.mark.parametrize("distance", [plane((1.0, 0.0, 0.0), 0.2), plane((0.3, -0.5, 0.8), -0.1), ball(8.0)])
@pytest.mark.parametrize(("thickness_mm", "blur_mm"), [(0.6, 0.5), (2.0, 0.4), (0.8, 1.0)])
def test_labels_and_surface_lie_at_the_half_maximum(distance, thickness_mm, blur_mm):
    away_mm = distance(grid())
    leg = leg_of({"femur": away_mm})
    expected_mm = half_maximum_mm(thickness_mm, blur_mm)
    measured = drawn(leg, SOFT_HU + cortex_profile(away_mm, thickness_mm, blur_mm))["femur_right"]
    assert measured.median_mm == pytest.approx(expected_mm, abs=0.07)
    assert measured.kept_fraction < 0.02
    found_mm = distance(surface_points(leg))
    assert found_mm.mean() == pytest.approx(expected_mm, abs=0.07)
    assert found_mm.std() < 0.08
    voxels = (leg.labels == FEMUR.label_value).sum()
    assert (away_mm < expected_mm - 0.08).sum() <= voxels <= (away_mm < expected_mm + 0.08).sum()
    assert ((leg.margins["femur"].values > 0) == (leg.labels == FEMUR.label_value)).all()


def test_nothing_changes_where_the_edge_is_only_measured():
    away_mm = ball(8.0)(grid())
    leg = leg_of({"femur": away_mm})
    labels, margin = leg.labels.copy(), leg.margins["femur"].values.copy()
    measured = drawn(leg, SOFT_HU + cortex_profile(away_mm, 0.6, 0.8), move=False)
    assert measured["femur_right"].median_mm == pytest.approx(half_maximum_mm(0.6, 0.8), abs=0.07)
    assert (leg.labels == labels).all() and (leg.margins["femur"].values == margin).all()


@pytest.mark.parametrize("gap_mm", [1.2, 2.0])
def test_in_a_narrow_gap_each_edge_lies_half_way_to_its_minimum(gap_mm):
    upper, lower = plane((-1.0, 0.1, 0.1), -gap_mm / 2.0), plane((1.0, -0.1, -0.1), -gap_mm / 2.0)
    above_mm, below_mm = upper(grid()), lower(grid())
    leg = leg_of({"femur": above_mm, "tibia": below_mm})

    def gap_hu(from_tibia_mm: np.ndarray) -> np.ndarray:
        bones = (from_tibia_mm, gap_mm - from_tibia_mm)
        return SOFT_HU + np.sum([cortex_profile(each, 2.0, 0.5) for each in bones], axis=0)

    along_mm = np.arange(-2.0, gap_mm / 2.0, 0.001)
    profile = gap_hu(along_mm)
    expected_mm = along_mm[np.flatnonzero(profile >= (profile.max() + profile[-1]) / 2.0)[-1]]
    drawn(leg, gap_hu(below_mm))
    for bone, distance in (("femur", upper), ("tibia", lower)):
        assert distance(surface_points(leg, bone)).mean() == pytest.approx(expected_mm, abs=0.08)
    assert not ((leg.margins["femur"].values > 0) & (leg.margins["tibia"].values > 0)).any()
    assert upper(surface_points(leg, "tibia")).min() > upper(surface_points(leg)).max()


def test_bones_that_touch_stay_as_they_are_between_them():
    below_mm = plane((1.0, 0.0, 0.0), 0.1)(grid())
    leg = leg_of({"femur": -below_mm, "tibia": below_mm})
    labels = leg.labels.copy()
    measured = drawn(leg, np.full(SHAPE, MARROW_HU))
    assert (leg.labels == labels).all()
    assert measured["femur_right"].kept_fraction == 1.0 and np.isnan(measured["femur_right"].median_mm)


def test_bones_that_would_overlap_share_the_gap():
    """Here is no minimum between them: the image shows one bright layer, wider than the gap between the labels."""
    middle_mm = plane((1.0, 0.0, 0.0), 0.1)(grid())
    leg = leg_of({"femur": 0.5 - middle_mm, "tibia": middle_mm + 0.5})
    before = leg.labels.copy()
    drawn(leg, SOFT_HU + cortex_profile(np.abs(middle_mm) - 1.0, 2.0, 0.3))
    assert not ((leg.margins["femur"].values > 0) & (leg.margins["tibia"].values > 0)).any()
    for found in (FEMUR, TIBIA):
        assert not ((before != 0) & (before != found.label_value) & (leg.labels == found.label_value)).any()


def test_without_contrast_the_edge_of_the_cortex_is_kept():
    away_mm = ball(8.0)(grid())
    leg = leg_of({"femur": away_mm})
    labels = leg.labels.copy()
    measured = drawn(leg, SOFT_HU + cortex_profile(away_mm, 2.0, 0.8, cortex_hu=SOFT_HU + 200.0))["femur_right"]
    assert measured.kept_fraction == 1.0
    assert (leg.labels == labels).all()


def test_half_of_a_bone_without_contrast_is_said_and_the_other_half_moved():
    away_mm, points = ball(8.0)(grid()), grid()
    upper = points[0] > np.median(points[0])
    leg = leg_of({"femur": away_mm})
    before = leg.labels != 0
    hu = np.where(upper, cortex_profile(away_mm, 0.6, 0.8), 0.1 * cortex_profile(away_mm, 0.6, 0.8))
    measured = drawn(leg, SOFT_HU + hu)["femur_right"]
    assert measured.kept_fraction == pytest.approx(0.5, abs=0.06)
    grown = (leg.labels != 0) & ~before
    assert grown[upper].sum() > 20 * max(grown[~upper & (points[0] < points[0][upper].min() - 2.0)].sum(), 1)


@pytest.mark.parametrize("beside_hu", [600.0, 4000.0])
def test_a_vessel_or_a_screw_beside_the_bone_makes_no_bump(beside_hu):
    distance = plane((1.0, 0.0, 0.0), 0.2)
    away_mm, points = distance(grid()), grid()
    rod_mm = np.hypot(away_mm - 2.2, points[1] - points[1].mean()) - 1.2
    leg = leg_of({"femur": away_mm})
    hu = SOFT_HU + cortex_profile(away_mm, 0.6, 0.6)
    drawn(leg, np.where(rod_mm < 0.0, beside_hu, hu))
    found_mm = distance(surface_points(leg))
    assert found_mm.min() > -0.1
    assert found_mm.max() < half_maximum_mm(0.6, 0.6) + 0.25


def test_a_margin_without_room_around_the_bone_is_enlarged():
    away_mm = ball(8.0)(grid())
    leg = leg_of({"femur": away_mm})
    tight = tuple(slice(int(found.min()), int(found.max()) + 1) for found in np.nonzero(away_mm < 0))
    leg.margins["femur"] = Margin(leg.margins["femur"].values[tight], (tight[0], tight[1], tight[2]))
    drawn(leg, SOFT_HU + cortex_profile(away_mm, 0.6, 1.0))
    edge_mm = away_mm[leg.labels == FEMUR.label_value].max()
    assert edge_mm == pytest.approx(half_maximum_mm(0.6, 1.0), abs=0.15)


def test_a_bone_that_was_not_found_is_not_measured():
    leg = leg_of({"femur": ball(8.0)(grid()), "patella": np.full(SHAPE, 9.0)})
    assert set(drawn(leg, np.full(SHAPE, SOFT_HU))) == {"femur_right"}
