"""The rules of the extensions index, each as a generator of sentences that say what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from Testing.index_repository.description import describe_extension, read_cmake_variables
from Testing.index_repository.pictures import path_in_tree, png_size
from Testing.index_repository.settings import (
    BRANCH,
    ICON_PIXELS,
    INDEX_LIMIT_MB,
    PERMISSIVE_LICENCES,
    REPOSITORY_PREFIX,
    TARGET_MB,
)
from Testing.index_repository.sources import foreign_imports, installs_torch, network_imports, scripted_modules


@dataclass(frozen=True)
class Submission:
    """A repository as the index would clone it, its entry in the index, and what its CMakeLists.txt says."""

    folder: Path
    name: str
    description: dict[str, object]
    variables: dict[str, str]

    @property
    def scm_url(self) -> str:
        return str(self.description.get("scm_url", ""))

    @property
    def readme(self) -> str:
        path = self.folder / "README.md"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def size_mb(self) -> float:
        """Files and history together, in MiB, as the index counts a clone."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 2**20

    def packaged_sources(self) -> list[Path]:
        """Return the Python files in the folders that the top-level CMakeLists.txt adds."""
        added = re.findall(
            r"\badd_subdirectory\s*\(\s*(\w+)", (self.folder / "CMakeLists.txt").read_text(encoding="utf-8")
        )
        return [path for name in added for path in sorted((self.folder / name).rglob("*.py"))]


def read_submission(folder: Path) -> Submission:
    """Return the repository in ``folder`` with the entry for the index that its CMakeLists.txt asks for."""
    variables = read_cmake_variables(folder)
    return Submission(folder, variables.get("PROJECT", ""), describe_extension(variables), variables)


def check_size(submission: Submission) -> Iterator[str]:
    if submission.size_mb > TARGET_MB:
        yield (
            f"The clone has {submission.size_mb:.1f} MB; the index takes {INDEX_LIMIT_MB:.0f}, ours is to stay below "
            f"{TARGET_MB:.0f}."
        )


def check_names(submission: Submission) -> Iterator[str]:
    url = urlsplit(submission.scm_url)
    repository = url.path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
    if url.scheme not in ("https", "git") or not repository:
        yield f"EXTENSION_HOMEPAGE is {submission.scm_url!r}; the address of the git repository (https) is expected."
    elif not repository.startswith(REPOSITORY_PREFIX):
        yield f"The repository is called {repository}; its name has to start with {REPOSITORY_PREFIX}."
    if submission.name.startswith(REPOSITORY_PREFIX):
        yield f"The extension is called {submission.name}; its name must not start with {REPOSITORY_PREFIX}."
    if submission.variables.get("PROJECT") != submission.name:
        yield f"CMakeLists.txt has the project {submission.variables.get('PROJECT')}, not {submission.name}."


def check_cmake(submission: Submission) -> Iterator[str]:
    for variable in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        if not submission.variables.get(f"EXTENSION_{variable}", "").strip():
            yield f'CMakeLists.txt has no set(EXTENSION_{variable} "...").'


def check_pictures(submission: Submission) -> Iterator[str]:
    icons = submission.variables.get("EXTENSION_ICONURL", "").split()
    screenshots = submission.variables.get("EXTENSION_SCREENSHOTURLS", "").split()
    for address in icons + screenshots:
        path = path_in_tree(address, submission.scm_url, BRANCH)
        if path is None:
            yield f"{address} is no raw address of the branch {BRANCH} of {submission.scm_url}."
        elif not (submission.folder / path).is_file():
            yield f"{address} shows {path}, which is not in the tree."
        elif (size := png_size(submission.folder / path)) is None:
            yield f"{path} is no PNG."
        elif address in icons and size != (ICON_PIXELS, ICON_PIXELS):
            yield f"The icon {path} has {size[0]} x {size[1]} pixels; {ICON_PIXELS} x {ICON_PIXELS} are expected."


def check_licence(submission: Submission) -> Iterator[str]:
    path = submission.folder / "LICENSE.txt"
    if not path.is_file():
        yield "There is no LICENSE.txt."
        return
    text = path.read_text(encoding="utf-8")
    if not any(name in text for name in PERMISSIVE_LICENCES):
        yield f"LICENSE.txt is none of the recommended licences ({', '.join(PERMISSIVE_LICENCES)})."
    elif not re.search(r"\b(Apache|MIT)\b", submission.readme):
        yield "README.md does not name the licence."


def check_citation(submission: Submission) -> Iterator[str]:
    if not (submission.folder / "CITATION.cff").is_file():
        yield "There is no CITATION.cff."
    if not re.search(r"how to cite|publication", submission.readme, flags=re.IGNORECASE):
        yield "README.md does not say how to cite."


def check_readme(submission: Submission) -> Iterator[str]:
    text = submission.readme
    if submission.name not in text:
        yield f"README.md does not name {submission.name}."
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", text)
    if not any((submission.folder / picture).is_file() for picture in pictures):
        yield "README.md shows no picture that lies in the tree."
    for module in scripted_modules(submission.folder):
        line = rf"(?m)^[-*|]\s*[*`\[]*{re.escape(module.stem)}\b[*`\]]*.*\w+ \w+ \w+.*[.|]\s*$"
        if not re.search(line, text):
            yield f"README.md has no sentence about the module {module.stem} in a list or table."


def check_tutorial(submission: Submission) -> Iterator[str]:
    pages = [submission.readme]
    pages += [path.read_text(encoding="utf-8") for path in sorted((submission.folder / "docs").rglob("*.md"))]
    tutorials = [page for page in pages if re.search(r"(?ms)^1\. .*^2\. .*^3\. ", page)]
    if not tutorials:
        yield "Neither README.md nor docs/ has a tutorial in numbered steps."
    elif not any(re.search(r"sample data", page, flags=re.IGNORECASE) for page in tutorials):
        yield "The tutorial does not say where its sample data come from."


def check_sample_data(submission: Submission) -> Iterator[str]:
    for module in scripted_modules(submission.folder):
        sources = [path.read_text(encoding="utf-8") for path in module.parent.rglob("*.py")]
        if not any("registerCustomSampleDataSource" in source for source in sources):
            yield f"{module.stem} registers no sample data with Slicer's Sample Data module."


def check_sources(submission: Submission) -> Iterator[str]:
    modules = scripted_modules(submission.folder)
    if not modules:
        yield "There is no scripted module."
    for module in modules:
        yield from (f"{sentence}." for sentence in foreign_imports(module, submission.folder))
    for path in submission.packaged_sources():
        where = path.relative_to(submission.folder).as_posix()
        if installs_torch(path):
            yield f"{where} installs torch itself; that is the PyTorch extension's business."
        for package in sorted(network_imports(path)):
            yield f"{where} imports {package}; nothing may be sent or fetched."


RULES: dict[str, Callable[[Submission], Iterator[str]]] = {
    "size": check_size,
    "names": check_names,
    "CMakeLists.txt": check_cmake,
    "pictures": check_pictures,
    "licence": check_licence,
    "citation": check_citation,
    "README": check_readme,
    "tutorial": check_tutorial,
    "sample data": check_sample_data,
    "sources": check_sources,
}
