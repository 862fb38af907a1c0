from __future__ import annotations

import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from permafrost.config.key_lines import KeyPath, find_key_lines

bare_names = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
any_text = st.text(alphabet="ab #=[]{}.,'\"\\\n\t", max_size=12)
leaves = st.one_of(st.integers(0, 99), st.booleans(), any_text, st.lists(any_text, max_size=3))
inline_tables = st.dictionaries(bare_names, st.integers(0, 9), max_size=2)


def basic(text: str) -> str:
    """Write a text between double quotes."""
    return tomli_w.dumps({"v": text}).removeprefix("v = ").rstrip("\n")


def written_text(text: str, style: str) -> str:
    """Write a text in one of TOML's four ways, if it can be written so."""
    if style == "literal" and not set("'\n") & set(text):
        return f"'{text}'"
    if style == "long" and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    if style == "long basic":
        return '"""\n' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'
    return basic(text)


def written(value: object, style: str) -> str:
    """Write a value in one of TOML's many ways."""
    if isinstance(value, str):
        return written_text(value, style)
    if isinstance(value, list):
        separator = ", # ] = [x\n  " if style == "long" else ", "
        return "[" + separator.join(written(one, "basic") for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{basic(name)} = {written(one, style)}" for name, one in value.items()) + "}"
    return str(value).lower()


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML as a person may write it: comments, blanks, quoted and dotted names, all kinds of values."""
    styles = st.sampled_from(["basic", "literal", "long", "long basic"])
    fillers = st.sampled_from(["", "\n", "# [not.a.section]\n", "  \t\n# key = 1\n"])
    lines = []
    sections = draw(st.lists(bare_names, unique=True, max_size=4))
    for section in ["", *sections]:
        if section:
            opening, closing = draw(st.sampled_from([("[", "]"), ("[ ", " ] # ]]"), ("[[", "]]")]))
            lines.append(f"{opening}{section}{closing}\n")
        names = draw(st.lists(bare_names, unique=True, max_size=4))
        for name in names:
            if not section and name in sections:
                continue
            value = written(draw(st.one_of(leaves, inline_tables)), draw(styles))
            shown = draw(st.sampled_from([name, f'"{name}"', f"'{name}'", f"{name} . sub"]))
            lines.append(f"{draw(fillers)}{shown} = {value}\n")
    return "".join(lines)


def lookup(document: Any, path: KeyPath) -> bool:  # noqa: ANN401 - TOML of any shape
    """Return whether the document has something at `path`."""
    for part in path:
        held = dict(enumerate(document)) if isinstance(document, list) else document
        if part not in held:
            return False
        document = held[part]
    return True


def leaf_paths(document: Any, path: KeyPath = ()) -> list[KeyPath]:  # noqa: ANN401 - TOML of any shape
    """Return the paths of all values that are not tables."""
    if isinstance(document, dict):
        return [leaf for name, value in document.items() for leaf in leaf_paths(value, (*path, name))]
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return [leaf for index, value in enumerate(document) for leaf in leaf_paths(value, (*path, index))]
    return [path]


@given(documents())
def test_a_key_appears_on_the_line_that_is_told(text: str) -> None:
    """The text before a key's line does not have the key, and the text up to the next statement has it."""
    found = find_key_lines(text)
    lines = text.split("\n")
    starts = sorted({*found.keys.values(), *found.headers.values(), len(lines) + 1})
    for path, line in found.keys.items():
        before = tomllib.loads("\n".join(lines[: line - 1]))
        following = starts[starts.index(line) + 1]
        after = tomllib.loads("\n".join(lines[: following - 1]))
        assert not lookup(before, path)
        assert lookup(after, path)


@given(documents())
def test_every_value_has_a_line(text: str) -> None:
    """Every value that tomllib reads has a line, its own or that of the inline table around it."""
    found = find_key_lines(text)
    for path in leaf_paths(tomllib.loads(text)):
        assert any(path[:length] in found.keys for length in range(1, len(path) + 1))


@given(st.dictionaries(bare_names, st.dictionaries(st.text(max_size=5), leaves, max_size=4), max_size=4))
def test_generated_files_are_read_like_tomllib_reads_them(document: dict[str, dict[str, object]]) -> None:
    """In a file written by a library, exactly the keys that tomllib reads are found, whatever their names."""
    text = tomli_w.dumps(document)
    expected = {(section, name) for section, keys in document.items() for name in keys}
    assert set(find_key_lines(text).keys) == expected


def test_line_of_falls_back_to_what_is_around() -> None:
    """A path without a line of its own gets the line of the key or section around it, or none."""
    found = find_key_lines("top = 1\n\n[a.b]\nlist = [\n  1,\n  2,\n]\n\n[[many]]\n[[many]]\nname = 1\n")
    assert found.line_of(("a", "b", "list", 1)) == 4
    assert found.line_of(("a", "b", "gone")) == 3
    assert found.line_of(("many", 1, "name")) == 11
    assert found.line_of(("many", 1)) == 10
    assert found.line_of(("nowhere",)) is None


def test_marks_inside_of_values_do_not_mislead() -> None:
    """Brackets and quotes in comments, quotes at a text's end and tables inside of array tables are understood."""
    text = (
        "list = [ # it's [ one\n"
        '  1, # "two\n'
        "]\n"
        'long = """a"" b"""""\n'
        "raw = '''it''s'''''\n"
        "[[shelf]]\n"
        "[shelf.box]\n"
        "size = 1\n"
        "[[shelf]]\n"
        "[shelf.box]\n"
        "size = 2 # [end]\n"
    )
    assert leaf_paths(tomllib.loads(text)) == [
        ("list",),
        ("long",),
        ("raw",),
        ("shelf", 0, "box", "size"),
        ("shelf", 1, "box", "size"),
    ]
    assert find_key_lines(text).keys == {
        ("list",): 1,
        ("long",): 4,
        ("raw",): 5,
        ("shelf", 0, "box", "size"): 8,
        ("shelf", 1, "box", "size"): 11,
    }
