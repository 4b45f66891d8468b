"""Networks of a user's own: a folder whose bundles go before those that come with KneeSeg.

They are looked up by the name in their description, whatever their folders are called.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from KneeSegLib.anatomy import OTHER
from KneeSegLib.bundles.bundle import METADATA, Bundle, find_bundle, list_bundles
from KneeSegLib.bundles.kinds import BOTH_BONES, KINDS
from KneeSegLib.bundles.metadata import FACTS
from KneeSegLib.bundles.spec import ModelSpec
from KneeSegLib.errors import InputError, ModelError

REMEDY = "train it or copy it again"


def list_own_bundles(folder: str | Path) -> dict[str, Bundle]:
    """Return the bundles of a user's folder by name: the folder itself is one, or its sub-folders are.

    Raises:
        InputError: there is no such folder, it holds no bundle, or two of one name.
        ModelError: the description of one is damaged.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"There is no folder of models {folder}; check the spelling.")
    homes = [folder] if (folder / METADATA).is_file() else []
    homes += [path.parent.parent for path in sorted(folder.glob(f"[!.]*/{METADATA.as_posix()}"))]
    if not homes:
        raise InputError(
            f"The folder {folder} holds no models, expected folders with {METADATA.as_posix()} in them; give the one "
            "that `kneeseg train --bundles` wrote to."
        )
    found: dict[str, Bundle] = {}
    for home in homes:
        bundle = Bundle(home, REMEDY)
        name = str(bundle.metadata[FACTS]["name"])
        if name in found:
            raise InputError(
                f"The folder {folder} holds two models {name}, {found[name].path.name} and {home.name}; keep one of "
                "them there."
            )
        found[name] = bundle
    return found


def require_own_bundles(folder: str | Path, used: Collection[str]) -> None:
    """Raise unless a user's folder holds a bundle out of ``used``, those that a pipeline takes, and all fit it.

    Raises:
        InputError: as :func:`list_own_bundles`; or the pipeline takes none of them.
        ModelError: one is damaged or does something else than the one that it replaces.
    """
    own = list_own_bundles(folder)
    taken = [name for name in own if name in used]
    if not taken:
        raise InputError(
            f"The folder {folder} holds the models {', '.join(own)}; this pipeline takes {', '.join(used) or 'none'}. "
            "Choose the pipeline that they are for."
        )
    for name in taken:
        _require_same_task(own[name])


def find_own_or_shipped(name: str, folder: str | Path | None) -> tuple[Bundle, bool]:
    """Return the bundle called ``name``, and whether it is from a user's folder.

    Raises:
        ModelError: there is none of that name in either place.
    """
    if folder is not None:
        own = list_own_bundles(folder)
        if name in own:
            return own[name], True
    return find_bundle(name), False


def _require_same_task(bundle: Bundle) -> None:
    """A network of the right name that names its channels otherwise would be wrong labels."""
    spec = bundle.spec
    shipped = {known.name: known for known in list_bundles()}.get(spec.name)
    if shipped is None:
        return
    if spec.kind != shipped.spec.kind or not _give_same(spec, shipped.spec):
        raise ModelError(
            f"The model {spec.name} in {bundle.path} is of {_describe(spec)}, expected {_describe(shipped.spec)}; give "
            f"it another name or train it by the recipe {spec.name}."
        )


def _give_same(spec: ModelSpec, expected: ModelSpec) -> bool:
    """Whether channels mean what those of the shipped network mean, as far as a pipeline does not look itself."""
    if KINDS[spec.kind].gives == "latent":  # how many modes of a shape there are is looked up
        return spec.bone in (expected.bone, BOTH_BONES)
    if spec.kind == "mr-bone":  # which edges it knows is looked up
        return set(spec.classes) <= set(expected.classes)
    return _classes_of(spec) == _classes_of(expected)


def _classes_of(spec: ModelSpec) -> tuple[str, ...]:
    return tuple(name for name in spec.classes if name != OTHER)


def _describe(spec: ModelSpec) -> str:
    if KINDS[spec.kind].gives == "latent":
        return f"kind {spec.kind} for the bone {spec.bone}"
    return f"kind {spec.kind} with the classes {', '.join(_classes_of(spec))}"
