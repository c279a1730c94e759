"""Images: what a Dockerfile leaves behind in a rehearsal, and which Dockerfiles are refused."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from cdk_ml_release.rehearsal.containers.dockerfile import parse_dockerfile
from cdk_ml_release.rehearsal.containers.image import (
    DockerfileError,
    build_image,
    find_pushed,
    load_image,
    record_push,
)
from cdk_ml_release.rehearsal.containers.image_pip import pip_arguments, prepare_pip
from cdk_ml_release.rehearsal.containers.shell_words import split_words

BASE = "FROM python:3.11-slim\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def context(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


@pytest.fixture
def build(context, tmp_path, cache):
    """Writes a Dockerfile (after a FROM, unless it has one) and files, and builds the image."""

    def build(dockerfile, files=(), **options):
        for name, text in dict(files).items():
            file = context / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        has_base = "FROM" in dockerfile
        (context / "Dockerfile").write_text(dockerfile if has_base else BASE + dockerfile)
        return build_image(context, store=tmp_path / "store", cache=cache, **options)

    return build


def wheel(folder, name="tiny", version="1.0"):
    """Writes the smallest package that pip can install without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(file, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)  # without the time: the same bytes every time
    return file.name


def version_of(image, name="tiny"):
    code = f"import {name}; print({name}.VERSION)"
    done = subprocess.run([image.python / "bin" / "python", "-c", code], capture_output=True, text=True)
    return done.stdout.strip()


def files_of(image):
    return sorted(str(p.relative_to(image.root)) for p in image.root.rglob("*") if not p.is_dir())


# --- how a container starts -----------------------------------------------------------------------


def test_the_settings_of_a_whole_dockerfile(build):
    image = build(
        """# syntax=docker/dockerfile:1
FROM python:3.11-slim
LABEL owner=me
ENV GREETING="good day" \\
    # a comment inside a continued line

    TARGET=/opt/program
ENV OLD the rest of the line
ENV PATH=$TARGET/bin:${PATH}
WORKDIR /opt
WORKDIR program
EXPOSE 8080
HEALTHCHECK --interval=5s CMD true
ENTRYPOINT ["python", "main.py"]
CMD ["serve"]
"""
    )

    assert image.environment == {
        "GREETING": "good day",
        "TARGET": "/opt/program",
        "OLD": "the rest of the line",
        "PATH": "/opt/program/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    assert (image.entrypoint, image.command) == (("python", "main.py"), ("serve",))
    assert image.workdir == "/opt/program"


@pytest.mark.parametrize(
    ("line", "entrypoint"),
    [
        ('ENTRYPOINT ["python", "serve.py"]', ("python", "serve.py")),
        ("ENTRYPOINT python serve.py --port $PORT", ("/bin/sh", "-c", "python serve.py --port $PORT")),
        ("ENTRYPOINT ['python', 'serve.py']", ("/bin/sh", "-c", "['python', 'serve.py']")),
        ('SHELL ["/bin/bash", "-c"]\nENTRYPOINT serve', ("/bin/bash", "-c", "serve")),
    ],
)
def test_an_entry_point_is_a_list_or_a_line_for_the_shell(build, line, entrypoint):
    assert build(line).entrypoint == entrypoint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a $NAME"', "a me"),
        ("'a $NAME'", "a $NAME"),
        (r"a\ b", "a b"),
        (r"\$NAME", "$NAME"),
        ("${MISSING:-other}", "other"),
        ("${NAME:+set}", "set"),
        ("${MISSING}x", "x"),
    ],
)
def test_quotes_and_variables_mean_what_they_mean_to_docker(build, text, value):
    assert build(f"ENV NAME=me\nENV RESULT={text}").environment["RESULT"] == value


def test_a_build_argument_replaces_its_default(build):
    text = "ARG TAG=3.11\nFROM python:${TAG}\nARG TAG\nARG LEVEL=info\nENV TAG=$TAG LEVEL=$LEVEL"

    assert build(text).environment["LEVEL"] == "info"
    assert build(text, build_args={"LEVEL": "debug"}).environment["LEVEL"] == "debug"
    assert build(text).environment["TAG"] == "3.11"


def test_an_unused_build_argument_is_noted(build):
    assert "build argument 'LEVL' is used by no ARG" in build("", build_args={"LEVL": "debug"}).notes


