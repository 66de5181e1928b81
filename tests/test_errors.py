"""Error messages name the nearest valid choice."""

from weaver_tt.errors import ConfigError, DataError, WeaverError, nearest, unknown_key


def test_a_misspelt_name_is_met_with_the_nearest_known_one():
    assert nearest("jet_ptt", ["jet_pt", "met_phi"]) == "did you mean 'jet_pt'?"


def test_case_alone_is_seen_as_a_misspelling():
    assert nearest("EVENTS", ["Events", "Runs"]) == "did you mean 'Events'?"


def test_without_a_close_name_the_known_ones_are_listed_up_to_a_limit():
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert (
        nearest("zzz", [f"name{i}" for i in range(5)], most=2) == "known: name0, name1, … (3 more)"
    )


def test_nothing_known_is_said_plainly():
    assert nearest("x", []) == "there are none to choose from"


def test_an_unknown_key_is_a_configuration_error_that_says_where():
    error = unknown_key("lenght", ["length", "vars"], "cfg.yaml: inputs.jets")
    assert isinstance(error, ConfigError)
    assert isinstance(error, WeaverError)
    assert str(error) == "cfg.yaml: inputs.jets: unknown key 'lenght'; did you mean 'length'?"


def test_a_message_of_any_length_keeps_its_beginning_and_its_hint():
    error = DataError(f"x.yaml: length: found {[1] * 10**6}; write a number\nsecond line")
    first, second = str(error).splitlines()
    assert first.startswith("x.yaml: length: found [1, 1")
    assert "(3000038 characters)" in first
    assert first.endswith("1, 1]; write a number")
    assert len(first) < 1000
    assert second == "second line"
    many = str(DataError("\n".join(map(str, range(1000))))).splitlines()
    assert (len(many), many[-1]) == (301, "… (700 more lines)")


def test_a_name_of_a_million_characters_is_met_in_no_time():
    assert "known: length" in str(unknown_key("x" * 10**6, ["length"], "cfg.yaml"))
