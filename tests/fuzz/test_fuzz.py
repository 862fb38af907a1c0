"""Files of real runs, changed in every way: commands report, refuse or go on, and never break, hang or swell.

`--fuzz-cases 5000 --fuzz-seed anything` tries more; `--fuzz-first 17 --fuzz-cases 1` tries one case again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Media, Retention
from permafrost.config.writing import effective_toml
from permafrost.errors import DatabaseError
from permafrost.events import ignore_events
from permafrost.openpgp.home import stop_agent
from permafrost.operations.refresh_status import refresh_status
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.repository import Repository
from permafrost.runs import DRILL, RunRecords
from permafrost.vault.admission import InvitationStore
from permafrost.vault.invitation import Invitation
from tests.fixtures.backups import contents_of, drop, make_backup
from tests.fixtures.bucket_configuration import with_bucket
from tests.fixtures.delivery import make_stage
from tests.fixtures.media_list import media_row, publish_media_list
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import PASSPHRASE, MakeServer, Server, SigningKey
from tests.fixtures.written_receipt import write_receipt
from tests.fuzz.signed_lies import Signer

REFUSED_WELL = {0, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}
MOST_S, MOST_RESTORED = 20, 3


@dataclass(frozen=True)
class Ended:
    """How one command ended on one changed file."""

    case: int
    file: str
    how: str
    words: list[str]
    code: int
    wrote: str
    s: float

    def fault(self) -> str:
        """Return what is wrong with that, "" if nothing is."""
        is_emergency = self.words[0].endswith("restore.py")
        faults = {
            "exit code": self.code not in (REFUSED_WELL | {1} if is_emergency else REFUSED_WELL),
            "traceback": "Traceback" in self.wrote,
            "control characters": any(ord(one) < 32 and one not in "\n\t" for one in self.wrote),
            "time": self.s > MOST_S,
        }
        return ", ".join(kind for kind, is_there in faults.items() if is_there)


@dataclass(frozen=True)
class Hostility:
    """How else a case is made: a server with these keys lies in its `repository`, or something wrong is `typed`.

    `lies` is the share of the cases in which it does, `one_in` how many of the cases are run: some commands take long.
    """

    signer: Signer | None = None
    repository: str = ""
    lies: float = 1.0
    typed: str = ""
    one_in: int = 1


def fuzz(
    request: pytest.FixtureRequest,
    root: Path,
    files: list[Path],
    commands: list[list[str]],
    case: int | None = None,
    hostility: Hostility = Hostility(),
) -> list[Ended]:
    """Run the commands on `root` with one of the `files` in it changed, case after case; return how each ended.

    With `case`, only that one. The files are those of the first call.
    """
    pristine = root.with_name("pristine")
    if not pristine.exists():
        shutil.copytree(root, pristine, symlinks=True)
    plan = {
        "root": str(root),
        "pristine": str(pristine),
        "files": [str(file) for file in files],
        "commands": commands,
        "cases": -(-request.config.getoption("--fuzz-cases") // hostility.one_in) if case is None else 1,
        "seed": f"{request.config.getoption('--fuzz-seed')} {request.node.name}",
        **asdict(hostility),
        "first": request.config.getoption("--fuzz-first") if case is None else case,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.runner"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        pytest.fail(f"{ran.stdout.splitlines()[-1:]}\n{ran.stderr[-5000:]}")
    return [Ended(**json.loads(line)) for line in ran.stdout.splitlines()]


def assert_sound(ended: list[Ended]) -> None:
    """Fail with the first command of each kind that did not end as it must."""
    bad = {(one.words[0], one.wrote[-60:]): one for one in ended if one.fault()}
    text = "\n\n".join(
        f"case {one.case}: {one.how} in {one.file}, {one.s:.1f} s: {' '.join(one.words)}: {one.code}: {one.fault()}\n"
        f"{one.wrote[-1500:]}"
        for one in bad.values()
    )
    assert not bad, text


def files_below(root: Path, *folders: str) -> list[Path]:
    """Return the regular files below these folders of `root`, relative to it."""
    found = [file for name in folders for file in (root / name, *(root / name).rglob("*"))]
    return sorted(file.relative_to(root) for file in found if file.is_file() and not file.is_symlink())


@pytest.fixture
def server(make_server: MakeServer, database: str, invitation: Invitation, tmp_path: Path) -> Server:
    """A server with two snapshots, a history of runs, a receipt, an invitation and media."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE big AS SELECT i, md5(i::text) FROM generate_series(1, 3000) i")
    media = tmp_path / "media"
    media.mkdir()
    made = make_server(database, name="world", engine="log")
    changes = {"media": Media(path=media), "retention": Retention(last=1, hourly=3)}
    made = Server(made.configuration.model_copy(update=changes), made.repository, made.passphrase_file)
    make_backup(made)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM big WHERE i < 50; INSERT INTO big SELECT i, 'new' FROM generate_series(1, 9) i")
    make_backup(made, is_audited=True)
    state = made.configuration.state.path
    with RunRecords(state).recorded(DRILL, datetime.now(UTC)):
        pass
    InvitationStore(state / "invitations").add(invitation)
    write_receipt(made)
    refresh_status(made.configuration, ignore_events, datetime.now(UTC))
    (made.path.parent / "permafrost.toml").write_text(effective_toml(made.configuration))
    stop_agent(made.configuration.signing.gnupg_home)
    return made


