"""What pyproject.toml cannot say: the ``Resources`` folder travels in the wheel as ``KneeSegLib/Resources``."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

# What is not there (weights before the first training) does not keep the rest from being installed.
FOLDERS = [path for path in map(Path, ("Resources/Models", "Resources/Samples", "Resources/Terminology")) if path.is_dir()]
SHARED = {f"KneeSegLib.Resources.{path.name}": path.as_posix() for path in FOLDERS}

setup(
    # Setuptools counts a folder of recipes, or of modules without an __init__.py, as a package too.
    packages=[*find_namespace_packages(include=["KneeSegLib", "KneeSegLib.*"], exclude=["*.__pycache__"]), *SHARED],
    package_dir=SHARED,
    package_data={"": ["*.j2", "*.css", "*.yaml"], **{package: ["**/*"] for package in SHARED}},
)
