"""What a rehearsal leaves behind: a report for programs, and a page that tells a newcomer the story."""

from __future__ import annotations

import html.parser
import json
import re

import pytest

from cdk_ml_release.rehearsal.assembly import Assembly
from cdk_ml_release.rehearsal.cloud.releases import Release
from cdk_ml_release.rehearsal.page.page import render
from cdk_ml_release.rehearsal.rehearsal import Rehearsal
from cdk_ml_release.rehearsal.report import report, write_report
from cdk_ml_release.rehearsal.settings import Settings

from . import stories
from .conftest import Spectator

VOID = {"br", "col", "hr", "img", "input", "link", "meta", "wbr"}
EVERY_STORY = [stories.nothing, stories.single, stories.loop, stories.failed, stories.two_pipelines]


class Page(html.parser.HTMLParser):
    """A page as a browser takes it: its elements, its ids, its links and its text by element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.mistakes: list[str] = []
        self.feed(text)
        self.close()
        self.mistakes += [f"<{name}> is never closed" for name, _ in self.open]

    def handle_starttag(self, tag, attrs):
        element = (tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop()[0] != tag:
            self.mistakes.append(f"</{tag}> at {self.getpos()} closes something else")

    def handle_data(self, data):
        if data.strip() and not any(name == "style" for name, _ in self.open):
            classes = " ".join(each.get("class", "") for _, each in self.open)
            self.texts.append((classes, " ".join(data.split())))

    @property
    def text(self) -> str:
        return " ".join(text for _, text in self.texts)

    def within(self, name: str) -> str:
        """The text of all elements of a class."""
        return " ".join(text for classes, text in self.texts if name in classes.split())

    def values(self, attribute: str) -> list[str]:
        return [each[attribute] for _, each in self.elements if attribute in each]


@pytest.fixture
def empty(tmp_path):
    """A rehearsal of an app without a stack, on its stage."""
    (tmp_path / "cdk.out").mkdir()
    (tmp_path / "cdk.out" / "manifest.json").write_text('{"version": "48.0.0", "artifacts": {}}')
    rehearsal = Rehearsal(
        assembly=Assembly(tmp_path / "cdk.out"),
        settings=Settings(),
        out=tmp_path,
        cache=tmp_path,
        audience=Spectator(),
    )
    with rehearsal.on_stage():
        yield rehearsal


def test_the_drift_report_of_a_window_lies_beside_the_page_that_links_to_it(empty, tmp_path):
    s3 = empty.gateway.client("s3")
    s3.create_bucket(Bucket="home")
    key = "monitoring/abalone-production/2026-11-28T07-00Z/1/report.html"
    s3.put_object(Bucket="home", Key=key, Body=b"<p>bigger animals</p>")
    found = stories.window(7, 1, 391, stories.season(), report=f"s3://home/{key}")
    silent = stories.window(8, 1, 0, stories.calm(), report=None)
    prefix = "monitoring/abalone-production"
    s3.put_object(Bucket="home", Key=f"{prefix}/07/1/window.json", Body=json.dumps(found))
    s3.put_object(Bucket="home", Key=f"{prefix}/08/none/window.json", Body=json.dumps(silent))
    empty.account.projects["build"] = {
        "Environment": {"EnvironmentVariables": [{"Name": "ML_BUCKET", "Value": "home"}]}
    }
    empty.loop.windows.collect()

    content = report(empty)

    copied, none = (each["report"] for each in content["windows"])
    assert (tmp_path / copied).read_bytes() == b"<p>bigger animals</p>"
    assert none is None
    assert copied in Page(render(content)).values("href")


def test_a_rehearsal_that_was_refused_leaves_its_reason_in_both_reports(empty, tmp_path):
    write_report(report(empty, "the assembly has no pipeline: there is nothing to rehearse"), tmp_path)

    content = json.loads((tmp_path / "report.json").read_text())
    assert (content["status"], content["executions"]) == ("Failed", [])
    assert content["reason"] == "the assembly has no pipeline: there is nothing to rehearse"
    assert content["cost"]["month"] == {"usd": 0.0, "most_usd": 0.0, "unknown": 0}
    assert content["reason"] in Page((tmp_path / "report.html").read_text()).within("reason")


@pytest.mark.parametrize("story", EVERY_STORY)
def test_every_page_is_well_formed_and_needs_nothing_from_elsewhere(story):
    text = render(story())

    page = Page(text)
    assert page.mistakes == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed"}
    assert page.values("src") == []
    assert not re.search(r"url\(|@import|https?:", text)
    links = page.values("href")
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "windows/")) for link in links)
    assert [name for name, _ in page.elements].count("h1") == 1


def test_the_loop_is_told_in_two_sentences():
    page = Page(render(stories.loop()))

    assert page.within("verdict") == (
        "Version 1 was released, drift was found in 6 of 8 features, the alarm started the pipeline again, "
        "and version 2 took over step by step. Version 2 is in service at abalone-production. "
        "Not one of 1,440 requests was lost."
    )


def test_the_chapters_of_the_loop_stand_in_their_order():
    told = Page(render(stories.loop())).within("story")

    chapters = [
        "Version 1 was built and released",
        "Requests like the data that the model was trained on",
        "No drift and no alarm from 05:00 to 06:00",
        "A season in which the animals are bigger",
        "Sent bigger.csv to abalone-production: 391 requests, 0 failed",
        "Drift in 6 of 8 features from 07:00 to 08:00",
        "Alarm abalone-production-drift is ALARM",
        "Version 2 was built and released Started by alarm abalone-production-drift",
        "version 1 → version 2, canary 50 %",
        "No drift and no alarm from 08:00 to 09:00",
    ]
    places = [told.find(chapter) for chapter in chapters]
    assert -1 not in places, chapters[places.index(-1)]
    assert places == sorted(places)


def test_a_window_over_a_release_is_told_for_each_of_its_versions():
    content = stories.loop()
    content["windows"].insert(3, stories.window(8, 1, 99, stories.season()))

    page = Page(render(content))

    told = page.within("story")
    assert "Drift in 6 of 8 features from 08:00 to 09:00 The monitor compared 99 requests to version 1" in told
    assert "No drift and no alarm from 08:00 to 09:00 The monitor compared 402 requests to version 2" in told
    (lane,) = (each for each in page.values("aria-label") if each.startswith("Monitoring: "))
    assert lane.endswith("window 07:00 to 08:00: drift or alarm. window 08:00 to 09:00: drift or alarm. ")


def test_an_alarm_that_started_nothing_is_in_the_verdict():
    content = stories.loop()
    content["log"].append(stories.entry("10:00:00", 99.0, "alarm", "alarm live-monitor-down is ALARM: no values"))
    content["log"].append(stories.entry("10:30:00", 99.5, "alarm", "alarm live-quality is OK: 0 values"))

    page = Page(render(content))

    assert "Alarm live-monitor-down went off. Not one of" in page.within("verdict")
    assert "live-quality" not in page.within("verdict")
    assert "Alarm live-quality is OK" in page.within("story")


def test_what_the_rehearsal_could_not_play_is_a_chapter():
    content = stories.loop()
    content["log"].append(stories.entry("10:00:00", 99.0, "failure", "schedule live-monitor could not call it"))

    assert "Schedule live-monitor could not call it" in Page(render(content)).within("bad")


def test_the_drift_picture_says_in_words_what_it_shows():
    page = Page(render(stories.loop()))

    words = page.values("title")
    assert "drifted: Wasserstein distance in standard deviations 0.52, limit 0.1" in words
    assert "steady: Jensen-Shannon distance 0.03, limit 0.1" in words
    assert page.within("heat").count("drifted") == 6 + 1 + 4, "six features, the prediction, and a total per window"
    assert "windows/abalone-production/2026-11-28T07-00Z-version-1.html" in page.values("href")


def test_a_p_value_fills_its_bar_when_it_is_below_its_limit():
    window = stories.window(5, 1, 320, stories.calm())
    window["features"]["length"] = {"method": "ks", "score": 0.00002, "threshold": 0.01, "drifted": True}
    window["features"]["height"] = {"method": "ks", "score": 0.5, "threshold": 0.01, "drifted": False}

    text = render(stories.loop() | {"windows": [window]})

    cells = dict(re.findall(r'title="((?:drifted|steady): Kolmogorov[^"]*)".*?width:([\d.]+)%', text, re.DOTALL))
    assert cells == {
        "drifted: Kolmogorov-Smirnov test, p-value &lt;0.001, limit 0.01": "100.0",
        "steady: Kolmogorov-Smirnov test, p-value 0.5, limit 0.01": "1.0",
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [("TooFew", "Too few requests to judge"), ("NoData", "No requests"), ("NoBaseline", "No baseline to compare with")],
)
def test_a_window_that_was_not_judged_says_why(status, said):
    empty = {"features": {}, "prediction": None, "drifted": [], "drift_share": None, "report": None}
    window = stories.window(5, 1, 0, stories.calm()) | empty | {"status": status}

    page = Page(render(stories.loop() | {"windows": [window]}))

    assert f"{said}, from 05:00 to 06:00" in page.within("story")
    assert said.lower() in page.within("heat")


def test_traffic_is_drawn_by_version_and_said_in_words():
    content = stories.loop()
    content["releases"][1] = stories.canary(70.2, 26, failed=3)

    page = Page(render(content))

    drawn = {each.get("class"): each.get("d") for name, each in page.elements if name == "path"}
    assert drawn["v1"].startswith("M")
    assert drawn["v2"].startswith("M")
    assert drawn["lost"].startswith("M")
    assert "Version 1 got 982 requests, version 2 got 458 requests; 6 failed" in page.values("aria-label")
    assert "version 1: 22, version 2: 18" in page.within("steps")


def test_a_change_of_a_metric_is_judged_by_its_gate():
    page = Page(render(stories.loop()))

    assert re.search(r"rmse at most 2.5, at most 0.3 worse than in service 2.039 1.874 ▼ 0.165 better", page.text)


def test_a_metric_without_a_gate_is_not_judged():
    content = stories.loop()
    for place, version in enumerate(content["versions"]):
        version["metrics"] = {"regression_metrics.r2": 0.6 + place / 10}

    assert re.search(r"r2 none 0.6 0.7 ▲ 0.1(?! better| worse)", Page(render(content)).text)


def test_a_failed_rehearsal_has_its_reason_in_sight_and_says_what_was_not_reached():
    content = stories.failed()

    page = Page(render(content))

    assert page.within("reason") == f"Why {content['reason']}"
    assert page.within("verdict") == (
        "Version 1 was released and the pipeline stopped in stage Build. "
        "Version 1 stays in service at abalone-production."
    )
    assert re.search("Promote not reached .*Production not reached", page.within("flow"))


def test_a_rehearsal_that_could_not_begin_says_why():
    page = Page(render(stories.nothing()))

    assert page.within("verdict") == "The rehearsal could not begin. Nothing is in service."
    assert "does not know the resource type" in page.within("reason")
    assert "There is no estimate: 'assembly' must be a cloud assembly" in page.text


def test_versions_of_two_models_are_told_apart():
    page = Page(render(stories.two_pipelines()))

    assert "Abalone version 1 is in service at abalone-production and oyster version 1" in page.within("verdict")
    assert "Executions of oyster-Pipeline" in page.within("axis")


def test_the_estimate_says_what_is_unknown():
    text = Page(render(stories.loop())).text

    assert "A month with 4 releases at least $170.53 to $338.43 plus 1 unknown" in text
    assert "a key unknown: no price is known" in text


def test_what_a_user_has_written_is_text_and_never_markup():
    evil = '<script>alert("1")</script>&\'"'
    names = {name: f"{name}{evil}" for name in ("abalone-production", "rmse", "whole_weight", "CreatePipeline")}
    content = stories.loop()
    text = json.dumps(content)
    for name, other in names.items():
        text = text.replace(name, json.dumps(other)[1:-1])

    page = Page(render(json.loads(text)))

    assert page.mistakes == []
    assert "script" not in {name for name, _ in page.elements}
    assert not any("alert" in name for _, each in page.elements for name in each), "no attribute is broken out of"
    assert evil in page.text


def test_a_release_counts_its_requests_by_the_second():
    release = Release(endpoint="live", version=stories.arn(2), before=stories.arn(1), policy="all at once")
    release.count(release.steps[0], stories.arn(1), failed=False)
    release.began -= 2.0
    release.count(release.steps[0], stories.arn(2), failed=True)
    release.count(release.steps[0], stories.arn(2), failed=False)

    assert release.to_json()["seconds"] == [
        {"at": 0, "total": 1, "failed": 0, "by_version": {stories.arn(1): 1}},
        {"at": 2, "total": 2, "failed": 1, "by_version": {stories.arn(2): 2}},
    ]
