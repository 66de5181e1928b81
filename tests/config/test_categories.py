"""One line of a YAML for all categories of a column: particle types, quality flags."""

import awkward as ak
import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.deploy.preprocess import make_preprocess
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.elementwise import to_awkward
from weaver_tt.expressions.evaluate import evaluate


def config(*variables, **more):
    inputs = {"ne_features": {"length": 4, "vars": list(variables)}}
    return from_mapping({"inputs": inputs, **more}, source="jets.yaml")


def one_hot(categories, column="ne_id"):
    return {"one_hot": column, "categories": categories}


def values(data, name, ids):
    """What an expression made for a category is of jagged ``ids``."""
    column = evaluate(data.new_variables[name], {"ne_id": ak.Array(ids)})
    return ak.to_list(to_awkward(column))


def test_neutral_particles_of_table_6_3_of_the_thesis_become_unit_vectors():
    """1 and 2 stand for the forward calorimeter, 22 for photons, 130 for neutral hadrons."""
    data = config("ne_pt", one_hot([1, 2, 22, 130]), "ne_eta")
    names = ["ne_id_is_1", "ne_id_is_2", "ne_id_is_22", "ne_id_is_130"]
    assert data.input_dicts == {"ne_features": ["ne_pt", *names, "ne_eta"]}
    # an identity nobody listed, 310, is of no category
    vectors = [values(data, name, [[130, 1, 310], [], [22, 2]]) for name in names]
    assert vectors == [
        [[0, 1, 0], [], [0, 0]],
        [[0, 0, 0], [], [0, 1]],
        [[0, 0, 0], [], [1, 0]],
        [[1, 0, 0], [], [0, 0]],
    ]


def test_names_may_be_given_and_several_numbers_may_share_one():
    data = config(one_hot({"electron": [11, -11], "photon": 22}))
    assert data.input_dicts["ne_features"] == ["ne_id_is_electron", "ne_id_is_photon"]
    assert values(data, "ne_id_is_electron", [[11, -11, 22]]) == [[True, True, False]]


def test_a_negative_number_is_spelled_out_in_the_name():
    data = config(one_hot([-211, 211]))
    assert data.input_dicts["ne_features"] == ["ne_id_is_minus_211", "ne_id_is_211"]
    assert values(data, "ne_id_is_minus_211", [[-211, 211]]) == [[True, False]]


def test_categories_are_inputs_as_they_are_also_where_others_are_standardized():
    data = config("ne_pt", one_hot([22]), preprocess={"method": "auto"})
    centers = [variable.center for variable in data.inputs["ne_features"].variables]
    assert centers == ["auto", None]


def test_cpp_readers_find_each_category_by_its_name_without_a_transform():
    data = config(one_hot({"photon": 22}))
    group = make_preprocess(data, ["ne_features"], ["y"], [])["ne_features"]
    assert group["var_names"] == ["ne_id_is_photon"]
    assert group["var_infos"]["ne_id_is_photon"] == {
        "median": 0.0,
        "norm_factor": 1.0,
        "replace_inf_value": 0.0,
        "lower_bound": -1e32,
        "upper_bound": 1e32,
        "pad": 0.0,
    }


def test_the_yaml_with_statistics_keeps_the_line_and_is_read_back_the_same(tmp_path):
    data = config(["ne_pt", 1.5], one_hot([22, 130]))
    path = tmp_path / "run.auto.yaml"
    save_config(data, str(path), {})
    assert "one_hot: ne_id\n" in path.read_text()
    assert load_config(str(path)).inputs == data.inputs


def test_two_groups_may_share_a_line_and_other_new_variables_stay():
    vars_of_both = [one_hot([22])]
    inputs = {name: {"length": 4, "vars": vars_of_both} for name in ("a", "b")}
    data = from_mapping({"inputs": inputs, "new_variables": {"ne_id": "abs(raw_id)"}})
    assert set(data.new_variables) == {"ne_id", "ne_id_is_22"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            one_hot([]),
            r"jets.yaml: inputs.ne_features.vars.categories: expected a list of .* found ",
        ),
        (one_hot(None), "different whole numbers, .* found None"),
        (one_hot([22, 22]), "different whole numbers"),
        (one_hot({"a": [1, 2], "b": 2}), "different whole numbers"),
        (one_hot({"a": []}), "different whole numbers"),
        (one_hot([True]), "different whole numbers"),
        (one_hot([0.5]), "different whole numbers"),
        (one_hot(list(range(2000))), "at most 1000, found 2000"),
        (one_hot({"b jet": 5}), "a name is made of letters, digits and _, found 'b jet'"),
        (one_hot([1], "abs(ne_id)"), "vars.one_hot: expected the name of a column .* 'abs"),
        ({"categories": [1]}, "vars.one_hot: expected the name of a column .* found None"),
        ({"onehot": "ne_id"}, "unknown key 'onehot'; did you mean 'one_hot'"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(line, message):
    with pytest.raises(ConfigError, match=message):
        config(line)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ConfigError, match=r"new_variables.ne_id_is_22: .* rename it"):
        config(one_hot([22]), new_variables={"ne_id_is_22": "ne_id > 22"})
    with pytest.raises(ConfigError, match="'ne_id_is_22' is listed 2 times"):
        config(one_hot([22]), "ne_id_is_22")
