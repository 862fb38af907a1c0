"""services.permafrost: what a NixOS server gets, and what is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict

from permafrost.cli.main import main
from permafrost.config.loading import load_configuration
from tests.nix.evaluating import DEVICE_ID, HERE, MASTODON, NIX, STORE, Refused, evaluated, needs_nix, nix

pytestmark = needs_nix
ALONE = 'services.permafrost.enable = true; services.permafrost.settings.database.url = "postgresql:///x?host=/run/x";'
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
REMOTE = 'services.mastodon.database = { createLocally = false; host = "db.example"; port = 5433; user = "mastodon";'
REMOTE += ' name = "mastodon"; passwordFile = "/run/keys/db"; };'


def written(told: dict[str, Any], folder: Path) -> Path:
    """Write the configuration as it would be in /etc."""
    file = folder / "permafrost.toml"
    file.write_text(tomli_w.dumps(told["toml"]))
    return file


@pytest.mark.parametrize(
    "given",
    [
        MASTODON,
        ALONE,
        MASTODON + REMOTE,
        MASTODON + 'services.permafrost.passphraseFile = "/run/agenix/p";',
        MASTODON + f'services.permafrost.vaults.attic = {{ deviceId = "{DEVICE_ID}"; addresses = [ "tcp://h:1" ]; }};',
        MASTODON
        + 'services.permafrost.settings = { retention.daily = 30; schedule.backup = "*/5 * * * *";'
        + ' database.engine = null; web.listen = "127.0.0.1:8390"; };',
        MASTODON
        + f'services.permafrost.settings.encryption = {{ recipients = [ "{FINGERPRINT}" ]; recipients_dir = "/k"; }};',
    ],
)
def test_the_configuration_is_valid(given: str, tmp_path: Path) -> None:
    """What the module writes passes `config check --text-only`, which is also what the system's build runs."""
    told = evaluated(given)
    assert told["refused"] == []
    assert told["warnings"] == []
    words = ["config", "check", "--text-only", "--config", str(written(told, tmp_path))]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    [check] = told["checks"]
    assert check.splitlines()[0].split()[1:] == [*words[:-1], f"{STORE}permafrost.toml"]


def test_mastodon_is_all_it_takes(tmp_path: Path) -> None:
    """With services.mastodon, database, media, secrets, user and order follow from it."""
    told = evaluated(MASTODON)
    configuration = load_configuration(written(told, tmp_path))
    assert configuration.server.name == "social.example"
    assert conninfo_to_dict(configuration.database.url) == {
        "host": "/run/postgresql",
        "user": "mastodon",
        "dbname": "mastodon",
    }
    files = [file.name for file in configuration.secrets.files if file.name != "otp-secret"]  # until NixOS 25.05
    assert files == [
        "secret-key-base",
        "vapid-private-key",
        "vapid-public-key",
        "active-record-encryption-primary-key",
        "active-record-encryption-deterministic-key",
        "active-record-encryption-key-derivation-salt",
        ".secrets_env",
    ]
    assert configuration.media is not None
    assert str(configuration.media.path) == "/var/lib/mastodon/public-system"
    assert configuration.mastodon.layout == "nixos"
    unit = told["server"]
    assert (unit["service"]["User"], unit["service"]["Group"]) == ("mastodon", "mastodon")
    assert "mastodon-init-dirs.service" in unit["after"]
    assert {"postgresql.target", "postgresql.service"} & set(unit["after"]) & set(unit["wants"])
    assert f"{STORE}postgresql-with-extensions" in unit["path"]
    assert told["mayCreateDatabases"] == ["mastodon"]
    assert (told["users"], told["ports"]) == ({}, {"tcp": [], "udp": []})
    assert told["commands"] == [f"{STORE}permafrost"]


def test_secrets_follow_the_options() -> None:
    """Secrets that lie elsewhere, and extraEnvFiles, are what is backed up."""
    told = evaluated(MASTODON + 'services.mastodon.vapidPrivateKeyFile = "/run/keys/v";')
    assert "/run/keys/v" in told["toml"]["secrets"]["files"]
    assert "/var/lib/mastodon/secrets/vapid-private-key" not in told["toml"]["secrets"]["files"]
    told = evaluated(MASTODON + 'services.mastodon.extraEnvFiles = [ "/run/keys/env" ];')
    assert told["toml"]["secrets"]["files"][-1] == "/run/keys/env"


def test_without_mastodon_a_user_is_made() -> None:
    """Without Mastodon on the machine, the service has a user of its own, and database.url has to be given."""
    told = evaluated(ALONE)
    assert told["server"]["service"]["User"] == "permafrost"
    assert told["users"]["permafrost"]["isSystemUser"] is True
    assert told["groups"] == ["permafrost"]
    assert not told["mayCreateDatabases"]


def test_a_passphrase_is_a_credential() -> None:
    """A passphrase's file may be root's: only its path is in the unit, and it is no part of the configuration."""
    told = evaluated(MASTODON + 'services.permafrost.passphraseFile = "/run/agenix/p";')
    assert told["server"]["service"]["LoadCredential"] == ["passphrase:/run/agenix/p"]
    assert told["toml"]["encryption"]["passphrase_file"] == "credential:passphrase"
    assert "LoadCredential" not in evaluated(MASTODON)["server"]["service"]