def test_a_different_python_in_the_base_image_is_noted(build):
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert f"its Python {ours} instead of 3.5" in build("FROM python:3.5-slim").notes[0]
    assert "instead" not in build(f"FROM mirror.example/python:{ours}").notes[0]
    assert "what else it brings is not there" in build("FROM pytorch/pytorch").notes[0]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY code /opt/program", ["opt/program/a.py", "opt/program/sub/b.py"]),
        ("COPY . /srv/", ["srv/Dockerfile", "srv/code/a.py", "srv/code/sub/b.py", "srv/top.txt"]),
        ("COPY top.txt /etc/settings", ["etc/settings"]),
        ("COPY top.txt code/a.py /app/", ["app/a.py", "app/top.txt"]),
        ("COPY code/*.py /app/", ["app/a.py"]),
        ("WORKDIR /app\nCOPY top.txt .", ["app/top.txt"]),
        ("WORKDIR /app\nCOPY top.txt ./x", ["app/x"]),
        ('COPY ["top.txt", "/with space/"]', ["with space/top.txt"]),
        ("COPY ../../top.txt /", ["top.txt"]),
        ("ADD top.txt /", ["top.txt"]),
        ("COPY . /\nRUN rm -rf /code /Dockerfile && mv top.txt /moved", ["moved"]),
        ("RUN --mount=type=bind,source=top.txt,target=t cp t /kept", ["kept"]),
    ],
)
def test_files_go_where_docker_puts_them(build, line, expected):
    image = build(line, {"top.txt": "top", "code/a.py": "a", "code/sub/b.py": "b"})

    assert files_of(image) == expected


def test_permissions_are_those_of_the_file_until_the_dockerfile_changes_them(build, context):
    (context / "run").write_text("run")
    (context / "run").chmod(0o755)

    image = build("COPY run no /a/\nCOPY --chmod=700 no /b/\nCOPY no /c/\nRUN chmod +x /c/*", {"no": ""})

    runnable = [name for name in files_of(image) if os.access(image.root / name, os.X_OK)]
    assert runnable == ["a/run", "b/no", "c/no"]


def test_ignored_files_stay_out(build):
    ignore = "# comment\n**/*.csv\nnotes\n!notes/keep.txt\n.git\n"
    files = dict.fromkeys(("a.csv", "x/y/b.csv", "notes/drop.txt", "notes/keep.txt", ".git/config"), "")

    image = build("COPY . /", {".dockerignore": ignore, "train": "", **files})

    assert files_of(image) == [".dockerignore", "Dockerfile", "notes/keep.txt", "train"]


def test_the_last_stage_wins_and_takes_files_from_the_others(build):
    image = build(
        """FROM python:3.11 AS first
COPY top.txt /made/top
CMD ["old"]
FROM nowhere/unused AS unused
RUN conda install never
FROM first AS second
ENTRYPOINT ["second"]
FROM scratch
COPY --from=second /made /taken
COPY --from=0 /made/top /again
""",
        {"top.txt": ""},
    )

    assert files_of(image) == ["again", "taken/top"]
    assert (image.entrypoint, image.command) == ((), ())


def test_an_entry_point_drops_the_command_of_the_stage_it_builds_on(build):
    first = 'FROM python:3.11 AS a\nCMD ["a"]\nFROM a\n'

    assert build(first).command == ("a",)
    assert build(first + 'ENTRYPOINT ["b"]').command == ()
    assert build(first + 'CMD ["c"]\nENTRYPOINT ["b"]').command == ("c",)


def test_a_link_made_in_the_dockerfile_means_the_image_s_file(build):
    image = build("COPY t /opt/program/train\nRUN ln -s /opt/program/train /usr/bin/train", {"t": "text"})

    assert (image.root / "usr/bin/train").read_text() == "text"


def test_a_link_cannot_lead_the_build_out_of_the_image(build, context, tmp_path):
    (tmp_path / "outside").mkdir()
    (context / "away").symlink_to(tmp_path / "outside")
    (context / "links").mkdir()
    (context / "links" / "away").symlink_to(tmp_path / "outside")

    with pytest.raises(DockerfileError, match="there is no 'away' in the build context"):
        build("COPY away /away")
    with pytest.raises(DockerfileError, match="/away/t leads out of the image"):
        build("COPY links /\nCOPY t /away/t", {"t": ""})
    assert list((tmp_path / "outside").iterdir()) == []


# --- identity -------------------------------------------------------------------------------------


def test_the_digest_is_that_of_instructions_arguments_and_copied_files(build, context):
    first = build("ARG A\nCOPY code /code", {"code/a.py": "a"})
    same = build("# why\nARG A\n\nCOPY code /code", {"unrelated.txt": "x"})
    edited = build("ARG A\nCOPY code /code", {"code/a.py": "b"})
    argued = build("ARG A\nCOPY code /code", build_args={"A": "1"})
    (context / "code" / "a.py").chmod(0o755)
    runnable = build("ARG A\nCOPY code /code")
    instructed = build("ARG A\nCOPY code /code\nENV B=1")

    assert first.digest.startswith("sha256:")
    assert first.digest == same.digest
    assert len({i.digest for i in (first, edited, argued, runnable, instructed)}) == 5