def test_what_a_server_reads_of_its_own(server: Server, request: pytest.FixtureRequest) -> None:
    """Configuration, run records, ledger, status, receipts, invitations and declaration may be anything."""
    root = server.path.parent
    configured = f"--config={root / 'permafrost.toml'}"
    commands = [
        ["status", configured],
        ["status", configured, "--json"],
        ["config", "check", configured],
        ["config", "show", configured],
        ["snapshots", configured],
        ["prune", "--dry-run", configured],
    ]
    files = files_below(root, "state", "permafrost.toml", "passphrase", "repository/declared.json")
    files += [Path("permafrost.toml")] * len(files)
    assert_sound(fuzz(request, root, files, commands))


def test_what_somebody_hands_over(server: Server, request: pytest.FixtureRequest, database: str) -> None:
    """Whatever is changed in a repository, no command breaks, and nothing else than the snapshot is restored."""
    root = server.path.parent
    source = [f"--repository={server.path}", f"--passphrase-file={server.passphrase_file}"]
    into = ["--database=fuzzed", "--server=host=/nowhere"]
    commands = [
        ["snapshots", *source[:1]],
        ["verify", *source[:1]],
        ["restore", "latest", *source, *into],
        [str(server.path / "restore.py"), "list", *source],
    ]
    # a changed restore.py is somebody else's program, which nobody must run
    files = [file for file in files_below(root, "repository") if file.name != "restore.py"]
    ended = fuzz(request, root, files, commands)
    assert_sound(ended)
    unread = {one.case: one for one in ended if one.words[0] == "restore" and one.code not in (12, 13, 14)}
    assert {one.code for one in unread.values()} <= {DatabaseError.exit_code}, "nobody is at home in /nowhere"
    restored = 0
    for case in sorted(unread)[:: max(1, len(unread) // MOST_RESTORED)]:
        here = ["--database=fuzzed", f"--server={database}", "--runbook=/dev/null"]
        (tried,) = fuzz(request, root, files, [["restore", "latest", *source, *here]], case)
        assert tried.code == 0, tried
        restored += contents_of(conninfo_for(database, dbname="fuzzed")) == contents_of(database)
        drop(database, "fuzzed")
    assert restored >= 1


def signer_of(server: Server, root: Path) -> Signer:
    """Return the keys of a server, in a place of their own: what is changed is thrown away after each case."""
    home = root.with_name("keys")
    shutil.copytree(server.configuration.signing.gnupg_home, home, ignore=shutil.ignore_patterns("S.*"))
    passphrase_file = home / "passphrase"
    shutil.copy(server.passphrase_file, passphrase_file)
    return Signer(str(home), server.repository.fingerprint, str(passphrase_file))


def test_what_a_server_signs(server: Server, request: pytest.FixtureRequest) -> None:
    """Whatever a server with its keys signs and seals, no command breaks on it."""
    root = server.path.parent
    signer = signer_of(server, root)
    source = [f"--repository={server.path}", f"--passphrase-file={server.passphrase_file}"]
    commands = [
        ["snapshots", *source[:1]],
        ["verify", *source[:1]],
        ["restore", "latest", *source, "--database=fuzzed", "--server=host=/nowhere"],
        ["prune", "--dry-run", f"--config={root / 'permafrost.toml'}"],
        [str(server.path / "restore.py"), "list", *source],
        [str(server.path / "restore.py"), "manifest", *source],
    ]
    try:
        assert_sound(fuzz(request, root, [], commands, hostility=Hostility(signer, str(server.path))))
    finally:
        stop_agent(Path(signer.home))


def test_what_is_drilled(server: Server, request: pytest.FixtureRequest, server_folder: Path) -> None:
    """A drill of what somebody hands over, or of what a server has signed, proves it, or says what is wrong."""
    root = server.path.parent
    signer = signer_of(server, root)
    source = [f"--repository={server.path}", f"--passphrase-file={server.passphrase_file}"]
    commands = [["drill", "latest", *source, f"--scratch={server_folder}"]]
    files = [file for file in files_below(root, "repository") if file.suffix != ".py"]
    hostility = Hostility(signer, str(server.path), lies=0.7, one_in=5)
    try:
        assert_sound(fuzz(request, root, files, commands, hostility=hostility))
    finally:
        stop_agent(Path(signer.home))


def test_what_a_backup_finds(server: Server, request: pytest.FixtureRequest) -> None:
    """Whatever is in the state, the repository and the keys, a backup is made or refused, and verify works."""
    root = server.path.parent
    configured = f"--config={root / 'permafrost.toml'}"
    commands = [["backup", configured], ["verify", f"--repository={server.path}"]]
    files = files_below(root, "state", "repository", "passphrase", "gnupg")
    files += [file for file in files if file.parts[0] == "state"] * 3
    assert_sound(fuzz(request, root, files, commands, hostility=Hostility(one_in=3)))


def test_what_a_server_knows_of_its_vaults(server: Server, request: pytest.FixtureRequest) -> None:
    """Whatever is in Syncthing's folder and among invitations, vaults are listed, invited and let in, or an error."""
    root = server.path.parent
    server.write_configuration()
    configured = f"--config={root / 'permafrost.toml'}"
    assert_sound_command(["vault", "invite", "attic", "--no-wait", configured], root)
    commands = [
        ["vault", "list", configured],
        ["vault", "invite", "cellar", "--no-wait", configured],
        ["vault", "invitations", configured],
        ["vault", "accept", "--wait-for=0", configured],
    ]
    files = files_below(root, "syncthing", "state/invitations", "repository/declared.json")
    assert_sound(fuzz(request, root, files, commands, hostility=Hostility(one_in=10)))


def assert_sound_command(words: list[str], folder: Path) -> None:
    """Run a command that must do what it is for."""
    subprocess.run([sys.executable, "-m", "permafrost", *words], check=True, capture_output=True, cwd=folder)


def test_what_is_typed(server: Server, request: pytest.FixtureRequest) -> None:
    """Whatever a human types from the recovery sheet, or a program pipes, it is right or refused."""
    root = server.path.parent
    commands = [
        ["sheet", "prove", f"--config={root / 'permafrost.toml'}"],
        [
            "restore",
            "latest",
            f"--repository={server.path}",
            "--ask-passphrase",
            "--database=f",
            "--server=host=/nowhere",
        ],
    ]
    assert_sound(fuzz(request, root, [], commands, hostility=Hostility(typed=PASSPHRASE + "\n", one_in=2)))


def test_what_is_known_of_a_bucket(server: Server, request: pytest.FixtureRequest, object_store: ObjectStore) -> None:
    """Whatever is in the record and the report of a bucket, an upload continues, repairs it or refuses."""
    root = server.path.parent
    bucket = object_store.new_bucket(is_locked=True)
    file = with_bucket(server, object_store, bucket)
    configured = f"--config={file}"
    assert_sound_command(["bucket", "upload", "cellar", configured], root)
    commands = [
        ["bucket", "upload", "cellar", configured],
        ["verify", "--bucket", "cellar", configured],
        ["status", configured, "--json"],
    ]
    files = files_below(root, "state/buckets") * 8 + files_below(root, "bucket-credentials")
    assert_sound(fuzz(request, root, files, commands, hostility=Hostility(one_in=2)))


def test_what_a_hostile_server_sends(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, request: pytest.FixtureRequest
) -> None:
    """Whatever a server signs, lists and media lists, a vault's turn ends well and its history is read."""
    stage = make_stage(tmp_path / "world" / "vault", repository, signing_key)
    stage.clock.wall = datetime.now(UTC) - timedelta(hours=3)
    stage.vault.save()
    for _ in range(2):
        stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        stage.keep()
        stage.clock.pass_time(timedelta(hours=1))
    publish_media_list(stage, media_row(stage, "accounts/avatars/000/000/001/original/00112233445566aa.png", 100))
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    root = stage.vault.root
    commands = [
        ["turn", str(root)],
        ["vault", "history", f"--path={root}"],
        ["vault", "verify", f"--path={root}"],
        ["vault", "status", f"--path={root}"],
    ]
    signer = Signer(str(signing_key.home), signing_key.fingerprint, None)
    hostility = Hostility(signer, str(stage.received))
    assert_sound(fuzz(request, root.parent, [], commands, hostility=hostility))


def test_what_a_vault_reads(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, request: pytest.FixtureRequest
) -> None:
    """Settings, joined servers, records, receipts, what is received and what is kept may be anything."""
    stage = make_stage(tmp_path / "world" / "vault", repository, signing_key)
    stage.clock.wall = datetime.now(UTC) - timedelta(hours=3)
    stage.vault.save()
    for _ in range(2):
        stage.sender.snapshot(stage.clock.wall)
        stage.deliver()
        stage.keep()
        stage.clock.pass_time(timedelta(hours=1))
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    root = stage.vault.root
    commands = [
        ["vault", "status", f"--path={root}"],
        ["vault", "history", f"--path={root}"],
        ["turn", str(root)],
        ["vault", "verify", f"--path={root}"],
        ["vault", "status", f"--path={root}", "--json"],
    ]
    files = files_below(root.parent, "vault")
    files += [file for file in files if file.suffix in (".toml", ".sqlite")] * 6
    assert_sound(fuzz(request, root.parent, files, commands))