def test_a_password_becomes_a_line_for_libpq(tmp_path: Path) -> None:
    """The bare password of a remote database is written where libpq reads it, whatever characters it has."""
    told = evaluated(MASTODON + REMOTE)
    url = conninfo_to_dict(told["toml"]["database"]["url"])
    assert url == {
        "host": "db.example",
        "port": "5433",
        "user": "mastodon",
        "dbname": "mastodon",
        "passfile": "/run/permafrost/pgpass",
    }
    service = told["server"]["service"]
    assert service["RuntimeDirectory"] == "permafrost"
    assert service["LoadCredential"] == ["database-password:/run/keys/db"]
    assert service["ExecStartPre"][0] == f"{STORE}permafrost-pgpass"
    script = nix(
        f'import {NIX}/passfile.nix {{ lib = import {HERE}/lib.nix; sed = "sed"; host = "db.example"; port = 5433;'
        f' user = "mastodon"; passfile = "{tmp_path}/pgpass"; }}'
    )
    (tmp_path / "database-password").write_text("a:b\\c d")
    environment = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(tmp_path)}
    subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, timeout=20)
    assert (tmp_path / "pgpass").read_text() == "db.example:5433:*:mastodon:a\\:b\\\\c d\n"
    assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("given", "tcp", "udp"),
    [
        ("", [22000], [21027, 22000]),
        (
            'services.permafrost.settings.syncthing.listen = [ "tcp://:22001" "quic4://0.0.0.0:22002" ];',
            [22001],
            [21027, 22002],
        ),
        ("services.permafrost.settings.syncthing.discovery = false;", [22000], [22000]),
    ],
)
def test_ports_are_those_it_listens_on(given: str, tcp: list[int], udp: list[int]) -> None:
    """The firewall opens the ports of permafrost's own Syncthing, if it is asked to."""
    told = evaluated(f"{MASTODON} services.permafrost.openFirewall = true; {given}")
    assert told["ports"] == {"tcp": tcp, "udp": udp}


def test_folders_elsewhere_can_be_written() -> None:
    """A repository on another disk is made, waited for and writable; one in a home opens the homes."""
    told = evaluated(MASTODON + 'services.permafrost.settings.repository.path = "/mnt/disk/repository";')
    unit = told["server"]
    assert "-/mnt/disk/repository" in unit["service"]["ReadWritePaths"]
    assert "/mnt/disk/repository" in unit["unit"]["RequiresMountsFor"]
    assert told["tmpfiles"]["permafrost"]["/mnt/disk/repository"]["d"]["user"] == "mastodon"
    assert unit["service"]["ProtectHome"] is True
    told = evaluated(MASTODON + 'services.permafrost.settings.repository.path = "/home/x/repository";')
    assert told["server"]["service"]["ProtectHome"] is False


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ("services.permafrost.enable = true;", "settings.database.url"),
        (
            MASTODON + f'services.permafrost = {{ passphraseFile = "/p"; settings.encryption.recipients ='
            f' [ "{FINGERPRINT}" ]; settings.encryption.recipients_dir = "/k"; }};',
            "passphraseFile",
        ),
        (
            MASTODON + 'services.permafrost.settings.encryption.passphrase_file = "/nix/store/x-passphrase";',
            "settings.encryption.passphrase_file",
        ),
        (
            MASTODON + f'services.permafrost.settings.encryption.recipients = [ "{FINGERPRINT}" ];',
            "settings.encryption.recipients_dir",
        ),
        (MASTODON + "services.permafrost.settings.syncthing.managed = false;", "settings.syncthing"),
        (MASTODON + 'services.permafrost.user = "backup";', "user"),
        (
            MASTODON + 'services.permafrost.user = "backup"; services.permafrost.settings.database.url ='
            ' "host=/run/postgresql user=mastodon dbname=mastodon";',
            "user",
        ),
        (MASTODON + 'services.permafrost.settings.repository.path = "/tmp/r";', "settings.repository.path"),
        (MASTODON + 'services.permafrost.settings.repository.path = "/var/tmp/r";', "settings.repository.path"),
        (MASTODON + 'services.permafrost.settings.state.path = "/tmp/s";', "settings.state.path"),
        (MASTODON + f'services.permafrost.vaults."At Tic".deviceId = "{DEVICE_ID}";', "vaults.At Tic"),
    ],
)
def test_what_cannot_work_is_refused(given: str, option: str) -> None:
    """A system that could not back up or would leak a secret is not built; the message begins with the option."""
    told = evaluated(given)
    assert [message.split(":")[0] for message in told["refused"]] == [f"services.permafrost.{option}"]


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ('passphraseFile = "/nix/store/x-p";', "passphraseFile"),
        ("passphraseFile = ./p;", "passphraseFile"),
        ('passphraseFile = "p";', "passphraseFile"),
        ('vaults.attic.deviceId = "nonsense";', "vaults.attic.deviceId"),
        (f'vaults.attic.deviceId = "{DEVICE_ID}\\n";', "vaults.attic.deviceId"),
        ('settings.server.name = "Social Example";', "settings.server.name"),
        ('settings.server.name = "../x";', "settings.server.name"),
    ],
)
def test_what_is_no_value_is_refused(given: str, option: str) -> None:
    """A value of the wrong kind ends the evaluation, with the option's name."""
    with pytest.raises(Refused, match=f"services.permafrost.{option}"):
        evaluated(f"services.mastodon.enable = true; services.permafrost = {{ enable = true; {given} }};")