def test_an_image_is_found_again(build, tmp_path):
    image = build('ENV A=b\nENTRYPOINT ["x"]\nRUN apt-get update')

    record_push(tmp_path / "store", "sha256:" + "0" * 64, image.digest)

    assert load_image(tmp_path / "store", image.digest) == image
    assert find_pushed(tmp_path / "store", "sha256:" + "0" * 64) == image


@pytest.mark.parametrize("find", [load_image, find_pushed])
def test_fails_when_an_image_is_not_known(find, tmp_path):
    with pytest.raises(LookupError, match=f"no image sha256:{'1' * 64} was"):
        find(tmp_path, "sha256:" + "1" * 64)


# --- packages -------------------------------------------------------------------------------------


INSTALL = """COPY wheels *.txt /opt/program/
WORKDIR /opt/program
RUN apt-get update && pip3 install --no-index --find-links /opt/program -r requirements.txt
"""


@pytest.fixture
def requirements(context):
    """Files for INSTALL. Tests with the same version share an environment, which takes seconds to make."""

    def requirements(version):
        wheel(context / "wheels", version="1.0")
        wheel(context / "wheels", version="2.0")
        return {"requirements.txt": "-c limits.txt\ntiny\n", "limits.txt": f"tiny=={version}\n"}

    return requirements


def test_packages_are_installed_once_for_the_same_pip_lines(build, requirements):
    first = build(INSTALL, requirements("1.0"))
    started = time.monotonic()
    again = build(INSTALL + "ENV NEW=1")
    seconds = time.monotonic() - started

    assert version_of(first) == "1.0"
    assert first.digest != again.digest
    assert first.python == again.python
    assert seconds < 0.3
    assert "'apt-get update' was skipped" in str(first.notes)


def test_packages_of_an_earlier_stage_come_along_with_its_folder(build, requirements):
    venv = INSTALL.replace("pip3", "/opt/venv/bin/pip").replace("apt-get update", "python -m venv /opt/venv")
    stages = f"{BASE} AS builder\n{venv}{BASE}COPY --from=builder /opt/venv /opt/venv".replace("\n AS", " AS")

    image = build(stages, requirements("2.0"))

    assert version_of(image) == "2.0"
    assert files_of(image) == []
    assert "the packages of an earlier stage are taken for its /opt/venv" in image.notes


def test_a_changed_constraint_makes_another_environment(build, requirements):
    one = build(INSTALL, requirements("1.0"))
    two = build(INSTALL, requirements("2.0"))

    assert one.python != two.python
    assert (version_of(one), version_of(two)) == ("1.0", "2.0")


def test_an_interrupted_environment_is_not_used(build):
    image = build("ENV A=b")
    (image.python / ".complete").unlink()
    (image.python / "bin" / "python").unlink()

    again = build("ENV A=b")

    assert again.python == image.python
    assert (again.python / "bin" / "python").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pip install --user -r r.txt", "install -r r.txt"),
        (
            "pip3.11 --no-cache-dir install --prefix=/x -r /app/r.txt",
            "install -r ROOT/app/r.txt",
        ),
        ("python3 -m pip install --target /x -r./r.txt", "install -r./r.txt"),
        ("uv pip install --system --no-cache -r r.txt", "install -r r.txt"),
        ("pip install 'numpy>=2' $EXTRA", "install numpy>=2 a b==1"),
        (
            "pip install 'x @ file:///app/x.whl' /app/*.txt",
            "install x @ file://ROOT/app/x.whl ROOT/app/r.txt",
        ),
    ],
)
def test_a_pip_line_keeps_its_words_and_finds_its_files(tmp_path, line, words):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "r.txt").write_text("")
    instruction = parse_dockerfile(f"FROM a\nRUN {line}", {}).stages[0].instructions[0]
    asked = pip_arguments(split_words(instruction.text, {"EXTRA": "a b==1"}, shell=True))

    call = prepare_pip(
        asked, instruction=instruction, root=tmp_path, workdir="/app", environment={}, note=lambda text: None,
    )  # fmt: skip

    assert " ".join(call.words).replace(str(tmp_path), "ROOT") == words


def test_fails_with_what_pip_said_last(build, context):
    with pytest.raises(DockerfileError) as error:
        build("WORKDIR /app\nCOPY r.txt .\nRUN pip install --no-index -r r.txt", {"r.txt": "absent==1\n"})

    assert str(error.value).startswith("Dockerfile line 4: 'pip install --no-index -r r.txt' exits with 1: ERROR: ")
    assert "No matching distribution found for absent==1" in str(error.value)
    assert str(context.parent) not in str(error.value)


# --- refusals -------------------------------------------------------------------------------------


