"""The JSON schema of the data YAML, with which an editor completes its keys and marks wrong ones.

Its keys are those of the tables that check a YAML when it is loaded: a key that is new there and
has no values here is a KeyError. What only the data can tell, and what an expression means, is left
to ``weaver-tt check``. It is committed as ``data_configs/schema.json``, beside the examples that
name it; ``python tests/run/test_yaml_schema.py`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weaver_tt.config import (
    categories,
    corrected_output,
    decorrelation,
    density_ratio,
    inputs,
    labels,
    load,
    reweighting,
    row_objects,
    targets,
)
from weaver_tt.config.schema import REPORT_COLUMNS
from weaver_tt.tasks.registry import TASKS, task_options

Schema = dict[str, Any]


def value(what: str, *types: str) -> Schema:
    """A value of one of these ``types``, or none: a key without a value says nothing."""
    return {"description": what, "type": [*types, "null"]}


def either(what: str, *schemas: Schema) -> Schema:
    """A value of one of several forms, or none."""
    return {"description": what, "anyOf": [*schemas, {"type": "null"}]}


def number(what: str) -> Schema:
    """A number: YAML 1.1 takes 1e-3 for text."""
    return value(what, "number", "string")


def expression(what: str) -> Schema:
    """An expression of columns, which may be a number."""
    return value(what, "string", "number", "boolean")


def choice(what: str, choices: Iterable[str]) -> Schema:
    """One of several words."""
    return {"description": what, "enum": [*choices, None]}


def names(what: str) -> Schema:
    """A list of names; one name need not be in a list."""
    return either(what, {"type": "string"}, {"type": "array", "items": {"type": "string"}})


def numbers(what: str) -> Schema:
    """A list of numbers."""
    return {"description": what, "type": ["array", "null"], "items": {"type": ["number", "string"]}}


def keys(what: str, known: Iterable[str], values: Mapping[str, Schema]) -> Schema:
    """A mapping with the ``known`` keys alone, of these ``values``."""
    return {
        "description": what,
        "type": ["object", "null"],
        "properties": {key: values[key] for key in known},
        "additionalProperties": False,
    }


def mapping(what: str, of: Schema) -> Schema:
    """A mapping with any names as keys."""
    return {"description": what, "type": ["object", "null"], "additionalProperties": of}


def data_yaml_schema() -> Schema:
    """The schema of a whole data YAML, draft 7."""
    values = {
        "treename": value("the ROOT tree, RNTuple or HDF5 group, of files with several", "string"),
        "rows": _rows(),
        "branch_magic": mapping(
            "text -> replacement, applied to names to find columns in the file",
            {"type": ["string", "null"]},
        ),
        "file_magic": mapping(
            "new column -> {pattern of the file's path, or NAME: of its group: value}",
            mapping("pattern -> value", number("the value")),
        ),
        "selection": expression("rows to train and validate on"),
        "test_time_selection": expression("rows to predict; those of `selection` by default"),
        "object_selection": mapping("input group -> objects to keep", _object_selection()),
        "new_variables": mapping(
            "name -> expression, in any order", expression("of columns and other new variables")
        ),
        "preprocess": _preprocess(),
        "inputs": mapping("the inputs of the network: group -> its variables", _input_group()),
        "labels": either(
            "what is to be learnt: a section, or a list of them for labels of several types",
            _labels(),
            {"type": "array", "items": _labels()},
        ),
        "observers": names("columns that are copied to the prediction file; `name?` where present"),
        "monitor_variables": names("columns for the training loop, not for the network"),
        "event_weight": expression("a weight of each row in loss and metrics, of either sign"),
        "weights": _weights(),
        "bucketing": _bucketing(),
        "task": _task(),
        "derived_outputs": mapping("name -> what is computed of outputs and columns", _derived()),
        "discriminants": mapping(
            "groups of classes (lists), and shares of their scores such as top / (top + QCD)",
            either("a group, or a share", {"type": ["string", "array"]}),
        ),
        "report": keys(
            "columns of the prediction file that `weaver-tt report` measures",
            REPORT_COLUMNS,
            {name: expression(what) for name, what in REPORT_COLUMNS.items()},
        ),
        "names": mapping(
            "class or variable -> what figures call it, such as jet $p_T$ [GeV]",
            value("the text", "string"),
        ),
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "weaver_tt data YAML"}
    what = "which columns to read, how they become tensors, and what is to be learnt"
    return head | keys(what, load.KEYS, values)


def _rows() -> Schema:
    columns = names("patterns of the columns; those that begin with the name by default")
    link = {
        "columns": columns,
        "owner": value("column: of each linked object, the place of its row's object", "string"),
        "index": value("column: the places of linked objects", "string"),
        "begin": value("column: where the range of linked objects begins", "string"),
        "end": value("column: where the range ends", "string"),
        "identity": value("column of the linked objects that `index` has values of", "string"),
    }
    values = {
        "objects": value("the collection whose objects are rows, such as Jet", "string"),
        "columns": columns,
        "linked": mapping(
            "collections that belong to the rows", keys("how", row_objects.LINKED, link)
        ),
    }
    return keys("the objects of each event that are rows", row_objects.ROWS, values)


def _object_selection() -> Schema:
    selection = expression("true for objects to keep")
    values = {
        "selection": selection,
        "columns": names("patterns of the columns that are filtered together"),
        "index_columns": names("the columns that hold places of these objects"),
    }
    return either("objects to keep", selection, keys("more of it", load.OBJECT_SELECTION, values))


def _preprocess() -> Schema:
    params = {
        "length": value("as in inputs", "integer"),
        "pad_mode": choice("as in inputs", inputs.PAD_MODES),
        "center": number("subtracted first"),
        "scale": number("multiplied with"),
        "min": number("clipped below"),
        "max": number("clipped above"),
        "pad": number("where there is no object"),
        "pad_value": number("where there is no object"),
    }
    values = {
        "method": choice("auto: center and scale from the training data", load.METHODS),
        "data_fraction": number("share of the training rows that they are computed from"),
        "params": mapping(
            "numbers that training computed", keys("of a variable", inputs.PARAMS, params)
        ),
        "fingerprint": value("written by training", "string"),
    }
    return keys("how inputs are scaled", load.PREPROCESS, values)


def _input_group() -> Schema:
    fields = [
        {"description": "name", "type": "string"},
        number("center: a number, auto, or null for the raw value"),
        *(number(field) for field in inputs.VARIABLE_FIELDS[1:]),
    ]
    listed = {
        "description": f"[name, {', '.join(inputs.VARIABLE_FIELDS)}]",
        "type": "array",
        "items": fields,
        "minItems": 1,
        "additionalItems": False,
    }
    one_hot = {
        "one_hot": value("a column of kinds, such as PDG numbers", "string"),
        "categories": value("[number, ...] or {name: number or list}", "array", "object"),
    }
    line = keys("a 0/1 input for each category", categories.KEYS, one_hot)
    variable = {"anyOf": [{"type": "string"}, listed, {**line, "type": "object"}]}
    values = {
        "length": {
            "description": "objects kept of each row; null for one value a row",
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": inputs.MAX_LENGTH,
        },
        "pad_mode": choice("constant, or wrap to repeat objects", inputs.PAD_MODES),
        "vars": {
            "description": "the variables: NAME or [NAME, center, scale, min, max, pad]",
            "type": "array",
            "items": variable,
            "minItems": 1,
        },
    }
    return keys("a tensor of the network", inputs.GROUP, values)


def _labels() -> Schema:
    values = {
        "type": choice("simple: classes, custom: targets, per_object: of objects", labels.KINDS),
        "value": either(
            "the classes, or name -> expression",
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            mapping("targets", expression("a target")),
        ),
        "group": value("the input group whose objects are labelled", "string"),
        "classes": either(
            "of a label that is the number of a class: names of 0, 1, ..., or how many there are",
            {"type": "integer"},
            {"type": "array", "items": {"type": "string"}},
        ),
    }
    return keys("what is to be learnt", labels.KEYS, values)


def _weights() -> Schema:
    values = {
        "mode": choice("sampling: how often a row comes; loss: its weight", reweighting.MODES),
        "signed": value("rows of negative weight are sampled, and count -1", "boolean"),
        "use_precomputed_weights": value("weights are columns of the files", "boolean"),
        "weight_branches": names("these columns, which are multiplied"),
        "reweight_method": choice("the spectrum that is reached", reweighting.METHODS),
        "target": expression("the density that is reached, of method target"),
        "reweight_vars": mapping("variable -> bin edges", numbers("increasing edges")),
        "reweight_classes": names("0/1 columns of the classes; the first is the reference"),
        "class_weights": numbers("how much of each class"),
        "reweight_threshold": number("percentile of the bins that limits the weights"),
        "reweight_discard_under_overflow": value(
            "rows outside of the bins are left out", "boolean"
        ),
        "reweight_basewgt": expression("multiplies the weight of a row"),
        "reweight_hists": mapping("written by training", {"type": "array"}),
        "measured": keys(
            "written by training",
            reweighting.SUMMARY,
            {
                "rows": number("rows that were looked at"),
                "mean": number("their mean weight"),
                "kept": number("the mean of the weights cut at 1"),
                "fingerprint": value("of what it depends on", "string"),
            },
        ),
    }
    return keys("how often rows are sampled, or weighted", reweighting.WEIGHTS, values)


def _bucketing() -> Schema:
    values = {
        "var": value("a column with one number for each row", "string"),
        "bins": either(
            "how many buckets of equal numbers of rows, or edges",
            {"type": "integer"},
            numbers("edges"),
        ),
        "edges": numbers("written by training"),
        "fingerprint": value("written by training", "string"),
    }
    return keys("batches of rows of similar size", reweighting.BUCKETING, values)


def _task() -> Schema:
    options = {
        "watch": value("the metric that makes the best epoch", "string"),
        "targets": mapping("target -> what is said of it", _target()),
        "loss_function": _loss(),
        "balance": number("the weight of the targets beside that of the classes"),
        "mu": number("the weight of the untagged in the loss; efficiencies are right for any"),
        "reduction": choice("what counts once in the loss", ("event", "object")),
        "object": value("what the objects are called", "string"),
        "numerator": value("the class above the line of a density ratio", "string"),
        "denominator": value("the class below it, or without labels a group of files", "string"),
        "loss": choice("of a density ratio", density_ratio.LOSSES),
        "normalise": choice("of a density ratio", density_ratio.NORMALISATIONS),
        "sums": mapping("written by training", {"type": "number"}),
        "sizes": mapping("written by training", {"type": "number"}),
        "fingerprint": value("written by training", "string"),
    }
    known = {name: ["name", *task_options(kind), decorrelation.KEY] for name, kind in TASKS.items()}
    known[density_ratio.TASK] = [*density_ratio.KEYS]
    used = dict.fromkeys(option for listed in known.values() for option in listed)
    options |= {
        "name": {"description": "the task", "anyOf": [{"enum": [*TASKS]}, {"type": "string"}]},
        decorrelation.KEY: _decorrelate(),
    }
    section = {
        "type": "object",
        "properties": {option: options[option] for option in used},
        "required": ["name"],
        # a task of a network file has options of its own
        "allOf": [_only_for("name", name, listed) for name, listed in known.items()],
    }
    return either("the task, or its name and options", options["name"], section)


def _only_for(key: str, chosen: str, known: Iterable[str]) -> Schema:
    """Other keys than the ``known`` ones are wrong where the value of ``key`` is ``chosen``."""
    return {
        "if": {"properties": {key: {"const": chosen}}, "required": [key]},
        "then": {"propertyNames": {"enum": [*known]}},
    }


def _target() -> Schema:
    standardised = {
        "mean": number("written by training"),
        "deviation": number("written by training"),
        "fingerprint": value("written by training", "string"),
    }
    steps = {
        "ratio": value("the column that the target is divided by", "string"),
        "log": {"type": "null"},
        "standardised": keys("in deviations from the mean", targets.STANDARDISED, standardised),
    }
    step = {"anyOf": [{"enum": [*targets.TRANSFORMS]}, keys("a step", targets.TRANSFORMS, steps)]}
    values = {
        "loss": _loss(),
        "weight": number("of its loss"),
        "valid": expression("true for rows that are learnt"),
        "valid_in_n": value("other rows count in the mean loss, with 0", "boolean"),
        "transform": either("what is learnt of it", step, {"type": "array", "items": step}),
    }
    return keys("a real target", targets.KEYS, values)


def _loss() -> Schema:
    options = {
        "delta": number("where huber becomes straight"),
        "quantiles": numbers("between 0 and 1"),
    }
    with_options = {
        name: keys(f"options of {name}", known, options)
        for name, known in targets.LOSS_OPTIONS.items()
    }
    named = {"enum": [*targets.LOSS_OPTIONS]}
    one = {"anyOf": [named, keys("a loss with options", with_options, with_options)]}
    return either(
        "a loss, {NAME: {option: value}}, or a list", one, {"type": "array", "items": one}
    )


def _decorrelate() -> Schema:
    methods = decorrelation.METHOD_KEYS
    scores = dict.fromkeys(word for words in decorrelation.SCORES.values() for word in words)
    values = {
        "variable": names("what scores are to be independent of"),
        "method": choice("the term of the loss", methods),
        "strength": number("multiplies the term"),
        "classes": names("the classes whose rows are decorrelated, such as the background"),
        "signals": names("the classes whose scores are"),
        "warmup": number("epochs over which the strength rises from 0"),
        "edges": either(
            "bins of each variable: their number, or variable -> edges",
            {"type": ["integer", "array", "object"]},
        ),
        "distance_correlation": value("measured in validation, too", "boolean"),
        "fingerprint": value("written by training", "string"),
        "score": choice("what of a signal is decorrelated", scores),
        "passing": number("share of the rows that passes, of method kl"),
        "score_bins": value("bins of the score, of method mi", "integer"),
        "layers": either(
            "hidden layers of the adversary",
            {"type": "integer"},
            {"type": "array", "items": {"type": "integer"}},
        ),
        "updates": choice("how the adversary is trained", ("reversal", "alternating")),
        "adversary_steps": value("its steps for each of the network", "integer"),
        "learning_rate": number("of the adversary"),
        "features": value("what of the network's output it is given", "string"),
        "width": value("numbers a row of these features", "integer"),
    }
    of_methods = {
        name: [*decorrelation.COMMON_KEYS, *own] for name, own in decorrelation.METHOD_KEYS.items()
    }
    used = dict.fromkeys(key for known in of_methods.values() for key in known)
    section = keys("independence of a variable", used, values)
    return section | {"allOf": [_only_for("method", *item) for item in of_methods.items()]}


def _derived() -> Schema:
    values = {
        corrected_output.CORRECTION: value("a file of `weaver-tt jec derive`", "string"),
        **{role: expression(f"{role} of the jet") for role in corrected_output.ROLES},
    }
    corrected = keys("a pT times its correction", corrected_output.KEYS, values)
    return either("what is computed", expression("of outputs and columns"), corrected)
