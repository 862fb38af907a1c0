"""[[notify]] and [[hooks]]: what they accept, and what they refuse."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from permafrost.config.alerting import Notify, ReceiverKind
from permafrost.config.checking import check_files
from permafrost.config.loading import load_configuration, locate, parse_toml
from permafrost.config.models import Configuration
from permafrost.config.problems import InvalidFileError
from permafrost.config.writing import effective_toml
from permafrost.vault.settings import VaultSettings
from tests.fixtures.server import MakeServer

SERVER = """
[database]
url = "postgresql:///mastodon"
[encryption]
passphrase_file = "/etc/permafrost/passphrase"
"""


def configured(text: str) -> Configuration:
    """Return a server's configuration with `text` at its end."""
    return parse_toml(SERVER + text, Configuration, Path("permafrost.toml"))


def receiver(kind: ReceiverKind = "message", quiet_hours: str | None = None) -> Notify:
    """Return a receiver of that kind."""
    return Notify(name="phone", kind=kind, url_file=Path("/etc/permafrost/phone"), quiet_hours=quiet_hours)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[notify]]\nname = "a"\nurl_file = "/a"\nquiet_hours = "22-7"', "two times of day"),
        ('[[notify]]\nname = "a"\nurl_file = "/a"\nquiet_hours = "07:00-07:00"', "begins and ends at the same"),
        ('[[notify]]\nname = "a"\nurl_file = "/a"\njobs = ["backup"]', "jobs cannot be set with kind = 'message'"),
        ('[[notify]]\nname = "a"\nurl_file = "/a"\nkind = "url"\ndigest = "0 8 * * *"', "digest cannot be set"),
        ('[[notify]]\nname = "a"\nurl_file = "/a"\n[[notify]]\nname = "a"\nurl_file = "/b"', "the same name"),
        ('[[notify]]\nname = "a"\nurl_file = "/a"\nseverty = "alarm"', "notify.severity"),
        ('[[hooks]]\nwhen = "before"\ncommand = []', "at least 1 item"),
        ('[[hooks]]\nwhen = "during"\ncommand = ["true"]', "'before', 'after' or 'on-failure'"),
    ],
)
def test_what_is_refused(text: str, complaint: str) -> None:
    """A value that cannot be meant is refused when the file is read, with the reason."""
    with pytest.raises(InvalidFileError, match=complaint):
        configured(text)


def test_a_file_that_is_written_loads_again() -> None:
    """What `config show` and a vault write, with all defaults, is valid, for monitors too."""
    text = '[[notify]]\nname = "monitor"\nkind = "healthchecks"\nurl_file = "/a"\n'
    configuration = configured(text)
    assert parse_toml(effective_toml(configuration), Configuration, Path("shown.toml")) == configuration
    settings = parse_toml(f'name = "attic"\n{text}', VaultSettings, Path("vault.toml"))
    assert parse_toml(effective_toml(settings), VaultSettings, Path("vault.toml")) == settings
    with pytest.raises(InvalidFileError, match="a vault has no jobs"):
        parse_toml(f'name = "attic"\n{text}jobs = ["backup"]', VaultSettings, Path("vault.toml"))


def test_quiet_hours_may_span_midnight() -> None:
    """Quiet hours begin with their first minute and end before their last, also over midnight."""
    night = receiver(quiet_hours="22:00-07:00")
    assert [night.is_quiet_at(time(hour)) for hour in (21, 22, 0, 6, 7)] == [False, True, True, True, False]
    noon = receiver(quiet_hours="12:00-13:30")
    assert [noon.is_quiet_at(time(*at)) for at in ((11, 59), (12, 0), (13, 29), (13, 30))] == [False, True, True, False]
    assert not receiver().is_quiet_at(time(3))


def test_what_a_monitor_is_pinged_for() -> None:
    """A monitor is pinged for backups if nothing is said, on a vault for findings; a receiver of messages never."""
    monitor = receiver("healthchecks")
    assert monitor.pings_for("audit", on_a_vault=False)
    assert not monitor.pings_for("findings", on_a_vault=False)
    assert monitor.pings_for("findings", on_a_vault=True)
    assert not receiver().pings_for("backup", on_a_vault=False)


def test_a_url_that_others_can_read(make_server: MakeServer, tmp_path: Path) -> None:
    """The file with a receiver's URL is a secret: readable by others or in a carried folder, it is a problem."""
    server = make_server()
    file, secret = server.write_configuration(), tmp_path / "url"
    secret.write_text("json://localhost")
    secret.chmod(0o644)
    text = file.read_text()
    file.write_text(f'{text}[[notify]]\nname = "phone"\nurl_file = "{secret}"\n')
    (problem,) = locate(file, check_files(load_configuration(file)))
    assert problem.line == len(file.read_text().splitlines())
    assert "is open to other users" in str(problem)
    file.write_text(f'{text}[[notify]]\nname = "phone"\nurl_file = "{server.path}/url"\n')
    with pytest.raises(InvalidFileError, match="which Syncthing carries to the vaults"):
        load_configuration(file)
