"""The ``inputs`` and ``preprocess.params`` of a data YAML: variables and how they are scaled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, cast

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.config.sections import Section, read_number, refuse_repeated
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.log import log

MAX_LENGTH = 100_000  # objects of one row; the hits of a whole detector are of that order
PAD_MODES = ("constant", "wrap")
GROUP = ("length", "pad_mode", "vars")
# of a variable's list, after its name
VARIABLE_FIELDS = ("center", "scale", "min", "max", "pad")
PARAMS = ("length", "pad_mode", "center", "scale", "min", "max", "pad", "pad_value")


def read_inputs(section: Section, auto: bool) -> dict[str, InputGroup]:
    """``inputs`` -> groups by name. With ``auto``, a variable without a center has one computed.

    Raises:
        ConfigError: no group, no variable, or numbers that make no sense.
    """
    if not section.values:
        raise ConfigError(
            f"{section.where}: no input group; write NAME: {{length: 128, vars: [...]}}"
        )
    groups: dict[str, InputGroup] = {}
    for name in section.values:
        entry = section.section(name, GROUP)
        groups[name] = _read_group(name, entry, auto)
    _check_same_scaling(groups, section.where)
    return groups


def _check_same_scaling(groups: Mapping[str, InputGroup], where: str) -> None:
    """Raise ConfigError where two groups scale a variable differently.

    Statistics and ``preprocess.params`` have one entry for each variable.
    """
    first_use: dict[str, tuple[str, Variable]] = {}
    for group in groups.values():
        for variable in group.variables:
            other, first = first_use.setdefault(variable.name, (group.name, variable))
            if first != variable:
                ways = f"in one way in {other!r} and in another in {group.name!r}"
                raise ConfigError(f"{where}: {variable.name!r} is scaled {ways}; make them equal")


def _read_group(name: str, section: Section, auto: bool) -> InputGroup:
    where = section.at("vars")
    specs = section.values.get("vars")
    if not isinstance(specs, list) or not specs:
        raise ConfigError(f"{where}: expected a list of variables, found {specs!r}")
    pad_mode = cast(Literal["constant", "wrap"], section.choice("pad_mode", PAD_MODES, "constant"))
    # a wrapped mask would call repeated objects real
    if name.endswith("_mask") and pad_mode != "constant":
        raise ConfigError(
            f"{section.at('pad_mode')}: a mask must be padded with a constant, found {pad_mode!r}"
        )
    variables = [_parse_variable(spec, where, auto) for spec in specs]
    refuse_repeated([variable.name for variable in variables], where)
    group = InputGroup(name=name, variables=(), length=_read_length(section), pad_mode=pad_mode)
    validated = [validate_variable(variable, group, where) for variable in variables]
    return replace(group, variables=tuple(validated))


def _read_length(section: Section) -> int | None:
    """Objects kept per row; None, where the YAML says null, for per-row scalars."""
    if "length" not in section:
        return None
    return section.whole_number("length", 1, MAX_LENGTH, ", or null for one value a row")


def _parse_variable(spec: Any, where: str, auto: bool) -> Variable:
    """``name`` or ``[name, center, scale, min, max, pad]`` -> Variable."""
    given = [spec] if isinstance(spec, str) else spec
    is_named_list = isinstance(given, list) and bool(given) and isinstance(given[0], str)
    if not is_named_list or len(given) > 1 + len(VARIABLE_FIELDS):
        raise ConfigError(
            f"{where}: expected NAME or [NAME, {', '.join(VARIABLE_FIELDS)}], found {spec!r}"
        )
    name = given[0]
    values = dict(zip(VARIABLE_FIELDS, given[1:], strict=False))
    # null is a center of its own, so a section, which drops nulls, cannot tell it from none
    center = values.pop("center", "auto" if auto else None)
    place = f"{where}.{name}" if ": " in where else f"{where}: {name}"
    return _make_variable(name, center, Section.of(values, place))


def _make_variable(name: str, center: Any, section: Section) -> Variable:
    # `pad_value` is Weaver's word in preprocess.params
    pad_key = "pad_value" if "pad_value" in section else "pad"
    if center is not None and center != "auto":
        center = read_number(center, section.at("center"))
    return Variable(
        name=name,
        center=center,
        scale=section.number("scale", 1.0),
        low=section.number("min", -5.0),
        high=section.number("max", 5.0),
        pad=section.number(pad_key, 0.0),
    )


def validate_variable(variable: Variable, group: InputGroup, where: str) -> Variable:
    """The variable, if its numbers make sense; masks are never scaled.

    Raises:
        ConfigError: min above max, or a scale of 0.
    """
    where = f"{where}: {variable.name}"
    if group.is_mask or variable.name.endswith("_mask"):
        if variable.center not in (None, "auto"):
            log.warning("%s: masks are never scaled; center %s is ignored", where, variable.center)
        return replace(variable, center=None)
    if variable.low > variable.high:
        raise ConfigError(f"{where}: min {variable.low:g} is above max {variable.high:g}")
    if variable.scale == 0:
        raise ConfigError(f"{where}: a scale of 0 makes every value the same")
    has_padding = variable.center is not None and group.length is not None
    # readers in C++ throw on every jet unless lower <= pad <= upper
    if has_padding and not variable.low <= variable.pad <= variable.high:
        log.warning(
            "%s: pad %g is outside [%g, %g]; C++ readers will refuse the exported network",
            where,
            variable.pad,
            variable.low,
            variable.high,
        )
    return variable


def read_params(section: Section, inputs: Mapping[str, InputGroup]) -> dict[str, Variable]:
    """``preprocess.params`` -> scaled variables by name.

    Raises:
        ConfigError: a variable that no group has, or a length or pad_mode other than its group's.
    """
    homes: dict[str, list[InputGroup]] = {}
    for group in inputs.values():
        for name in group.names:
            homes.setdefault(name, []).append(group)
    params: dict[str, Variable] = {}
    for name in section.values:
        entry = section.section(name, PARAMS)
        if name not in homes:
            raise ConfigError(
                f"{section.where}: no input variable {name!r}; {nearest(name, homes)}"
            )
        _check_same_shape(entry, homes[name])
        variable = _make_variable(name, entry.values.get("center"), entry)
        params[name] = validate_variable(variable, homes[name][-1], section.where)
    return params


def _check_same_shape(entry: Section, groups: Iterable[InputGroup]) -> None:
    """Raise ConfigError where length or pad_mode of an entry contradict the groups of its variable.

    Weaver repeats both in ``params``.
    """
    for key in ("length", "pad_mode"):
        have = [getattr(group, key) for group in groups]
        if key in entry and entry.values[key] not in have:
            raise ConfigError(
                f"{entry.at(key)}: {entry.values[key]!r} contradicts inputs, "
                f"which have {have[0]!r}; make them equal"
            )


def with_params(
    config: DataConfig, params: Mapping[str, Variable], fingerprint: str | None = None
) -> DataConfig:
    """The configuration with these variables in place of those of the same name."""
    inputs = {}
    for name, group in config.inputs.items():
        variables = [params.get(variable.name, variable) for variable in group.variables]
        inputs[name] = replace(group, variables=tuple(variables))
    preprocess = replace(config.preprocess, params=dict(params), fingerprint=fingerprint)
    return replace(config, inputs=inputs, preprocess=preprocess)


def with_fitted_numbers(config: DataConfig, numbers: Mapping[str, Variable]) -> dict[str, Variable]:
    """The ``auto`` variables of ``config`` with center and scale of ``numbers``.

    Range and padding stay those of ``config``.

    Raises:
        ConfigError: ``numbers`` lacks one of them.
    """
    found: dict[str, Variable] = {}
    for group, variable in config.input_variables():
        if variable.center != "auto":
            continue
        fitted = numbers.get(variable.name)
        if fitted is None or fitted.center in (None, "auto"):
            where = f"{config.source}: inputs.{group.name}: {variable.name!r}"
            raise ConfigError(f"{where} is auto, but the model's statistics have no number for it")
        found[variable.name] = replace(variable, center=fitted.center, scale=fitted.scale)
    return found
