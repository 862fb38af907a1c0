"""The line and the proof, and who is let in by them."""

from __future__ import annotations

import json
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.errors import UsageError
from permafrost.syncthing.answers import PendingDevice
from permafrost.vault.admission import GivenInvitation, InvitationStore, judge
from permafrost.vault.invitation import LINE_PREFIX, PROOF_PREFIX, Invitation, join_proof, parse_invitation
from permafrost.vault.line import checksum_of, encode
from tests.fixtures.vault import NOW, SERVER_ID

VAULT_ID = "NBD2DNF-W2RWPOL-MYPV6Z7-XOST3LC-4QKBBIK-XO5IS25-Y6W7RW5-74XMJQD"
OTHER_ID = "HR4DD32-4JZJ5L4-LLXHOJS-QFSBE7V-FUFD2DH-V5FTHLC-NML35KZ-EFNATAB"


def _line_of(document: object) -> str:
    content = encode(json.dumps(document).encode())
    return f"{LINE_PREFIX}{content}.{checksum_of(LINE_PREFIX, content)}"


def test_a_line_says_what_was_put_in(invitation: Invitation) -> None:
    """The line is one word that a shell and a URL take as it is, and reads back as the same invitation."""
    line = invitation.as_line()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", line)
    assert parse_invitation(line) == invitation


def test_blanks_and_breaks_do_not_matter(invitation: Invitation) -> None:
    """A line that mail or a terminal broke is still good."""
    line = invitation.as_line()
    assert parse_invitation(f"  {line[:70]}\r\n {line[70:140]}\n{line[140:]}\n") == invitation


def test_the_secret_is_not_shown_by_accident(invitation: Invitation) -> None:
    """The secret is not in what a log or a traceback would show."""
    assert invitation.secret not in repr(invitation)


@given(data=st.data())
def test_a_cut_or_mistyped_line_is_told(data: st.DataObject) -> None:
    """A line with its end missing, or one letter changed, is refused and never read as something else."""
    line = _line_of({"any": "thing", "of": ["some", "length"]})
    at = data.draw(st.integers(21, len(line) - 1))
    letter = data.draw(st.sampled_from("abcXYZ019-_").filter(lambda one: one != line[at]))
    for spoilt in (line[:at], line[:at] + letter + line[at + 1 :]):
        with pytest.raises(UsageError, match="truncated or mistyped"):
            parse_invitation(spoilt)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not an invitation"),
        ("https://example.social/invite", "not an invitation"),
        ("permafrost-invite-2.abc.def", "another permafrost release"),
        ("permafrost-receive-1.abc.def", "for another command"),
        ("permafrost-invite-1." + "a" * 10_000, "not an invitation"),
        (_line_of(["no", "object"]), "not valid"),
        (_line_of({}), "not valid"),
        ("permafrost-invite-1.ä.ö", "truncated or mistyped"),
    ],
)
def test_what_is_no_invitation_is_refused(line: str, message: str) -> None:
    """Anything else than a line of ours is a usage error that says so."""
    with pytest.raises(UsageError, match=message):
        parse_invitation(line)


@pytest.mark.parametrize(
    "change",
    [
        {"server_name": "../../etc"},
        {"server_name": ".hidden"},
        {"server_name": "a/b"},
        {"server_name": ""},
        {"vault_name": "a\nb"},
        {"server_device_id": "AAAAAAA-AAAAAAA"},
        {"server_device_id": SERVER_ID[:-1] + "A"},
        {"repository_id": "xyz"},
        {"fingerprint": "1234"},
        {"addresses": ["file:///etc/passwd"]},
        {"addresses": ["tcp://a b:1"]},
        {"folders": []},
        {"folders": [{"folder_id": "m", "kind": "media"}]},
        {"folders": [{"folder_id": "../x", "kind": "repository"}]},
        {"folders": [{"folder_id": "a", "kind": "repository"}, {"folder_id": "b", "kind": "repository"}]},
        {"secret": "short"},
        {"expires_at": "soon"},
        {"surplus": 1},
    ],
)
def test_a_hostile_line_is_refused(invitation: Invitation, change: dict[str, object]) -> None:
    """A well-formed line with a value that no server of ours would give is refused, naming the value's place."""
    document = {**invitation.model_dump(mode="json"), **change}
    with pytest.raises(UsageError, match="not valid"):
        parse_invitation(_line_of(document))


