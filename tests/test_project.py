"""The project itself: its generated files, its walls, its public names."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import cdk_ml_release

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/cdk_ml_release"
CDK = {"aws_cdk", "constructs", "jsii"}


def test_the_generated_files_are_what_the_definition_writes(tmp_path):
    shutil.copy(ROOT / ".projenrc.py", tmp_path)

    subprocess.run(
        [sys.executable, ".projenrc.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PROJEN_DISABLE_POST": "true",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        check=True,
    )

    generated = json.loads((tmp_path / ".projen/files.json").read_text())["files"]
    stale = [name for name in generated if (ROOT / name).read_bytes() != (tmp_path / name).read_bytes()]
    assert stale == [], "run `make projen`"


def test_no_file_names_the_host_of_a_package_registry():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    registries, ends = (b"pypi", b"pythonhosted", b"npmjs", b"yarnpkg"), (b"org", b"com", b"io")
    host = re.compile(rb"\b(%s)\.(%s)\b" % (b"|".join(registries), b"|".join(ends)))

    files = [ROOT / name for name in listed.stdout.splitlines()]
    assert [str(file) for file in files if file.is_file() and host.search(file.read_bytes())] == []


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("cdk_ml_release", CDK | {"boto3", "moto", "rich"}),
        ("cdk_ml_release.runtime.contract", CDK | {"boto3", "moto", "rich"}),
        ("cdk_ml_release.cost", CDK | {"boto3", "botocore", "moto", "rich", "yaml"}),
        ("cdk_ml_release.rehearsal", CDK),
        ("cdk_ml_release.cli", CDK),
    ],
)
def test_importing_a_room_does_not_open_another(module, forbidden):
    code = f"import sys, {module}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert forbidden & set(loaded.split()) == set()


@pytest.mark.parametrize("file", sorted((PACKAGE / "runtime").rglob("*.py")), ids=lambda file: file.stem)
def test_the_runtime_imports_boto3_the_standard_library_and_itself(file):
    allowed = sys.stdlib_module_names | {"boto3", "botocore"}

    outside = set()
    for statement in ast.walk(ast.parse(file.read_text())):
        if isinstance(statement, ast.Import):
            outside |= {alias.name for alias in statement.names if alias.name.split(".")[0] not in allowed}
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
            outside |= {statement.module} if statement.module.split(".")[0] not in allowed else set()
        elif isinstance(statement, ast.ImportFrom) and statement.level > len(file.relative_to(PACKAGE).parts) - 1:
            outside.add("." * statement.level + (statement.module or ""))

    assert outside == set()


def test_every_public_name_is_listed_once_and_in_order():
    assert cdk_ml_release.__all__ == sorted(set(cdk_ml_release.__all__))


@pytest.mark.parametrize("name", cdk_ml_release.__all__)
def test_every_public_name_comes_from_the_module_that_type_checkers_see(name):
    assert getattr(cdk_ml_release, name) is getattr(import_module(typed_names()[name], "cdk_ml_release"), name)


def test_type_checkers_see_the_public_names_and_no_others():
    assert sorted(typed_names()) == cdk_ml_release.__all__


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        cdk_ml_release.Nonsense  # noqa: B018


def typed_names() -> dict[str, str]:
    """Return the names under ``if TYPE_CHECKING`` of the package, with their modules."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (typed,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        alias.name: "." * found.level + str(found.module)
        for found in ast.walk(typed)
        if isinstance(found, ast.ImportFrom)
        for alias in found.names
    }
