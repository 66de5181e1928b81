"""Readable names: formulas and units."""

import pytest

from weaver_tt.figures.names import html_text, in_words, plain_text, unit_of, without_unit


@pytest.mark.parametrize(
    ("text", "plain", "html"),
    [
        ("top quark", "top quark", "top quark"),
        ("jet $p_T$ [GeV]", "jet pT [GeV]", "jet p<sub>T</sub> [GeV]"),
        (r"$\eta^{gen}$", "ηgen", "η<sup>gen</sup>"),
        (r"$H \to b\bar{b}$", "H → bb", "H → bb"),
        (r"$H \to \ell\nu$", "H → ℓν", "H → ℓν"),
        (r"$\Lambda_{\mathrm{QCD}}$ < 1", "ΛQCD < 1", "Λ<sub>QCD</sub> &lt; 1"),
        ("jet_pt", "jet_pt", "jet_pt"),
    ],
)
def test_formulas_become_letters(text, plain, html):
    assert plain_text(text) == plain
    assert html_text(text) == html


def test_in_a_sentence_there_is_neither_unit_nor_formula():
    names = {"jet_pt": "jet $p_T$ [GeV]"}
    assert in_words("jet_pt", names) == "jet pT"
    assert in_words("jet_eta", names) == "jet_eta"


def test_a_unit_stands_in_brackets_at_the_end():
    assert unit_of("jet $p_T$ [GeV]") == "GeV"
    assert without_unit("jet $p_T$ [GeV]") == "jet $p_T$"
    assert unit_of("mass [GeV] of the jet") == ""
    assert without_unit("mass") == "mass"