def _given(invitation: Invitation) -> GivenInvitation:
    return GivenInvitation(vault_name=invitation.vault_name, secret=invitation.secret, expires_at=invitation.expires_at)


def test_the_invited_vault_is_let_in_again_and_again(invitation: Invitation) -> None:
    """Who shows the proof is let in, and the same device again, should the first time have been cut short."""
    device = PendingDevice(VAULT_ID, invitation.proof_of(VAULT_ID), "")
    given = _given(invitation)
    used = given.model_copy(update={"used_by": VAULT_ID})
    for one in (given, used):
        verdict = judge(device, SERVER_ID, (one,), NOW)
        assert verdict is not None
        assert verdict.invitation == one


def test_a_stranger_is_not_judged(invitation: Invitation) -> None:
    """A device that shows no proof is none of our business."""
    for name in ("attic", "", "permafrost", PROOF_PREFIX[:-1]):
        assert judge(PendingDevice(VAULT_ID, name, ""), SERVER_ID, (_given(invitation),), NOW) is None


@pytest.mark.parametrize(
    ("proof", "refusal"),
    [
        (join_proof("ff" * 20, SERVER_ID, VAULT_ID, "attic"), "matches no invitation"),
        (join_proof("00112233445566778899" * 2, OTHER_ID, VAULT_ID, "attic"), "matches no invitation"),
        (join_proof("00112233445566778899" * 2, SERVER_ID, OTHER_ID, "attic"), "matches no invitation"),
        (join_proof("00112233445566778899" * 2, SERVER_ID, VAULT_ID, "cellar"), "matches no invitation"),
        (PROOF_PREFIX, "matches no invitation"),
        (PROOF_PREFIX + "ä" * 43, "matches no invitation"),
    ],
    ids=["secret", "server", "overheard", "name", "empty", "letters"],
)
def test_a_wrong_proof_is_refused(invitation: Invitation, proof: str, refusal: str) -> None:
    """A proof by another secret, or made for another server, device or name, is refused."""
    verdict = judge(PendingDevice(VAULT_ID, proof, ""), SERVER_ID, (_given(invitation),), NOW)
    assert verdict is not None
    assert verdict.invitation is None
    assert refusal in verdict.refusal


def test_used_and_expired_invitations_are_refused(invitation: Invitation) -> None:
    """An invitation that another device has used, or whose time is over, lets nobody in, and it is said which."""
    device = PendingDevice(VAULT_ID, invitation.proof_of(VAULT_ID), "")
    given = _given(invitation)
    used = judge(device, SERVER_ID, (given.model_copy(update={"used_by": OTHER_ID}),), NOW)
    expired = judge(device, SERVER_ID, (given,), given.expires_at)
    assert used is not None
    assert expired is not None
    assert (used.invitation, expired.invitation) == (None, None)
    assert "used already" in used.refusal
    assert "has expired" in expired.refusal


def test_given_invitations_are_kept_in_private(invitation: Invitation, tmp_path: Path) -> None:
    """Invitations are files 0600 in a folder 0700; use is remembered, old ones go, damaged ones count as none."""
    store = InvitationStore(tmp_path / "state" / "invitations")
    assert store.all() == ()
    store.add(invitation)
    (file,) = (tmp_path / "state" / "invitations").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    store.mark_used(store.all()[0], VAULT_ID)
    assert [one.used_by for one in store.all()] == [VAULT_ID]
    (file.parent / "half.json").write_text("{")
    assert len(store.all()) == 1
    store.forget_older_than(invitation.expires_at)
    assert len(store.all()) == 1
    store.forget_older_than(invitation.expires_at + timedelta(seconds=1))
    assert store.all() == ()
