from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from permafrost.config.known_keys import known_keys, nearest_keys
from permafrost.config.loading import load_configuration, load_toml, parse_toml
from permafrost.config.models import Configuration
from permafrost.config.problems import InvalidFileError
from permafrost.config.section import Section
from permafrost.config.writing import commented_toml, configuration_schema, effective_toml
from permafrost.errors import ConfigurationError

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"

# The contract's own example, with the engine of this version and the signing key that init adds.
CONTRACT = f"""\
[database]
url = "postgresql:///mastodon_production?host=/var/run/postgresql"   # libpq form; PG* variables are honoured
engine = "dump"
jobs = 2
[repository]
path = "/var/lib/permafrost/repository"
[state]
path = "/var/lib/permafrost/state"
[encryption]
passphrase_file = "/etc/permafrost/passphrase"    # mode 0400 or 0600, or it is refused
# recipients = ["FINGERPRINT", ...]               # with public keys in recipients_dir
[signing]
fingerprint = "{FINGERPRINT}"
[retention]                           # any may be left out
last = 6
hourly = 24
daily = 7
weekly = 4
monthly = 6
[secrets]
files = ["/home/mastodon/live/.env.production"]
[media]
path = "/home/mastodon/live/public/system"
ignore = ["/cache"]                   # remote media; Mastodon fetches it again
[schedule]                            # cron expressions, local time; "off" for none
backup = "40 * * * *"
audit = "30 3 * * *"
drill = "0 4 * * 0"
[syncthing]
managed = true                        # or url and api_key_file of a running one
home = "/var/lib/permafrost/syncthing"
gui = "127.0.0.1:8385"
listen = ["default"]
discovery = true
"""

SMALLEST = f"""\
[database]
url = "dbname=mastodon"

[encryption]
passphrase_file = "/etc/permafrost/passphrase"

[signing]
fingerprint = "{FINGERPRINT}"
"""


def problems_of(text: str, model: type[BaseModel] = Configuration) -> list[tuple[int | None, str, str]]:
    """Return line, key and message of each problem in `text`; the error shows each on a line of its own."""
    with pytest.raises(InvalidFileError) as caught:
        parse_toml(text, model, Path("/etc/permafrost.toml"))
    assert str(caught.value).count("\n") + 1 == len(caught.value.problems)
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


def test_the_contract_is_a_configuration(tmp_path: Path) -> None:
    """The example of the contract loads, and says what the defaults say where it repeats them."""
    file = tmp_path / "permafrost.toml"
    file.write_text(CONTRACT)
    configuration = load_configuration(file)
    assert configuration.media is not None
    small = parse_toml(SMALLEST, Configuration, file)
    assert configuration.retention == small.retention
    assert configuration.schedule == small.schedule
    assert configuration.syncthing == small.syncthing
    assert configuration.secrets.files == (Path("/home/mastodon/live/.env.production"),)


def test_all_problems_are_reported_at_once() -> None:
    """Each problem of a file has its line, key and reason; the misspelt key is not also called missing."""
    text = (
        "[database]\n"
        'ur1 = "dbname=mastodon"\n'
        "jobs = 0\n"
        "\n"
        "[encryption]\n"
        'passphrase_file = "passphrase"\n'
        "\n"
        "[retension]\n"
        "last = 1\n"
    )
    problems = {key: (line, message) for line, key, message in problems_of(text)}
    assert problems["database.ur1"] == (2, "there is no such key; the nearest is database.url")
    assert problems["database.jobs"][0] == 3
    assert problems["encryption.passphrase_file"] == (6, "must be an absolute path, not 'passphrase'")
    assert problems["retension"] == (8, "there is no such section; the nearest is [retention]")
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("database.passphrase_file", ("encryption.passphrase_file",)),
        ("syncthing.ulr", ("syncthing.url",)),
        ("path", ("repository.path", "state.path", "media.path")),
        ("retention.dayly", ("retention.daily",)),
        ("shedule", ("schedule",)),
        ("database.zzzzzz", ()),
    ],
)
def test_the_nearest_key_is_named(written: str, nearest: tuple[str, ...]) -> None:
    """A slip in a name, a right name in the wrong section and a misspelt section are recognised."""
    assert nearest_keys(written, tuple(known_keys(Configuration))) == nearest


