"""What Slicer's extensions index asks for, as numbers and names; read off its checks and its submission form."""

from __future__ import annotations

INDEX_LIMIT_MB = 100.0
"""The index refuses a larger clone, files and history together (MiB, as it counts)."""

TARGET_MB = 70.0
"""Ours: leaves room for the next weights before the index's limit is met."""

ICON_PIXELS = 128
"""Side of the icon that the catalogue shows."""

SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
"""The form of the description; nearly every entry of the index names this version."""

CATEGORY = "Segmentation"
"""One of the index's own categories, and what the module's page in Slicer stands under."""

BRANCH = "main"
"""The index builds what this branch holds on the day."""

TIER = 1
"""Where every new extension starts; maintainers raise it."""

REPOSITORY_PREFIX = "Slicer"
"""Names of repositories start with it, names of extensions do not."""

PERMISSIVE_LICENCES = ("Apache License", "MIT License")
"""First words of the licences that the index recommends."""

SLICERS_OWN = frozenset(
    {"slicer", "vtk", "vtkmodules", "SimpleITK", "numpy", "scipy", "qt", "ctk", "mrml", "SampleData"}
)
"""What a module may import when Slicer starts, beside Python's standard library and the extension itself."""

NETWORK_PACKAGES = frozenset(
    {"urllib.request", "http.client", "requests", "socket", "ftplib", "smtplib", "httpx", "aiohttp"}
)
"""A module that imports one of these could send or fetch something."""

BY_HAND = (
    "The repository has the topic 3d-slicer-extension.",
    "Wiki, Projects, Discussions, Releases and Packages are hidden where they are not used.",
    "Icon and screenshot can be downloaded from the addresses in CMakeLists.txt.",
    "Patents that are known to concern the methods are named in the extension's description.",
)
"""What no program can see in the tree."""
