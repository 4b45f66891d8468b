"""What pyproject.toml cannot say: the ``Resources`` folder travels in the wheel as ``KneeSegLib/Resources``."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["KneeSegLib", "KneeSegLib.*"]), "KneeSegLib.Resources"],
    package_dir={"KneeSegLib.Resources": "Resources"},
    package_data={
        "": ["**/*.j2", "**/*.css", "**/*.yaml"],
        "KneeSegLib.Resources": ["Models/**/*", "Samples/*", "Terminology/*"],
    },
)