def test_a_key_of_another_section_is_told() -> None:
    """A known key in the wrong section is answered with the section where it belongs."""
    text = SMALLEST.replace("[encryption]", 'gnupg_home = "/etc"\n\n[encryption]')
    assert problems_of(text) == [(4, "database.gnupg_home", "there is no such key; the nearest is signing.gnupg_home")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[database]\nurl == 1\n", 2, "invalid value"),
        ("[database\nurl = 1\n", 1, "expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\n", 2, "cannot overwrite a value"),
        (
            "\n\na = [1,\n",
            None,
            "invalid value by the end of the file: look for a string or an array that is not closed",
        ),
    ],
)
def test_a_syntax_error_has_its_line(text: str, line: int | None, message: str) -> None:
    """What is not TOML is refused with the line that tomllib tells, and with none where that would mislead."""
    assert problems_of(text) == [(line, "", message)]


def test_the_log_engine_is_the_default() -> None:
    """Rows are read by the log unless another engine is named; one that is not known is refused by both names."""
    assert parse_toml(SMALLEST, Configuration, Path("permafrost.toml")).database.engine == "log"
    text = SMALLEST.replace("[encryption]", 'engine = "lock"\n[encryption]')
    ((line, key, message),) = problems_of(text)
    assert (line, key) == (4, "database.engine")
    assert "'log' or 'dump'" in message


@pytest.mark.parametrize(
    ("gui", "is_valid"),
    [("127.0.0.1:8385", True), ("[::1]:8385", True), ("/run/permafrost/gui", True), ("8385", False), ("gui", False)],
)
def test_where_syncthing_answers(gui: str, *, is_valid: bool) -> None:
    """The interface is host and port, or a Unix socket's absolute path; nothing else."""
    text = SMALLEST + f'\n[syncthing]\ngui = "{gui}"\n'
    if is_valid:
        assert parse_toml(text, Configuration, Path("permafrost.toml")).syncthing.gui == gui
    else:
        assert [key for _, key, _ in problems_of(text)] == ["syncthing.gui"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://mastodon:hunter2@localhost/mastodon",
        "postgresql:///mastodon?password=hunter2",
        "dbname=mastodon password=hunter2",
        "postgresql:///mastodon?sslpassword=hunter2",
        "postgresql://mastodon:hunter2%zz@localhost/mastodon",
        "hunter2",
    ],
)
def test_a_password_in_the_url_is_refused_unseen(url: str) -> None:
    """A password in database.url is refused with a hint to passfile=, and is not repeated in the error."""
    ((line, key, message),) = problems_of(SMALLEST.replace("dbname=mastodon", url))
    assert (line, key) == (2, "database.url")
    assert "hunter2" not in message
    assert "passfile=" in message or "not a libpq" in message


def test_quoted_numbers_are_mistakes() -> None:
    """A number or truth value in quotes is refused; TOML has types of its own."""
    text = SMALLEST + '[retention]\nlast = "6"\n[syncthing]\nmanaged = "yes"\n'
    assert [key for _, key, _ in problems_of(text)] == ["retention.last", "syncthing.managed"]


@pytest.mark.parametrize(
    ("key", "addition"),
    [
        ("encryption.passphrase_file", '[repository]\npath = "/etc/permafrost"\n[state]\npath = "/s"\n'),
        ("state.path", '[state]\npath = "/var/lib/permafrost/repository/state"\n'),
        ("signing.gnupg_home", '[media]\npath = "/etc/permafrost/gnupg"\n'),
    ],
)
def test_secrets_in_carried_folders_are_refused(tmp_path: Path, key: str, addition: str) -> None:
    """A secret in a folder that Syncthing carries to the vaults makes the configuration invalid."""
    file = tmp_path / "permafrost.toml"
    file.write_text(SMALLEST + addition)
    with pytest.raises(InvalidFileError, match="carries to the vaults") as caught:
        load_configuration(file)
    assert key in {problem.key for problem in caught.value.problems}


