"""Strict reading: each trap of YAML is one clear fault at its place."""

import contextlib
from pathlib import Path

import pytest

from harness.scenario import Mark, ScenarioError
from harness.scenario.reader import (
    MAX_BYTES,
    MAX_DEPTH,
    Leaf,
    Mapping,
    Sequence,
    Source,
    read_source,
    read_tree,
)


def tree_of(text: str) -> Mapping:
    source = Source(Path("x.race.yaml"), text)
    tree = read_tree(source)
    source.raise_faults()
    assert isinstance(tree, Mapping)
    return tree


def faults_of(text: str) -> list[tuple[int, int, str]]:
    source = Source(Path("x.race.yaml"), text)
    with contextlib.suppress(ScenarioError):
        read_tree(source)
    return [(one.mark.line, one.mark.column, one.message) for one in source.faults]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("3", 3),
        ("-1", -1),
        ("0", 0),
        ("0.5", 0.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("granted", "granted"),
        ("'on'", "on"),
        ('"1:30"', "1:30"),
        ('"007"', "007"),
        ("200ms", "200ms"),
        ("2s", "2s"),
        ("Nobody", "Nobody"),
    ],
)
def test_a_scalar_means_one_thing(written: str, meant: object) -> None:
    leaf = tree_of(f"key: {written}\n").items["key"]
    assert isinstance(leaf, Leaf)
    assert (leaf.value, type(leaf.value)) == (meant, type(meant))


@pytest.mark.parametrize(
    "written",
    [
        "on",
        "off",
        "yes",
        "No",
        "TRUE",
        "False",
        "Null",
        "1:30",
        "0x1F",
        "017",
        "1_000",
        "1e3",
        "+5",
        ".5",
        ".inf",
        "2016-05-12",
    ],
)
def test_what_yaml_1_1_reads_otherwise_is_a_fault(written: str) -> None:
    found = faults_of(f"a: 1\nkey: {written}\n")
    assert [place[:2] for place in found] == [(2, 6)]
    assert written in found[0][2]
    assert "quotes" in found[0][2]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, 'the key "a" stands here twice'),
        ("a: {b: 1, b: 2}\n", 1, 11, 'the key "b" stands here twice'),
        ("a:\n", 1, 1, '"a" has no value'),
        ("a: [1, , 2]\n", 1, 8, "is not YAML"),
        ("a: &x 1\n", 1, 4, "anchors (&name)"),
        ("a: [1, *x]\n", 1, 8, "aliases (*name)"),
        ("a: !!python/object:os.system {}\n", 1, 4, "tags (!name)"),
        ("a: {<<: 1}\n", 1, 5, "merge keys"),
        ("? [1, 2]\n: 3\n", 1, 3, "a key must be a name"),
        ("1: 2\n", 1, 1, "a key must be a name"),
        ("on: 2\n", 1, 1, "on may mean true or false"),
        ("a: {? : 2}\n", 1, 7, "a value without a key"),
        ("a:\n- \n", 2, 2, "an empty list entry"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document"),
        ("a: {when: believes(A, c1)}\n", 1, 11, "an unquoted comma in a call"),
        ("a: {when: x.granted and count(p.granted, q.granted) == 1}\n", 1, 11, "an unquoted comma in a call"),
        ("a: [x, lists(a, c1), y]\n", 1, 8, "an unquoted comma in a call"),
        ("a: {b, c: 1}\n", 1, 5, '"b" has no value'),
        ("a: 'x\n", 2, 1, "is not YAML"),
        ("a: b: c\n", 1, 5, "is not YAML"),
        ("\ta: 1\n", 1, 1, "is not YAML"),
        ("a: \x07\n", 1, 1, "is not YAML"),
        ("", 1, 1, "is empty"),
        ("# nothing\n", 1, 1, "is empty"),
    ],
)
def test_a_fault_is_told_at_its_place(text: str, line: int, column: int, message: str) -> None:
    found = faults_of(text)
    assert [fault for fault in found if fault[0] == line and fault[1] == column and fault[2].startswith(message)], found


def test_all_faults_are_found_not_only_the_first() -> None:
    assert [fault[0] for fault in faults_of("a: on\nb: 1:30\nc: {d: f(x, y)}\na: 2\n")] == [1, 2, 3, 4]


def test_marks_count_from_one_and_know_quotes() -> None:
    tree = tree_of("a:\n  - {b: 'x y'}\nc: |\n  one\n  two\n")
    inner = tree.items["a"]
    assert isinstance(inner, Sequence)
    assert isinstance(inner.items[0], Mapping)
    quoted = inner.items[0].items["b"]
    assert isinstance(quoted, Leaf)
    assert (quoted.mark.line, quoted.mark.column, quoted.offset, quoted.one_line) == (2, 9, 1, True)
    block = tree.items["c"]
    assert isinstance(block, Leaf)
    assert (block.value, block.one_line) == ("one\ntwo\n", False)


def test_aliases_cannot_unfold() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"k{n}: &b{n} [*a, *a]\n" for n in range(30))
    found = faults_of(bomb)
    assert any("aliases" in message for _, _, message in found)
    assert len(found) < 5


def test_depth_is_limited() -> None:
    found = faults_of("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert "nested deeper" in found[0][2]
    assert "nested deeper" in faults_of("a: " + "{b: " * 100_000)[0][2]


def test_the_number_of_values_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.scenario.reader.MAX_NODES", 1_000)
    assert faults_of("a: [" + "1," * 997 + "]\n") == []
    assert faults_of("a: [" + "1," * 998 + "]\n")[0][2] == "more than 1,000 values"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.race.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ScenarioError, match=f"larger than {MAX_BYTES:,} bytes"):
        read_source(path)


def test_a_file_that_is_no_text_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.race.yaml"
    path.write_bytes(b"format: 1\nsummary: \xff\xfe\n")
    with pytest.raises(ScenarioError, match=r"x\.race\.yaml:2:1: is not UTF-8"):
        read_source(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="No such file"):
        read_source(tmp_path / "none.race.yaml")


def test_a_fault_shows_the_line_and_a_caret_and_no_control_characters() -> None:
    source = Source(Path("x.race.yaml"), "summary: \x1b[31mred on\n")
    source.fault(Mark(1, 20), "bad \x1b thing", "good")
    assert str(source.faults[0]).splitlines() == [
        'x.race.yaml:1:20: bad ? thing; did you mean "good"?',
        "    summary: ?[31mred on",
        "    " + " " * 19 + "^",
    ]