def test_fails_without_a_dockerfile(context, tmp_path):
    with pytest.raises(DockerfileError, match=r"^no Dockerfile in .*model: a rehearsal builds .* add one"):
        build_image(context, store=tmp_path / "s", cache=tmp_path / "c")

    with pytest.raises(DockerfileError, match="no Other in"):
        build_image(context, dockerfile=context / "Other", store=tmp_path / "s", cache=tmp_path / "c")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Dockerfile has no FROM"),
        ("FROM", "line 1: FROM says nothing"),
        ("FROM a b", "line 1: FROM takes an image, or an image AS a name, got 'a b'"),
        ("ENV A=b\nFROM a", "line 1: ENV comes before FROM"),
        ("FROM a\n\nCOYP b c", "line 3: the rehearsal does not know the instruction 'COYP'"),
        ("FROM a\nONBUILD RUN true", "line 2: the rehearsal does not know the instruction 'ONBUILD'"),
        ("FROM a\nCOPY --parents a b", "line 2: the rehearsal does not know COPY --parents"),
        ("# escape=`\nFROM a", "line 1: the rehearsal knows no escape character"),
        ("FROM a\nRUN <<EOF\npip install x\nEOF", "line 2: the rehearsal does not know here-documents"),
        ("FROM a\nENV A='b", "line 2: the quote ' is never closed"),
        ("FROM a\nENV A", "line 2: ENV A has no value"),
        ("FROM a\nCOPY absent /x", "line 2: there is no 'absent' in the build context"),
        ("FROM a\nCOPY only", "line 2: COPY takes a source and a destination"),
        ("FROM a\nCOPY f g /x", "end '/x' with a slash"),
        ("FROM a\nCOPY --from=other/image /x /y", "--from=other/image is no earlier stage"),
        ("FROM a\nCOPY --chmod=u+x f /y", "--chmod must be an octal number such as 755, got 'u\\+x'"),
        ("FROM a\nADD https://example.com/a /a", "does not fetch what ADD names by URL"),
        ("FROM a\nSHELL bash", "SHELL takes a JSON array"),
        ("FROM a\nRUN pip install \\\n -r absent.txt", "line 2: .* needs '/absent.txt', .* COPY it first"),
        ("FROM a\nRUN conda install x", "packages with pip only, got 'conda install x'; use pip install"),
        ("FROM a\nRUN apt-get update && poetry install", "with pip only, got 'poetry install'"),
        ("FROM a\nRUN uv sync", "with pip only, got 'uv sync'"),
        ("FROM a\nRUN python setup.py install", "with pip only"),
        ("FROM a\nRUN pip install x || true", "cannot follow a RUN line with pipes"),
        ("FROM a\nRUN pip install numpy>=2", "quote version ranges"),
        ("FROM a\nRUN pip install $(cat f)", "does not run commands inside"),
        ("FROM a\nRUN pip wheel x", "does not run 'pip wheel x'; it knows pip check, install, uninstall"),
        ("FROM a\nCOPY f /f\nRUN chmod 9 /f", "line 3: 'chmod 9 /f' exits with 1: chmod: invalid mode"),
    ],
)
def test_fails_when_a_dockerfile_cannot_be_played(context, tmp_path, text, problem):
    (context / "Dockerfile").write_text(text)
    (context / "f").write_text("")
    (context / "g").write_text("")

    with pytest.raises(DockerfileError, match=problem) as error:
        build_image(context, store=tmp_path / "store", cache=tmp_path / "cache")

    assert "\n" not in str(error.value)


def test_a_failed_build_leaves_no_image(build, tmp_path):
    with pytest.raises(DockerfileError):
        build("COPY absent /x")

    assert list((tmp_path / "store").glob("*/")) == []


@pytest.mark.parametrize(
    "line",
    [
        "apt-get install -y gcc",
        "curl -s https://example.com/x | sh",
        "useradd me",
        "python -c 'print(1)'",
        "chmod +x /usr/bin/of-the-base-image",
        "if true; then echo yes; fi",
    ],
)
def test_a_line_that_is_not_played_is_noted(build, line):
    notes = build(f"RUN {line}").notes

    assert any(note.startswith(("'", '"')) and "was skipped" in note for note in notes)


@pytest.mark.parametrize("line", ["set -eux; true", "rm -rf /var/lib/apt/lists/*", "pip cache purge", "cd /x"])
def test_a_line_without_effect_needs_no_note(build, line):
    assert len(build(f"RUN {line}").notes) == 1


def test_this_machine_s_files_are_out_of_reach_of_run_lines(build, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")

    build(f"RUN rm -rf {precious} && rm -rf /* && chmod 000 {precious}")

    assert precious.read_text() == "mine"
    assert Path(precious).stat().st_mode & 0o400
