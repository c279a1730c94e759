"""What the README shows is what there is."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
APP = (ROOT / "examples/abalone/app.py").read_text(encoding="utf-8")


def test_the_readme_shows_the_example_app_as_it_is():
    shown = re.search(r"<!-- shortest app -->\n```python\n(.*?)```", README, re.DOTALL)

    assert shown is not None
    assert shown[1] == APP


def test_the_example_app_has_at_most_40_lines():
    assert len([line for line in APP.splitlines() if line.strip()]) <= 40


def test_every_file_that_the_readme_links_to_exists():
    links = re.findall(r"\]\(([^)#]+)\)", README)

    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


def test_every_make_command_of_the_readme_is_a_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"^make (\w+)", README, re.MULTILINE))

    assert commands == {"demo", "test"}
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)
