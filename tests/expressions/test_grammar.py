"""The allow-list: what is refused, with a caret under the part at fault, and without running it."""

import pytest

from tests.cpu_time import cpu_seconds_below
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression


def complaint(source: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_expression(source, "data.yaml: selection")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("source", "carets", "why"),
    [
        ("pt > 2 and eta < 1", "^^^^^^^^^^^^^^^^^^", "write & or |"),
        ("not pt", "^^^^^^", "write ~"),
        ("pt if eta else phi", "^^^^^^^^^^^^^^^^^^", "np.where"),
        ("pt in (1, 2)", "^^^^^^^^^^^^", "(x == a) | (x == b)"),
        ("pt is None", "^^^^^^^^^^", "'is' is not allowed"),
        ("1 + (lambda: 2)", "     ^^^^^^^^^", "--custom-functions"),
        ("sum([x for x in pt])", "    ^^^^^^^^^^^^^^^", "loops are not allowed"),
        ("pt + {1: 2}", "     ^^^^^^", "Dict is not allowed"),
        ("{1, 2}", "^^^^^^", "Set is not allowed"),
        ("f'{pt}'", "^^^^^^^", "JoinedStr is not allowed"),
        ("(x := 2)", " ^^^^^^", "NamedExpr is not allowed"),
        ("pt @ eta", "^^^^^^^^", "MatMult is not allowed"),
        ("1 << 1000000000", "^^^^^^^^^^^^^^^", "LShift is not allowed"),
        (
            "__import__('os').system('true')",
            "^^^^^^^^^^^^^^^^^^^^^^^",
            "method 'system' is not allowed",
        ),
        ("__import__('os')", "^^^^^^^^^^", "no function '__import__'"),
        ("open('x')", "^^^^", "no function 'open'"),
        ("eval('1')", "^^^^", "no function 'eval'"),
        ("getattr(pt, 'a')", "^^^^^^^", "no function 'getattr'"),
        ("__builtins__", "^^^^^^^^^^^^", "names that begin with '__'"),
        ("pt.__class__", "^^^^^^^^^^^^", "attribute '__class__' is not allowed"),
        ("pt.layout", "^^^^^^^^^", "attribute 'layout' is not allowed"),
        ("2 * np.load('x.npy')", "    ^^^^^^^", "np.load is not allowed"),
        ("np.lib.format", "^^^^^^", "np.lib is not allowed"),
        ("ak.from_parquet('x')", "^^^^^^^^^^^^^^^", "ak.from_parquet is not allowed"),
        ("math.factorial(10)", "^^^^^^^^^^^^^^", "math.factorial is not allowed"),
        ("np", "^^", "'np' is a module"),
        ("np.sqt(pt)", "^^^^^^", "did you mean 'sqrt'"),
        ("np.pi(2)", "^^^^^", "np.pi is a number, not a function"),
        ("pt(2)", "^^", "no function 'pt'"),
        ("(pt + 1)(2)", " ^^^^^^", "only a named function can be called"),
        ("np.sqrt(pt, eta)", "^^^^^^^^^^^^^^^^", "sqrt takes 1 argument, not 2"),
        ("np.add(pt, eta, out=pt)", "^^^^^^^^^^^^^^^^^^^^^^^", "argument 'out' is not allowed"),
        ("np.round(pt, 0, pt)", "^^^^^^^^^^^^^^^^^^^", "argument 'out' is not allowed"),
        (
            "np.ones_like(pt, shape=10)",
            "^^^^^^^^^^^^^^^^^^^^^^^^^^",
            "argument 'shape' is not allowed",
        ),
        ("_pad(pt)", "^^^^^^^^", "missing a required argument: 'maxlen'"),
        ("_stack(*pt)", "       ^^^", "'*' is not allowed"),
        ("_pad(**pt)", "^^^^^^^^^^", "'**' is not allowed"),
        ("pt == 'text'", "      ^^^^^^", "str 'text' is not allowed here"),
        ("1j * pt", "^^", "complex 1j is not allowed"),
        ("[0] * 1000000000", "^^^", "not on lists"),
        ("pt + 9**9**9", "     ^^^^^^^", "more than 64 bits"),
        ("pt / (1 / 0)", "      ^^^^^", "division by zero"),
        (
            "µ + np.load",
            "    ^^^^^^^",
            "np.load is not allowed",
        ),  # a caret counts characters, not bytes
        ("np.linalg.norm(pt)", "^^^^^^^^^", "np.linalg is not allowed"),
        ("pt not in (1, 2)", "^^^^^^^^^^^^^^^^", "(x != a) & (x != b)"),
        ("sum(x for x in pt)", "   ^^^^^^^^^^^^^^^", "loops are not allowed"),
        ("1000000000 * [0]", "             ^^^", "not on lists"),
        ("np.add(pt)", "^^^^^^^^^^", "add takes 2 arguments, not 1"),
        (
            "ak.sum(pt, behavior=pt)",
            "^^^^^^^^^^^^^^^^^^^^^^^",
            "argument 'behavior' is not allowed",
        ),
        ("ak.sum(pt, attrs=pt)", "^^^^^^^^^^^^^^^^^^^^", "argument 'attrs' is not allowed"),
        # what is not allowed is found wherever it hides
        ("pt[:, open('x'):]", "      ^^^^", "no function 'open'"),
        ("ak.sum(pt, axis=open('x'))", "                ^^^^", "no function 'open'"),
        ("open('x').sum()", "^^^^", "no function 'open'"),
        ("np.add(pt, 1j)", "           ^^", "complex 1j is not allowed"),
        ("0 < pt < open('x')", "         ^^^^", "no function 'open'"),
        # the innermost operation at fault, not all that surrounds it
        ("2 + 1 / 0", "    ^^^^^", "1 / 0: division by zero"),
        ("(-9)**99999", "^^^^^^^^^^^", "more than 64 bits"),
        ("2**63 + 2**63", "^^^^^^^^^^^^^", "not a real number of at most 64 bits"),
        ("(-8)**0.5", "^^^^^^^^^", "not a real number"),
        ("1.5 & 2", "^^^^^^^", "1.5 & 2: "),
        ("np.hypot(pt)", "^^^^^^^^^^^^", "hypot takes 2 arguments, not 1"),
        ("np.clip(pt, 0, a_max=np.load)", "                     ^^^^^^^", "np.load is not allowed"),
        ("pt[:np.load]", "    ^^^^^^^", "np.load is not allowed"),
        ("2 * 9**9**9", "    ^^^^^^^", "more than 64 bits"),
        ("100000000000000000000 * pt", "^^^^^^^^^^^^^^^^^^^^^", "more than 64 bits"),
        ("pt + (-8)**0.5", "     ^^^^^^^^^", "not a real number"),
    ],
)
def test_what_is_not_allowed_is_shown_with_a_caret_under_it(source, carets, why):
    first, shown, pointer, allowed = complaint(source)
    assert first.startswith("data.yaml: selection: ")
    assert why in first
    assert (shown, pointer) == (f"  {source}".rstrip(), f"  {carets}")
    assert allowed.startswith("allowed: ")


