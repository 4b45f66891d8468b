"""Write what Slicer's extensions index gets, and say what it would miss.

The index counts a clone with all its history, so what is submitted is a repository of one commit made from the tree.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from Testing.index_repository.description import read_cmake_variables, write_description
from Testing.index_repository.rules import RULES, Submission, read_submission
from Testing.index_repository.settings import BRANCH, BY_HAND

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = ("-c", "user.name=KneeSeg contributors", "-c", "user.email=kneeseg@localhost", "-c", "commit.gpgSign=false")


def main(arguments: list[str] | None = None) -> int:
    """Write repository and entry, run the rules, print what they say; return 1 if something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "index-repository", help="folder to write into")
    parser.add_argument("--tree", type=Path, default=ROOT, help="repository whose last commit is taken")
    options = parser.parse_args(arguments)
    submission = write_submission(options.tree, options.output)
    print(f"Written: {submission.folder} ({submission.size_mb:.1f} MB), {options.output / submission.name}.json")
    problems = 0
    for title, check in RULES.items():
        sentences = list(check(submission))
        problems += len(sentences)
        for line in [f"missing  {title}: {sentence}" for sentence in sentences] or [f"ok       {title}"]:
            print(line)
    for sentence in BY_HAND:
        print(f"by hand  {sentence}")
    return int(problems > 0)


def write_submission(tree: Path, output: Path) -> Submission:
    """Write a repository of one commit and its entry for the index into ``output``, which is emptied first."""
    if output.exists():
        shutil.rmtree(output)
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary) / "tree.tar"
        _git(tree, "archive", "--output", str(archive), "HEAD")
        with tarfile.open(archive) as files:
            files.extractall(Path(temporary) / "tree", filter="data")
        variables = read_cmake_variables(Path(temporary) / "tree")
        name = variables.get("PROJECT", "")
        address = variables.get("EXTENSION_HOMEPAGE", "").rstrip("/")
        folder = output / (urlsplit(address).path.rsplit("/", 1)[-1].removesuffix(".git") or f"Slicer{name}")
        shutil.move(Path(temporary) / "tree", folder)
    _git(folder, "init", "--quiet", f"--initial-branch={BRANCH}")
    _git(folder, "add", "--all", "--force")
    _git(folder, *AUTHOR, "commit", "--quiet", "--message", f"{name}, one commit for Slicer's extensions index")
    _git(folder, "gc", "--quiet", "--prune=now")
    submission = read_submission(folder)
    write_description(output / f"{name}.json", submission.description)
    return submission


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)


if __name__ == "__main__":
    sys.exit(main())
