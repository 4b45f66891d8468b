"""What pyproject.toml cannot say: the ``Resources`` folder travels in the wheel as ``KneeSegLib/Resources``."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

# What is not there (weights before the first training) does not keep the rest from being installed.
NAMES = ("LabelMappings", "Licences", "Models", "Samples", "ShapeModels", "Terminology")
FOLDERS = [name for name in NAMES if Path("Resources", name).is_dir()]
SHARED = {f"KneeSegLib.Resources.{name}": f"Resources/{name}" for name in FOLDERS}

setup(
    # Setuptools counts a folder of recipes, or of modules without an __init__.py, as a package too.
    packages=[*find_namespace_packages(include=["KneeSegLib", "KneeSegLib.*"], exclude=["*.__pycache__"]), *SHARED],
    package_dir=SHARED,
    package_data={
        "": ["*.j2", "*.css", "*.yaml", "schemas/*.json", "py.typed"],
        **{package: ["**/*"] for package in SHARED},
    },
)