@pytest.mark.parametrize(("source", "carets"), [("pt = 2", "   ^"), ("µ = 2", "  ^")])
def test_the_caret_stands_where_python_stops_to_understand(source, carets):
    assert complaint(source)[1:3] == [f"  {source}", f"  {carets}"]


def test_columns_in_arguments_by_name_and_in_slices_are_read_too():
    expression = parse_expression("np.clip(pt, 0, a_max=met)[:, first:]", "data.yaml: x")
    assert expression.names == {"pt", "met", "first"}


@pytest.mark.parametrize("source", ["pt + ", "import os", "pt = 2", "pt[0", "pt 2", "x\0"])
def test_what_is_no_expression_at_all_is_said_to_be_none(source):
    first, shown, *_ = complaint(source)
    assert "not an expression" in first
    assert shown == f"  {source}".rstrip()


@pytest.mark.parametrize(
    "bomb",
    [
        "9**9**9",
        "9**9**9**9",
        "-(9**9**9)",
        "(9**99)**9",
        "10**100",
        "1" * 400,
        "9**9**9 * pt",
        "np.sqrt(9**999999999)",
    ],
)
def test_numbers_that_would_take_for_ever_are_refused_at_once(bomb):
    with cpu_seconds_below(1):
        assert "64 bits" in complaint(bomb)[0]


