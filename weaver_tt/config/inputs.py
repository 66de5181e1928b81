"""The ``inputs`` and ``preprocess.params`` of a data YAML: groups of variables and how each is scaled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, cast

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.config.sections import Section, read_number
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.log import log

PAD_MODES = ("constant", "wrap")
VARIABLE_FIELDS = ("center", "scale", "min", "max", "pad")  # of a variable's list, after its name
PARAMS = ("length", "pad_mode", "center", "scale", "min", "max", "pad", "pad_value")


def read_inputs(section: Section, auto: bool) -> dict[str, InputGroup]:
    """``inputs`` -> groups by name. With ``auto``, a variable without a center has one computed.

    :raises ConfigError: no group, no variable, or numbers that make no sense.
    """
    if not section.values:
        raise ConfigError(
            f"{section.where}: no input group; write NAME: {{length: 128, vars: [...]}}"
        )
    groups = {
        name: _read_group(name, section.section(name, ("length", "pad_mode", "vars")), auto)
        for name in section.values
    }
    seen: dict[str, tuple[str, Variable]] = {}
    for group in groups.values():
        for variable in group.variables:
            other, first = seen.setdefault(variable.name, (group.name, variable))
            if first != variable:
                ways = f"in one way in {other!r} and in another in {group.name!r}"
                raise ConfigError(
                    f"{section.where}: {variable.name!r} is scaled {ways}; make them equal"
                )
    return groups


def _read_group(name: str, section: Section, auto: bool) -> InputGroup:
    specs = section.values.get("vars")
    if not isinstance(specs, list) or not specs:
        raise ConfigError(f"{section.at('vars')}: expected a list of variables, found {specs!r}")
    pad_mode = cast(Literal["constant", "wrap"], section.choice("pad_mode", PAD_MODES, "constant"))
    if name.endswith("_mask") and pad_mode != "constant":
        raise ConfigError(
            f"{section.at('pad_mode')}: a mask must be padded with a constant, found {pad_mode!r}"
        )
    variables = [_parse_variable(spec, section.at("vars"), auto) for spec in specs]
    names = [variable.name for variable in variables]
    for variable in variables:
        if names.count(variable.name) > 1:
            raise ConfigError(
                f"{section.at('vars')}: {variable.name!r} is listed {names.count(variable.name)} times"
            )
    group = InputGroup(name=name, variables=(), length=_read_length(section), pad_mode=pad_mode)
    return replace(
        group,
        variables=tuple(
            validate_variable(variable, group, section.at("vars")) for variable in variables
        ),
    )


def _read_length(section: Section) -> int | None:
    """Objects kept per row; None, where the YAML says null, for per-row scalars."""
    value = section.values.get("length")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigError(
            f"{section.at('length')}: expected a whole number above 0, or null for one value a row, found {value!r}"
        )
    return value


def _parse_variable(spec: Any, where: str, auto: bool) -> Variable:
    """``name`` or ``[name, center, scale, min, max, pad]`` -> Variable."""
    given = [spec] if isinstance(spec, str) else spec
    if (
        not isinstance(given, list)
        or not given
        or not isinstance(given[0], str)
        or len(given) > 1 + len(VARIABLE_FIELDS)
    ):
        raise ConfigError(
            f"{where}: expected NAME or [NAME, {', '.join(VARIABLE_FIELDS)}], found {spec!r}"
        )
    values = dict(zip(VARIABLE_FIELDS, given[1:], strict=False))
    center = values.pop("center", "auto" if auto else None)
    return _make_variable(
        given[0],
        center,
        Section.of(values, f"{where}: {given[0]}" if ": " not in where else f"{where}.{given[0]}"),
    )


def _make_variable(name: str, center: Any, section: Section) -> Variable:
    pad = section.number("pad_value", 0.0) if "pad_value" in section else section.number("pad", 0.0)
    return Variable(
        name=name,
        center=center
        if center is None or center == "auto"
        else read_number(center, section.at("center")),
        scale=section.number("scale", 1.0),
        low=section.number("min", -5.0),
        high=section.number("max", 5.0),
        pad=pad,
    )


def validate_variable(variable: Variable, group: InputGroup, where: str) -> Variable:
    """The variable, if its numbers make sense; masks are never scaled.

    :raises ConfigError: min above max, or a scale of 0.
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
    if (
        variable.center is not None
        and group.length is not None
        and not variable.low <= variable.pad <= variable.high
    ):
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

    :raises ConfigError: a variable that no group has, or a length or pad_mode other than its group's.
    """
    homes = {name: group for group in inputs.values() for name in group.names}
    params: dict[str, Variable] = {}
    for name in section.values:
        entry = section.section(name, PARAMS)
        if name not in homes:
            raise ConfigError(
                f"{section.where}: no input variable {name!r}; {nearest(name, homes)}"
            )
        homed = [group for group in inputs.values() if name in group.names]
        _check_same_shape(entry, homed)
        center = entry.values.get("center")
        params[name] = validate_variable(
            _make_variable(name, center, entry), homes[name], section.where
        )
    return params


def _check_same_shape(entry: Section, groups: Iterable[InputGroup]) -> None:
    """A params entry repeats length and pad_mode of a group that has the variable; another value is a contradiction."""
    for key in ("length", "pad_mode"):
        have = [getattr(group, key) for group in groups]
        if key in entry and entry.values[key] not in have:
            raise ConfigError(
                f"{entry.at(key)}: {entry.values[key]!r} contradicts inputs, which have {have[0]!r}; make them equal"
            )


def with_params(
    config: DataConfig, params: Mapping[str, Variable], fingerprint: str | None = None
) -> DataConfig:
    """The configuration with these variables in place of those of the same name."""
    inputs = {
        name: replace(
            group,
            variables=tuple(params.get(variable.name, variable) for variable in group.variables),
        )
        for name, group in config.inputs.items()
    }
    return replace(
        config,
        inputs=inputs,
        preprocess=replace(config.preprocess, params=dict(params), fingerprint=fingerprint),
    )


def with_fitted_numbers(
    config: DataConfig, numbers: dict[str, Variable] | Any
) -> dict[str, Variable]:
    """The ``auto`` variables of ``config`` with center and scale of ``numbers``; range and padding stay those of ``config``.

    :raises ConfigError: ``numbers`` lacks one of them.
    """
    found: dict[str, Variable] = {}
    for group in config.inputs.values():
        for variable in group.variables:
            if variable.center != "auto":
                continue
            if variable.name not in numbers or numbers[variable.name].center in (None, "auto"):
                where = f"{config.source}: inputs.{group.name}: {variable.name!r}"
                raise ConfigError(
                    f"{where} is auto, but the model's statistics have no number for it"
                )
            given = numbers[variable.name]
            found[variable.name] = replace(variable, center=given.center, scale=given.scale)
    return found
