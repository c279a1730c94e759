"""The page that people look at."""

import re
import subprocess
import sys

from cdk_ml_release.drift import drift_test

from .scene import ENDPOINT, animals

PAGE = f"monitoring/{ENDPOINT}/2026-03-01T09-00Z/1/report.html"


def test_the_page_says_what_it_is_about_and_what_was_found(scene):
    scene.released()
    scene.captured(animals(150, "page", sexes="MFI<"))

    scene.run()

    page = scene.read(PAGE)
    heading = page.partition("<header")[2].partition("</header>")[0]
    assert f"<h1>{ENDPOINT}, version 1, 2026-03-01 09:00 to 2026-03-01 10:00 UTC</h1>" in heading
    assert "<li>150 rows were captured, 0 of them do not fit the schema</li>" in heading
    assert "values are not in the baseline: &#x27;&lt;&#x27;" in heading


def test_the_page_needs_no_network(scene):
    scene.released()
    scene.captured(animals(150, "page"))

    scene.run()

    page = scene.read(PAGE)
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*", page)
    assert tags
    assert not [tag for tag in tags if re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", tag)]
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", page)


def test_nothing_is_reported_to_anybody(monkeypatch):
    for name in ("DO_NOT_TRACK", "ITERATIVE_DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    drift_test.evidently.cache_clear()

    drift_test.evidently()

    from evidently.telemetry import event_logger

    assert not event_logger.is_enabled()


def test_what_only_a_comparison_needs_is_not_imported_before_there_is_one():
    code = "import sys, cdk_ml_release.drift.__main__; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {"evidently", "pandas", "scipy", "aws_cdk", "rich"} & set(loaded.split()) == set()
