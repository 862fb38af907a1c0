"""The page as a text: complete, self-contained, and safe whatever the names in it are."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from permafrost.config.alerting import ReceiverKind
from permafrost.findings import Finding, FindingKind
from permafrost.status.finding_document import finding_document
from permafrost.status.overview import Overview, server_overview, vault_overview
from permafrost.web.page import content_security_policy, render_page
from samples.server_state import NOW, STATES, StateName, history_of, make_server_state
from samples.vault_state import make_vault_state

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnol\x1b[2J\x00 {{ 7*7 }}"


@pytest.fixture
def healthy(tmp_path: Path) -> Overview:
    """A server with a month of backups and two vaults."""
    return server_overview(make_server_state(tmp_path, history_of("healthy")), NOW)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and the texts of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inside:
            self.inside[self._open].append(data)


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_shown(tmp_path: Path, state: StateName) -> None:
    """The verdict is the heading, and every finding, place and job is in the page."""
    overview = server_overview(make_server_state(tmp_path, history_of(state)), NOW)
    text = render_page(overview)
    assert f"<h1>{overview.about[0].verdict.text}</h1>" in text
    for finding in overview.findings:
        assert finding.message in text
        for command in finding.commands:
            assert f"<code>{command}</code>" in text
    for place in overview.places:
        assert f"<bdi>{place.name}</bdi>" in text
    assert text.count('<th scope="row">') == len(overview.jobs)


def test_it_needs_nothing_else(healthy: Overview) -> None:
    """No script, style, picture or font comes from elsewhere, nothing is a form, and no key is in it."""
    found = Tags(render_page(healthy))
    for tag, attributes in found.tags:
        assert tag not in ("form", "input", "iframe", "object", "embed", "base"), tag
        assert not {"style", "srcset", "action"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))


def test_the_policy_allows_what_is_in_it_and_nothing_else(healthy: Overview) -> None:
    """The hashes in the policy are those of the page's one script and one style."""
    found = Tags(render_page(healthy))
    policy = content_security_policy()
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name, texts in found.inside.items():
        digest = hashlib.sha256("".join(texts).encode()).digest()
        assert f"{name}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    (meta,) = (one for tag, one in found.tags if tag == "meta" and one.get("http-equiv"))
    assert meta["content"] == policy


def test_hostile_names(healthy: Overview) -> None:
    """Markup, quotes, control characters, marks of direction and templates in any text are shown as text."""
    (about,) = healthy.about
    (job, *_), (place, *_) = healthy.jobs, healthy.places
    finding = finding_document(Finding(FindingKind.BACKUP_FAILED, "backup", "failed"), None)
    overview = replace(
        healthy,
        name=HOSTILE,
        about=(replace(about, name=HOSTILE, verdict=replace(about.verdict, text=HOSTILE, commands=(HOSTILE,))),),
        places=(replace(place, name=HOSTILE),),
        jobs=(replace(job, outcome="failed", error=HOSTILE),),
        readers=tuple(replace(one, who=HOSTILE, note=HOSTILE) for one in healthy.readers),
        findings=(replace(finding, message=HOSTILE, remedy=HOSTILE, commands=(HOSTILE,)),),
        drills=tuple(replace(one, measured=None, error=HOSTILE) for one in healthy.drills),
        forecast=tuple(replace(one, part=HOSTILE, basis=HOSTILE) for one in healthy.forecast),
    )
    text = render_page(overview)
    tags = [tag for tag, _ in Tags(text).tags]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert "{{ 7*7 }}" in text
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not [one for _, attributes in Tags(text).tags for one in attributes if one.startswith("on")]


def test_nothing_is_shown_that_was_not_measured(tmp_path: Path) -> None:
    """On the first day the page says what nobody has measured, and draws no chart of drills."""
    text = render_page(server_overview(make_server_state(tmp_path, history_of("first-day")), NOW))
    assert "no drill has measured it" in text
    assert "until then a backup is only a hope" in text
    assert not re.search(r"about \d+ min", text)


def test_gaps_are_listed(healthy: Overview) -> None:
    """Hours without a backup are red in the calendar, and listed in words."""
    text = render_page(healthy)
    assert text.count('<rect class="gap" x=') == 6
    assert re.search(r"Nov 18 \d\d:02 to Nov 18 \d\d:02: 5 backups", text)
    assert text.count('<rect class="proven" x=') == 1


@pytest.mark.parametrize("state", STATES)
def test_a_vaults_page(tmp_path: Path, state: StateName) -> None:
    """A vault's page has a verdict for its server, and claims nothing about jobs or restores that it cannot know."""
    overview = vault_overview(make_vault_state(tmp_path, state), NOW)
    text = render_page(overview)
    assert f"<h1>{overview.about[0].verdict.text}</h1>" in text
    assert "this vault holds no key" in text
    assert 'id="jobs"' not in text
    assert "a restore takes" not in text


def test_who_gets_alerts(tmp_path: Path) -> None:
    """A page says which receivers of alerts are set up, and since when and why one is not reached."""
    receivers: tuple[tuple[str, ReceiverKind, str], ...] = (("phone", "message", ""), ("mail", "message", "<b>500</b>"))
    history = replace(history_of("healthy"), receivers=receivers)
    text = render_page(server_overview(make_server_state(tmp_path / "some", history), NOW))
    assert "<b>phone</b> (message): set up" in text
    assert "<b>mail</b> (message): not reached since" in text
    assert "<bdi>&lt;b&gt;500&lt;/b&gt;</bdi>" in text
    assert "nothing has reached mail since" in text, "the finding"
    nobody = server_overview(make_server_state(tmp_path / "nobody", replace(history, receivers=())), NOW)
    assert "Who gets alerts" not in render_page(nobody)
