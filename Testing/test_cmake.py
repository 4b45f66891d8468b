"""The extension is configured, built and installed with CMake as Slicer's build would do it; nothing is left out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from KneeSegLib.errors import ResourceError

ROOT = Path(__file__).resolve().parents[1]

# What Slicer's build tree offers an extension, as far as this one uses it: written from the documented behaviour of
# slicerMacroBuildScriptedModule (files keep their relative paths; WITH_SUBDIR adds a folder named like the source).
STAND_IN = """
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
file(WRITE "${CMAKE_BINARY_DIR}/nothing.cmake" "")
set(Slicer_USE_FILE "${CMAKE_BINARY_DIR}/nothing.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_BINARY_DIR}/nothing.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_BINARY_DIR}/nothing.cmake")

function(slicer_add_python_unittest)
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown: ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
  set(destination "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  if(MODULE_WITH_SUBDIR)
    get_filename_component(subdir "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    set(installed "${destination}/${subdir}")
    set(destination "${installed}")
  else()
    set(installed "${destination}/")
  endif()
  foreach(file IN LISTS MODULE_SCRIPTS MODULE_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "There is no ${file}")
    endif()
    configure_file("${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${destination}/${file}" COPYONLY)
  endforeach()
  install(DIRECTORY "${installed}" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}")
endfunction()
"""


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, encoding="utf-8", errors="replace", **options
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_every_file_of_module_and_library_is_listed_in_cmake():
    check = [sys.executable, str(ROOT / "Testing" / "update_cmake_lists.py"), "--check"]
    done = subprocess.run(check, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, f"run `make cmake-lists`\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def modules_folder(tmp_path_factory) -> Path:
    """The folder of scripted modules of an installed extension."""
    if not shutil.which("cmake") or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("CMake or a compiler for it is not installed")
    folder = tmp_path_factory.mktemp("extension")
    stand_in = folder / "slicer"
    stand_in.mkdir()
    (stand_in / "SlicerConfig.cmake").write_text(STAND_IN, encoding="utf-8")
    run("cmake", "-S", ROOT, "-B", folder / "build", f"-DSlicer_DIR={stand_in}", "-DBUILD_TESTING=ON")
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build", "--prefix", folder / "installed")
    return folder / "installed" / "lib" / "Slicer-5.12" / "qt-scripted-modules"


def test_no_loose_python_file_lies_where_slicer_would_take_it_for_a_module(modules_folder):
    assert [path.name for path in modules_folder.glob("*.py")] == ["KneeSeg.py"]


def test_installed_library_finds_models_and_terminology_in_slicers_tree(modules_folder, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from KneeSegLib.bundles import list_bundles\n"
        "from KneeSegLib.io.resources import terminology_file\n"
        "print(*[bundle.name for bundle in list_bundles()]); print(terminology_file())"
    )
    names, terminology = run(sys.executable, "-I", "-c", program, modules_folder, cwd=tmp_path).splitlines()
    shipped = {path.parents[1].name for path in (ROOT / "Resources" / "Models").glob("*/configs/metadata.json")}
    assert set(names.split()) == shipped
    assert Path(terminology) == modules_folder / "KneeSegLib" / "Resources" / "Terminology" / "KneeSeg.term.json"


def test_slicers_tree_holds_no_training_and_the_command_line_says_how_to_get_it(modules_folder, tmp_path):
    library = modules_folder / "KneeSegLib"
    assert not (library / "training").exists() and not (library / "evaluation").exists()
    assert list(library.rglob("*.npz")) == []
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        # An editable installation of the checkout would lend its folders.
        "sys.meta_path[:] = [finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]\n"
        "from KneeSegLib.cli import main\n"
        "sys.exit(main(['train', 'ct-knee']))"
    )
    command = [sys.executable, "-I", "-c", program, str(modules_folder)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == ResourceError.exit_status
    assert "which this installation, such as the one in Slicer, does not contain" in done.stderr
