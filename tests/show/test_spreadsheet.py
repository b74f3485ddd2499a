"""What is written for a spreadsheet holds no formula, and numbers stay numbers."""

import csv
import io
import itertools
import re

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pandas import DataFrame, read_csv
from sampling import rounds

from beluga_nb.show.frame import frame
from beluga_nb.show.spreadsheet import harmless

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]
BEFORE = ["", "'", "''", " ", "\0", "\ufeff", "\u200b", "\xa0", " '", "\t"]
FORMULAS = [f"{before}{start}cmd|' /C calc'!A0" for before, start in itertools.product(BEFORE, STARTS)]
WAYS = {
    "csv": lambda table: table.to_csv(),
    "without an index": lambda table: table.to_csv(index=False),
    "tabs": lambda table: table.to_csv(sep="\t"),
    "quoted": lambda table: table.to_csv(quoting=csv.QUOTE_ALL),
    "a column": lambda table: table.iloc[:, 0].to_csv(),
    "a part": lambda table: table[table["n"] < 0].to_csv(),
    "by an index": lambda table: table.set_index(table.columns[0]).to_csv(),
    "groups": lambda table: table.groupby(table.columns[0]).n.sum().to_csv(),
    "groups of two": lambda table: table.groupby(list(table.columns[:2])).n.sum().to_csv(),
    "turned around": lambda table: table.T.to_csv(),
    "a copy": lambda table: table.copy().rename(columns=str).sort_values("n").to_csv(),
}


def cells(written, sign=","):
    """Each cell of a file, as a spreadsheet reads it."""
    return list(itertools.chain.from_iterable(csv.reader(io.StringIO(written, newline=""), delimiter=sign)))


def is_formula(cell):
    try:
        float(cell)
    except ValueError:
        seen = cell.lstrip(" \0\ufeff\u200b\u2060\xa0")
        return seen.startswith(tuple(STARTS))
    return False


@pytest.mark.parametrize("way", WAYS)
def test_no_cell_of_a_file_is_a_formula_wherever_it_stands(way):
    for formula in FORMULAS:
        inner = f'a,{formula}\t{formula}",{formula}'
        table = frame([{formula: formula, "x": inner, "n": -5}], [formula, "x", "n"])
        written = cells(WAYS[way](table), "\t" if way == "tabs" else ",")
        assert [cell for cell in written if is_formula(cell)] == []
        assert any("calc" in cell for cell in written)
        assert table.iloc[0, 0] == formula, "the table itself is as it was"


def test_numbers_stay_numbers():
    values = {
        "n": [-5, 3],
        "f": [-1.5e-9, 2.0],
        "none": [None, -1.0],
        "text": ["-5", "+1e3"],
        "b": [True, False],
    }
    rows = [dict(zip(values, each, strict=True)) for each in zip(*values.values(), strict=True)]
    again = read_csv(io.StringIO(frame(rows, list(values)).to_csv(index=False)))
    assert again["n"].tolist() == [-5, 3]
    assert again["f"].tolist() == [-1.5e-9, 2.0]
    assert again["none"].tolist()[1] == -1.0
    assert again["text"].tolist() == [-5, 1000]
    assert again["b"].tolist() == [True, False]


@settings(max_examples=rounds(50, 500))
@given(st.text(st.sampled_from("'=+-@ \t5a"), max_size=6))
def test_taking_one_apostrophe_away_gives_every_text_back(text):
    written = harmless(text)
    assert written in {text, f"'{text}"}
    changed = written.startswith("'") and harmless(written[1:]) == written
    assert (written[1:] if changed else written) == text


ENDS = ["\r", "\n", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
LINES = st.lists(
    st.sampled_from(
        [*ENDS, *BEFORE, "\u2060", "=", "+", "-", "@", "＝", "5", "a", ",", ";", '"', "=cmd|'!A0"]
    ),
    max_size=8,
).map("".join)


def as_pandas_reads(cell):
    """Pandas before 3 reads no further than a NUL."""
    return cell if int(pandas.__version__.partition(".")[0]) >= 3 else cell.partition("\0")[0]


@settings(max_examples=rounds(60, 1500), deadline=None)
@given(st.lists(LINES, min_size=1, max_size=3))
@example(["red\r=cmd|' /C calc'!A0"])
@example(["\n\n=1+1"])
def test_no_line_of_a_cell_is_a_formula_whatever_ends_it_and_reads_it(texts):
    table = frame([{"label": text, "prompt": f"a {text}"} for text in texts], ["label", "prompt"])
    written = table.to_csv(index=False)
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert [len(row) for row in rows] == [2] * (len(texts) + 1), "no text begins a row of its own"
    again = read_csv(io.StringIO(written), dtype=str, keep_default_na=False, skip_blank_lines=False)
    assert again.to_numpy().tolist() == [[as_pandas_reads(cell) for cell in row] for row in rows[1:]]
    lines = [line for row in rows for cell in row for line in cell.splitlines()]
    assert [line for line in lines if is_formula(line)] == []
    assert "\r" not in written
    bare = table.to_csv(index=False, quoting=csv.QUOTE_NONE, escapechar="\\")
    begun = [re.split(r"(?<!\\),", line)[0].replace("\\", "") for line in bare.splitlines()]
    assert [each for each in begun if is_formula(each)] == []


@settings(max_examples=rounds(50, 500))
@given(LINES)
def test_of_several_lines_taking_one_apostrophe_away_gives_each_back(text):
    written = harmless(text).split("\n")
    lines = re.split("|".join(map(re.escape, sorted(ENDS, key=len, reverse=True))), text)
    assert len(written) == len(lines)
    assert all(now in {line, f"'{line}"} for now, line in zip(written, lines, strict=True))


def test_what_is_written_is_read_back_by_pandas_as_the_documentation_says():
    texts = ["=1+1", "'=1+1", "it's", "'quoted'", "-5 degrees", "a fox", "@me"]
    written = frame([{"prompt": text} for text in texts], ["prompt"]).to_csv(index=False)
    again = read_csv(io.StringIO(written)).replace(r"^'(?=['\s]*[=+\-@])", "", regex=True)
    assert again["prompt"].tolist() == texts


def test_the_clipboard_gets_what_a_file_would(monkeypatch):
    copied = []
    monkeypatch.setattr("pandas.io.clipboard.clipboard_set", copied.append, raising=False)
    frame([{"prompt": "=1+1"}], ["prompt"]).to_clipboard()
    assert [cell for text in copied for cell in cells(text, "\t") if is_formula(cell)] == []
    assert copied


def test_a_table_of_a_grid_is_a_table_of_pandas():
    table = frame([{"prompt": "=1+1", "n": 1}], ["prompt", "n"])
    assert isinstance(table, DataFrame)
    assert table.equals(DataFrame([{"prompt": "=1+1", "n": 1}]))
    assert table.loc[0, "prompt"] == "=1+1"