def test_deep_and_long_expressions_are_refused_at_once():
    assert "deep" in complaint("+".join("x" * 1000))[0]
    assert any(
        word in complaint("(" * 5000 + "x" + ")" * 5000)[0]
        for word in ("deep", "not an expression")
    )
    assert "20000" in complaint("x" * 30_000)[0]


@pytest.mark.parametrize(
    "source",
    [
        "(pt > 20) & (abs(eta) < 2.5) | ~flag",
        "0.4 < dr < 3.5",
        "np.where(pt > 0, np.log(pt), -1)",
        "ak.num(pt) >= 2",
        "ak.sum(pt[abs(eta) < 2.4], axis=1)",
        "pt[:, 0] - pt[..., -1]",
        "_pad(pt, maxlen=128, value=0, dtype='float32')",
        "np.stack([np.cos(phi), np.sin(phi)], axis=1)",
        "_p4_from_ptetaphim(pt, eta, phi, mass).energy",
        "_p4_from_ptetaphim(pt, eta, phi, mass).deltaR(other)",
        "jets['fPt']",
        "numpy.hypot(px, py) * math.pi + awkward.num(pt)",
        "2**10 + 3.5**-2 + True",
    ],
)
def test_everyday_expressions_are_allowed(source):
    assert parse_expression(source, "data.yaml: selection").source == source


@pytest.mark.parametrize(("source", "pointer"), [("µ pt", "  ^"), ("2 µ", "  ^")])
def test_a_syntax_error_has_its_caret_under_the_character_where_it_was_found(source, pointer):
    _, shown, carets, *_ = complaint(source)
    assert (shown, carets) == (f"  {source}", f"  {pointer}")


def test_all_that_an_expression_reads_is_among_its_columns_wherever_it_stands():
    source = "x.sum() + _pad(a, maxlen=n)[:, b:c] + (d < e < f) + p.deltaR(other=q)"
    expression = parse_expression(source, "data.yaml: selection")
    assert expression.names == set("xanbcdefpq")


def test_the_longest_expression_and_the_largest_number_are_still_allowed():
    longest = "x" * 20_000
    assert parse_expression(longest, "data.yaml: selection").names == {longest}
    assert "20000 characters, found 20001" in complaint(longest + "x")[0]
    largest = "18446744073709551615"  # 2**64 - 1
    for source in (largest, f"{largest} + 0", "2**63", "10**18"):
        assert parse_expression(source, "data.yaml: selection").source == source
    assert "more than 64 bits" in complaint("18446744073709551616")[0]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Jet.PT > 20", r"a column 'Jet.PT' is written Jet_PT"),
        ("Jet/Jet.P4.fX", r"a column 'Jet.P4.fX' is written Jet_P4_fX"),
        ("track:pt > 20", r"a column 'track:pt' is written track_pt"),
        ("Jet#2.index > 0", r"a column 'Jet#2.index' is written Jet_2_index"),
    ],
)
def test_a_column_with_dots_or_colons_is_said_how_to_write(text, spelled):
    with pytest.raises(ConfigError, match=spelled):
        parse_expression(text, "data.yaml: selection")


def test_what_stands_behind_a_comment_sign_is_not_dropped_in_silence():
    # a block of a YAML, in which each line had its comment
    block = "(pt > 20)  # trigger\n& (abs(eta) < 2.5)"
    with pytest.raises(ConfigError, match="follows '#' is a comment and would not be read"):
        parse_expression(block, "data.yaml: selection")
    assert parse_expression('x["Jet#2"] > 0', "data.yaml").names == {"x"}


def test_the_caret_stands_under_its_part_in_the_middle_of_a_long_expression():
    shown = complaint(f"_hash({'pt, ' * 200}open(2){', pt' * 200})")
    line, carets = shown[1:3]
    place = carets.index("^")
    assert carets.count("^") == 4
    assert line[place : place + 4] == "open"
    assert (line[2], line[-1]) == ("…", "…")
    assert place == 2 + 1 + 300
