"""``task: {name: density_ratio}`` of a data YAML: which two samples, how their ratio is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

from weaver_tt.config.schema import Labels, RatioOptions, Weights
from weaver_tt.config.sections import Section, read_number
from weaver_tt.errors import ConfigError, nearest, unknown_key

TASK = "density_ratio"
LOSSES = ("bce", "kl", "lsif")
NORMALISATIONS = ("unit", "yield")
OWN_KEYS = (
    *("numerator", "denominator", "loss", "normalise"),
    *("sums", "sizes", "fingerprint"),  # written by training
)
# beside those that every task has
KEYS = ("name", "watch", "object", *OWN_KEYS)


def expand_groups_of_files(top: Section) -> Section:
    """The whole YAML with labels, where a density ratio is that of two groups of files.

    Without ``labels``, ``numerator`` and ``denominator`` of the task are names of groups, as ``-i``
    has them; each is a class, and a column of ``file_magic``. All else is left as it is.

    Raises:
        ConfigError: one of the two is missing, or they are no two names of columns.
    """
    task = top.values.get("task")
    name = task.get("name") if isinstance(task, Mapping) else task
    if name != TASK or "labels" in top.values:
        return top
    section = Section.of(task if isinstance(task, Mapping) else None, top.at("task"))
    names = [section.text(key) for key in ("numerator", "denominator")]
    groups = [name for name in names if name is not None]
    if len(groups) < 2:
        raise ConfigError(
            f"{section.where}: {TASK} needs two samples: `numerator: NAME` and `denominator: NAME` "
            "for the groups of files of `-i NAME:FILES NAME:FILES`, or `labels` of two classes, of "
            "which `numerator` is one"
        )
    for key, group in zip(("numerator", "denominator"), groups, strict=True):
        if not group.isidentifier():
            raise ConfigError(
                f"{section.at(key)}: {group!r} becomes a column of predictions; expected letters, "
                "digits and _ for the name of the group of files"
            )
    if groups[0] == groups[1]:
        raise ConfigError(f"{section.where}: numerator and denominator are both {groups[0]!r}")
    magic: dict[str, Any] = {group: {f"{group}:": 1} for group in groups}
    # columns that the YAML makes itself win
    magic |= top.section("file_magic").values
    labels = {"type": "simple", "value": groups}
    return replace(top, values={**top.values, "file_magic": magic, "labels": labels})


def read_density_ratio(
    section: Section, labels: Labels | None, weights: Weights | None
) -> RatioOptions:
    """The ``task`` of a data YAML -> RatioOptions; ``weights`` are those of its reweighting.

    Raises:
        ConfigError: an unknown key, class, loss or normalisation, or there are not two classes.
    """
    for key in section.values:
        if key not in KEYS:
            raise unknown_key(key, [key for key in KEYS if key != "name"], section.where)
    classes = _read_classes(section, labels)
    if weights is not None:
        raise ConfigError(
            f"{section.where}: the ratio is that of the samples as `event_weight` weighs them, "
            "and `weights` would change them; leave `weights` out"
        )
    numerator = section.text("numerator")
    if numerator not in classes:
        found = "it is missing"
        if numerator is not None:
            found = f"there is no class {numerator!r}; {nearest(numerator, classes)}"
        raise ConfigError(
            f"{section.at('numerator')}: expected {' or '.join(classes)}, the sample above the "
            f"line; {found}"
        )
    [denominator] = [name for name in classes if name != numerator]
    if section.text("denominator") not in (None, denominator):
        raise ConfigError(
            f"{section.at('denominator')}: expected {denominator}, the other class of the labels; "
            f"found {section.text('denominator')!r}"
        )
    loss = section.choice("loss", LOSSES, LOSSES[0])
    normalise = section.choice("normalise", NORMALISATIONS, NORMALISATIONS[0])
    sums, sizes = (
        {name: read_number(value, found.at(name)) for name, value in found.values.items()}
        for found in (section.section("sums", classes), section.section("sizes", classes))
    )
    return RatioOptions(
        numerator=numerator,
        denominator=denominator,
        loss=cast(Literal["bce", "kl", "lsif"], loss),
        normalise=cast(Literal["unit", "yield"], normalise),
        sums=sums,
        sizes=sizes,
        fingerprint=section.text("fingerprint"),
    )


def dump_density_ratio(written: Any, options: RatioOptions) -> dict[str, Any]:
    """The ``task`` of a data YAML, ``written``, with what is known of the training rows."""
    task = dict(written) if isinstance(written, Mapping) else {"name": written}
    return {
        **task,
        "sums": dict(options.sums),
        "sizes": dict(options.sizes),
        "fingerprint": options.fingerprint,
    }


def _read_classes(section: Section, labels: Labels | None) -> tuple[str, ...]:
    """The two classes of rows, or of the objects of a group."""
    needed = (
        f"{section.where}: {TASK} needs `labels.type: simple` with two classes, or `per_object` "
        "with two labels of a group"
    )
    if labels is None:
        raise ConfigError(f"{needed}; there are no labels")
    if labels.kind not in ("simple", "per_object"):
        raise ConfigError(f"{needed}; found {labels.kind}")
    names = tuple(labels.expressions)
    if len(names) != 2:
        raise ConfigError(
            f"{needed}: the ratio is that of two samples; found {len(names)}: {', '.join(names)}"
        )
    return names
