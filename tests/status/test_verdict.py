"""The verdict: could it come back right now, to when, from where, proven how."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.config.models import Promise
from permafrost.status.document import Status, status
from permafrost.status.verdict import Proof, server_verdict
from samples.server_state import NOW, STATES, History, StateName, history_of, make_server_state


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def of(folder: Path, history: History) -> Status:
    """Return the status of a server with that history."""
    folder.mkdir(exist_ok=True)
    return status(make_server_state(folder, history), history.now)


SAID: dict[StateName, tuple[str, str]] = {
    "healthy": ("yes", "Yes: could come back as it was at 14:02, from attic and cellar; proven 9 h ago; about 42 min"),
    "first-day": (
        "unproven",
        "Probably: only while this server exists, as it was at 14:02, from its own disk: no vault",
    ),
    "no-vault": ("limited", "Yes, but only while this server exists, as it was at 14:02, from its own disk: no vault"),
    "vault-silent": ("yes", "Yes: could come back as it was at 14:02, from cellar; proven 9 h ago"),
    "behind": ("limited", "Yes, but only as it was at 05:02, 9 h ago, from attic and cellar"),
    "full": ("yes", "Yes: could come back as it was at 14:02, from attic and cellar"),
    "drill-failed": ("unproven", "Probably: could come back as it was at 14:02, from attic and cellar; the last drill"),
    "key-unproven": ("yes", "Yes: could come back as it was at 14:02, from attic and cellar"),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_sentence(tmp_path: Path, state: StateName) -> None:
    """Each state of a server is answered in one sentence, with the moment and the places that count."""
    verdict = of(tmp_path / state, history_of(state)).verdict
    answer, text = SAID[state]
    assert verdict.answer == answer
    assert verdict.text.startswith(text)


def test_nothing_at_all(tmp_path: Path) -> None:
    """Without a snapshot the answer is no."""
    verdict = of(tmp_path / "empty", replace(history_of("first-day"), hours=0)).verdict
    assert (verdict.answer, verdict.text) == ("no", "No: there is no snapshot yet.")


def test_a_vault_with_damage_does_not_count(tmp_path: Path) -> None:
    """A vault that holds another list under a snapshot's name is no place to come back from."""
    configuration = make_server_state(tmp_path, history_of("healthy"))
    file = configuration.state.path / "status.json"
    text = file.read_text()
    hashed = text[text.index('"list_hash"') :].split('"')[3]
    file.write_text(text.replace(hashed, "0" * 64, 1))
    found = status(configuration, NOW)
    assert "vault-disagrees" in {finding.code for finding in found.findings}
    assert found.verdict.sources == ("cellar",)


def test_a_vault_that_lags_is_not_named(tmp_path: Path) -> None:
    """Only the places that hold the moment of the answer are named, even if another is as new as the schedule asks."""
    found = of(tmp_path / "healthy", history_of("healthy"))
    server, attic, cellar = found.places
    assert attic.restorable_to is not None
    lagging = replace(cellar, restorable_to=attic.restorable_to - timedelta(minutes=30))
    said = server_verdict(
        (server, attic, lagging), found.findings, Proof(None, None), lambda _: False, found.as_of, found.zone
    )
    assert (said.sources, said.restorable_to) == (("attic",), attic.restorable_to)


def test_secrets_that_are_missing(tmp_path: Path) -> None:
    """Rows without their secrets bring no Mastodon back, so the answer is not yes."""
    configuration = make_server_state(tmp_path, history_of("healthy"))
    configuration.secrets.files[0].unlink()
    verdict = status(configuration, NOW).verdict
    assert verdict.answer == "unproven"
    assert "without 1 of its secrets files" in verdict.text


def test_promises(tmp_path: Path) -> None:
    """A restore that takes longer than promised is a finding, and so are vaults that are too far behind."""

    def kinds(name: str, history: History) -> set[str]:
        return {finding.code for finding in of(tmp_path / name, history).findings}

    healthy = history_of("healthy")
    assert not kinds("kept", healthy) & {"restore-slow", "loses-more"}
    assert "restore-slow" in kinds("slow", replace(healthy, promise=Promise(restore_minutes=30)))
    assert "loses-more" in kinds("behind", history_of("behind"))
    assert "loses-more" not in kinds("no promise", replace(history_of("behind"), promise=Promise()))


def test_what_was_measured(tmp_path: Path) -> None:
    """The forecast scales the last drill to the newest snapshot, and says so; growth comes from a week's records."""
    found = of(tmp_path / "measured", history_of("healthy"))
    (database,) = (part for part in found.forecast if part.duration_s is not None)
    assert database.part == "restore the database"
    assert "the drill 9 h ago" in database.basis
    assert all("not measured" in part.basis for part in found.forecast if part.duration_s is None)
    server, attic, _ = found.places
    assert attic.growth_bytes_per_day == pytest.approx(50e6, rel=0.01)
    assert attic.room_days == pytest.approx(225e9 / 50e6, rel=0.01)
    assert server.growth_bytes_per_day is not None
    assert 24 * 2e6 < server.growth_bytes_per_day < 24 * 15e6


def test_the_way_back(tmp_path: Path) -> None:
    """What a vault has sent back gives the time for the snapshot and the media; with the rehearsed steps by hand there
    is a sum. Seconds give none, and nor does the way to the vault."""
    rehearsed = replace(
        history_of("healthy"),
        sent_back=(12, 65 * 10**9, 5200.0),
        promise=Promise(restore_minutes=60, by_hand_minutes=25),
    )
    bring, database, media, by_hand, total = of(tmp_path / "rehearsed", rehearsed).forecast
    assert bring.part == "bring the snapshot of 2.19 GB from attic"
    assert bring.duration_s == pytest.approx(2.19e9 / 12.5e6, rel=0.01)
    assert bring.basis == "the vault send-back 12 days ago: 87 min for 65 GB"
    assert media.part == "copy 184,011 media files of 61 GB back from attic"
    assert media.duration_s == pytest.approx(61e9 / 12.5e6)
    assert (by_hand.duration_s, by_hand.basis) == (1500.0, "your rehearsal: [promise] by_hand_minutes")
    parts = (bring, database, media, by_hand)
    assert total.duration_s == pytest.approx(sum(part.duration_s or 0 for part in parts))
    for name, sent in (("short", (12, 65 * 10**6, 5.2)), ("empty", (12, 0, 60.0))):
        unknown = of(tmp_path / name, replace(rehearsed, sent_back=sent)).forecast
        assert [part.duration_s is None for part in unknown] == [True, False, True, False]


def test_nothing_is_invented(tmp_path: Path) -> None:
    """On the first day no time, growth or room is claimed."""
    found = of(tmp_path / "first", history_of("first-day"))
    assert found.verdict.restore_s is None
    assert all(part.duration_s is None for part in found.forecast)
    assert [(place.growth_bytes_per_day, place.room_days) for place in found.places] == [(None, None)]


def test_a_vault_that_is_an_hour_behind(tmp_path: Path) -> None:
    """A snapshot on its way is not held against a vault: the answer stays yes, as of what it holds."""
    found = of(tmp_path / "soon", replace(history_of("healthy"), behind_h=1))
    assert found.verdict.answer == "yes"
    assert found.verdict.restorable_to == NOW.replace(minute=2, second=11) - timedelta(hours=1)
