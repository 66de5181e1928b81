"""Every place of a data YAML that names columns: its expressions, and names that stand alone.

A further section of the YAML that names columns is entered here, for all that looks through them.
"""

from __future__ import annotations

from weaver_tt.config.schema import DataConfig
from weaver_tt.expressions.evaluate import Expression


def expressions_of_rows(config: DataConfig) -> dict[str, Expression]:
    """Key -> expression that is evaluated on selected rows; without new variables."""
    found = {}
    if config.event_weight is not None:
        found["event_weight"] = config.event_weight
    if config.labels is not None:
        for name, expression in config.labels.expressions.items():
            found[f"labels.{name}"] = expression
    for name, expression in config.windows.items():
        found[f"task.targets.{name}.valid"] = expression
    if config.weights is not None:
        for expression in config.weights.branches:
            found[f"weights.weight_branches: {expression.source!r}"] = expression
        if config.weights.base is not None:
            found["weights.reweight_basewgt"] = config.weights.base
    return found


def row_selections(config: DataConfig) -> dict[str, Expression]:
    """Key -> selection of rows."""
    selections = {
        "selection": config.selection,
        "test_time_selection": config.test_time_selection,
    }
    return {key: expression for key, expression in selections.items() if expression is not None}


def names_alone(config: DataConfig) -> dict[str, tuple[str, ...]]:
    """Key -> columns and new variables that stand there by name, outside of expressions."""
    found = {f"inputs.{name}": tuple(group.names) for name, group in config.inputs.items()}
    found["monitor_variables"] = config.monitor_variables
    # other names in these expressions are outputs of the network
    for name, columns in config.derived_columns.items():
        found[f"derived_outputs.{name}"] = columns
    found["task.targets"] = config.transform_columns
    if config.decorrelation is not None:
        found["task.decorrelate.variable"] = config.decorrelation.variables
    if config.weights is not None:
        found["weights.reweight_vars"] = tuple(config.weights.variables)
        found["weights.reweight_classes"] = config.weights.class_columns
    if config.bucketing is not None:
        found["bucketing.var"] = (config.bucketing.variable,)
    # copied to the output as they are
    found["observers"] = config.observer_names
    return {key: names for key, names in found.items() if names}