@pytest.mark.parametrize(
    "given",
    [
        'services.postgresql.identMap = "m backup mastodon";',
        'services.permafrost.settings.database.url = "postgresql://mastodon@/mastodon?host=db.example";',
        'services.permafrost.settings.database.url = "host=db.example user=mastodon dbname=mastodon";',
        'services.permafrost.settings.database.url = "postgresql://mastodon@db.example/mastodon";',
    ],
)
def test_another_user_may_be_let_in(given: str) -> None:
    """A user whom the database's identMap names, or who comes by TCP, is not refused."""
    assert evaluated(f'{MASTODON} services.permafrost.user = "backup"; {given}')["refused"] == []


def test_drills_have_a_unit_of_their_own() -> None:
    """The service makes no namespaces and asks for drills by a socket that is its user's alone; the unit that may make
    some has no network, writes to the state folder only, and gets the passphrase but no password of a database.
    """
    told = evaluated(
        MASTODON
        + 'services.permafrost.passphraseFile = "/run/p"; services.mastodon.database.createLocally = false;'
        + 'services.mastodon.database.host = "db.example"; services.mastodon.database.passwordFile = "/run/d";'
    )
    server, drill, opened = told["server"], told["drill"]["service"], told["drillSocket"]
    assert server["service"]["RestrictNamespaces"] is True
    assert "mount" not in " ".join(server["service"]["SystemCallFilter"])
    (place,) = opened["listenStreams"]
    assert server["service"]["Environment"] == f"PERMAFROST_DRILL_SOCKET={place}"
    assert {"permafrost-drill.socket"} <= set(server["wants"]) & set(server["after"])
    assert opened["socketConfig"] == {"SocketUser": "mastodon", "SocketMode": "0600", "RemoveOnStop": True}
    assert "RestrictNamespaces" not in drill
    assert (drill["PrivateNetwork"], drill["RemoveIPC"], drill["ProtectHome"]) == (True, False, True)
    assert drill["ReadWritePaths"] == ["-/var/lib/permafrost/state"]
    assert drill["LoadCredential"] == ["passphrase:/run/p"]
    assert any("bubblewrap" in package for package in told["drill"]["path"])
    assert drill["ExecStart"].replace(" run-drill ", " run ") == server["service"]["ExecStart"]


@pytest.mark.parametrize(
    ("given", "home"),
    [
        ('state.path = "/home/x/state";', False),
        ('state.scratch = "/home/x/scratch";', False),
        ('repository.path = "/home/x/repository";', "read-only"),
    ],
)
def test_drills_reach_what_they_need(given: str, home: bool | str) -> None:
    """State folder and scratch can be written where they are, and a repository can be read, in a home too."""
    drill = evaluated(f"{MASTODON} services.permafrost.settings.{given}")["drill"]["service"]
    assert drill["ProtectHome"] == home
    folder = given.split('"')[1]
    assert (f"-{folder}" in drill["ReadWritePaths"]) == (home is False)


def test_a_server_without_drills_has_no_unit_for_them() -> None:
    """Where no drill is scheduled there is neither socket nor unit; without a sandbox the unit makes no namespaces."""
    told = evaluated(MASTODON + 'services.permafrost.settings.schedule.drill = "off";')
    assert told["drill"] is None
    assert told["drillSocket"] is None
    assert "Environment" not in told["server"]["service"]
    assert "permafrost-drill.socket" not in told["server"]["wants"]
    open_drill = evaluated(MASTODON + 'services.permafrost.settings.state.sandbox = "off";')["drill"]["service"]
    assert open_drill["RestrictNamespaces"] is True
    assert "mount" not in " ".join(open_drill["SystemCallFilter"])


def test_what_is_risky_is_warned_of(tmp_path: Path) -> None:
    """Media in an object store are not copied, and two Syncthings want one port: both are said when it is built."""
    told = evaluated(MASTODON + 'services.mastodon.extraConfig.S3_ENABLED = "true";')
    assert load_configuration(written(told, tmp_path)).media is None
    assert ["object store" in warning for warning in told["warnings"]] == [True]
    told = evaluated(MASTODON + "services.syncthing.enable = true;")
    assert ["port 22000" in warning for warning in told["warnings"]] == [True]
    listen = 'services.permafrost.settings.syncthing.listen = [ "tcp://:22001" ];'
    assert evaluated(f"{MASTODON} services.syncthing.enable = true; {listen}")["warnings"] == []