def test_unreadable_files_have_their_own_errors(tmp_path: Path) -> None:
    """No file, a folder and a file that is not text are each told apart."""
    with pytest.raises(ConfigurationError, match="there is no file") as caught:
        load_configuration(tmp_path / "none.toml")
    assert "permafrost init" in caught.value.hint
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_configuration(tmp_path)
    file = tmp_path / "latin.toml"
    file.write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(InvalidFileError, match="line 2: is not UTF-8"):
        load_configuration(file)


class Shelf(Section):
    name: str


class VaultLike(Section):
    shelves: tuple[Shelf, ...]


def test_any_model_can_be_loaded(tmp_path: Path) -> None:
    """load_toml reads other models than the server's, with tables in arrays, and tells lines in them."""
    file = tmp_path / "vault.toml"
    file.write_text('[[shelves]]\nname = "one"\n\n[[shelves]]\nname = "two"\n')
    assert load_toml(file, VaultLike).shelves[1].name == "two"
    assert problems_of('[[shelves]]\nname = "one"\n[[shelves]]\nname = 2\n', VaultLike) == [
        (4, "shelves[1].name", "should be a valid string")
    ]


names = st.from_regex(r"/[a-z \"'#=\\]{1,8}", fullmatch=True)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    """Valid configurations, with names that need quoting."""
    document = {
        "database": {"url": draw(st.sampled_from(["dbname=a", "postgresql:///b?host=/run"])), "jobs": 3},
        "encryption": {"recipients": [FINGERPRINT], "recipients_dir": draw(names)}
        if draw(st.booleans())
        else {"passphrase_file": draw(names)},
        "signing": {"fingerprint": FINGERPRINT.lower()},
        "retention": draw(st.dictionaries(st.sampled_from(["last", "daily"]), st.integers(0, 9))),
        "secrets": {"files": draw(st.lists(names, max_size=3))},
        "syncthing": {"listen": draw(st.lists(st.text(max_size=5), max_size=2))},
    }
    if draw(st.booleans()):
        document["media"] = {"path": draw(names), "ignore": draw(st.lists(st.text(max_size=4), max_size=2))}
    return Configuration.model_validate(document)


@given(configurations())
def test_what_is_shown_loads_as_the_same(configuration: Configuration) -> None:
    """The configuration as shown, and as init writes it with comments, loads as an equal one."""
    file = Path("shown.toml")
    assert parse_toml(effective_toml(configuration), Configuration, file) == configuration
    commented = commented_toml(configuration, heading=("Made by a test.",), notes={"database": ("From\nhere.",)})
    assert parse_toml(commented, Configuration, file) == configuration


def test_the_schema_knows_every_key() -> None:
    """The JSON schema is JSON, refuses unknown keys and describes every key."""
    schema = json.loads(json.dumps(configuration_schema()))
    assert schema["additionalProperties"] is False
    for definition in schema["$defs"].values():
        assert definition["additionalProperties"] is False
        for name, key in definition["properties"].items():
            assert key.get("description"), name


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "{b=" * 5000, "[database]\nurl = " + "[" * 9999 + "]" * 9999]
)
def test_deep_nesting(tmp_path: Path, text: str) -> None:
    """Arrays and tables within each other, thousands deep, are a problem of the file, and no defect."""
    file = tmp_path / "permafrost.toml"
    file.write_text(text)
    with pytest.raises(InvalidFileError, match="nested too deeply"):
        load_configuration(file)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe and a device are refused, and neither waited for nor read; a link to a file is as the file."""
    pipe, link = tmp_path / "pipe.toml", tmp_path / "link.toml"
    os.mkfifo(pipe)
    for place in (pipe, Path("/dev/zero")):
        with pytest.raises(ConfigurationError, match="not a regular file"):
            load_configuration(place)
    file = tmp_path / "permafrost.toml"
    file.write_text("unknown = 1\n")
    link.symlink_to(file)
    with pytest.raises(InvalidFileError, match="unknown"):
        load_configuration(link)
