"""Everything a data YAML can say, as frozen dataclasses.

The rest of the code sees these attributes alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weaver_tt.config.corrected_output import CorrectedOutput
from weaver_tt.config.path_patterns import group_of
from weaver_tt.errors import nearest
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.formats.reader import identifier_of
from weaver_tt.formats.row_objects import RowObjects

MAX_ATTRIBUTES = 40  # names that the error about an unknown attribute lists

# of groups with the places of mothers in trees
PARENT_SUFFIX = "_parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One input column, scaled as ``clip((finite(x) - center) * scale, low, high)``.

    ``center`` is a number, ``"auto"`` (to be computed from the training data) or None, for the raw
    value, neither scaled nor clipped. Where a row has no object, the input is ``pad``. An x that is
    NaN or infinite counts as the ``replacement``, which is 0 but for networks of others.
    """

    name: str
    center: float | Literal["auto"] | None = None
    scale: float = 1.0
    low: float = -5.0
    high: float = 5.0
    pad: float = 0.0
    replacement: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputGroup:
    """The C variables of one input tensor.

    It is (N, C, P) with ``length`` = P objects per row, (N, C) when ``length`` is None.
    """

    name: str
    variables: tuple[Variable, ...]
    length: int | None = None
    pad_mode: Literal["constant", "wrap"] = "constant"

    @property
    def is_mask(self) -> bool:
        """Whether this group tells real objects from padding (by its name, as in Weaver)."""
        return self.name.endswith("_mask")

    @property
    def is_parent(self) -> bool:
        """Whether it says where in the row each node's mother is, by its name."""
        return self.name.endswith(PARENT_SUFFIX)

    @property
    def names(self) -> list[str]:
        """The variables' names, in channel order."""
        return [variable.name for variable in self.variables]

    @property
    def shape(self) -> tuple[int, ...]:
        """(-1, C, P), or (-1, C) for a group of per-row scalars."""
        if self.length is None:
            return (-1, len(self.variables))
        return (-1, len(self.variables), self.length)


DerivedOutput = Expression | CorrectedOutput
LabelKind = Literal["simple", "custom", "per_object", "mixed"]
# name, in a batch, of the number of each row's class
CLASS_LABEL = "_label_"
# that number, for a row of no class or of several: what torch's cross entropy leaves out by default
NO_CLASS = -100
# the input group of the raw columns that what leaves is computed from, beside the network's outputs
DERIVED_INPUTS = "derived_inputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What is to be learnt: names and expressions of each kind of label; at least one of them.

    ``classes`` are 0/1 columns, of which one is set in each row. They may be the values 0, 1, ...
    of one label, ``class_number``, the number of each row's class. ``targets`` are real numbers,
    one for each row; a target ``x_mask`` beside ``x`` tells where ``x`` counts. ``object_targets``
    maps an input group to targets with one number for each of its objects.
    """

    classes: Mapping[str, Expression] = field(default_factory=dict)
    targets: Mapping[str, Expression] = field(default_factory=dict)
    object_targets: Mapping[str, Mapping[str, Expression]] = field(default_factory=dict)
    # its name -> its expression; none where the classes are columns of their own
    class_number: Mapping[str, Expression] = field(default_factory=dict)

    @property
    def parts(self) -> dict[tuple[LabelKind, str | None], Mapping[str, Expression]]:
        """(type, group of objects or None) -> labels, without types that there are none of."""
        parts: dict[tuple[LabelKind, str | None], Mapping[str, Expression]] = {}
        if self.classes:
            parts["simple", None] = self.classes
        if self.targets:
            parts["custom", None] = self.targets
        for group, labels in self.object_targets.items():
            parts["per_object", group] = labels
        return parts

    @property
    def class_columns(self) -> Mapping[str, Expression]:
        """The labels that tell a row's class: its number, or the 0/1 columns of the classes."""
        return self.class_number or self.classes

    @property
    def kind(self) -> LabelKind:
        """The type of all labels, or ``mixed`` for several types or groups of objects."""
        kinds = [kind for kind, _ in self.parts]
        return kinds[0] if len(kinds) == 1 else "mixed"

    @property
    def expressions(self) -> dict[str, Expression]:
        """All labels by name: classes, then targets, then object targets."""
        found: dict[str, Expression] = {}
        for labels in self.parts.values():
            found |= labels
        return found

    @property
    def target_names(self) -> list[str]:
        """Targets of a row, without those that are the mask of another."""
        possible_masks = {f"{name}_mask" for name in self.targets}
        return [name for name in self.targets if name not in possible_masks]

    @property
    def masks(self) -> dict[str, str]:
        """Target of a row -> the name of its mask, for those that have one."""
        masks = {name: f"{name}_mask" for name in self.target_names}
        return {name: mask for name, mask in masks.items() if mask in self.targets}

    @property
    def regressed(self) -> Labels:
        """The real targets that a regression learns, as ``targets``: those of rows, or of objects.

        The latter where labels of the objects of one group are all there is.
        """
        if self.kind != "per_object":
            return Labels(targets=self.targets)
        [targets] = self.object_targets.values()
        return Labels(targets=targets)

    def may_be_output(self, name: str) -> bool:
        """Whether a name is that of an output rather than of a column.

        Such are classes and targets, ``x_q16`` and ``x_q2p5`` for quantiles of the target ``x``,
        ``x_sigma`` for its width, and ``x_0``, ``x_1`` where a single target may turn out to be the
        number of a class.
        """
        if name in self.classes or name in self.target_names:
            return True
        target, _, ending = name.rpartition("_")
        if target not in self.target_names:
            return False
        is_class = self.kind == "custom" and len(self.targets) == 1 and ending.isdecimal()
        return is_class or re.fullmatch(r"q\d+(p\d+)?|sigma", ending) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLoss:
    """A loss of a real target: its name (see ``weaver_tt/tasks/losses.py``) and its options.

    ``delta``: where huber becomes straight. ``quantiles``: of pinball, one output for each of them;
    another loss has none, and one output; gaussian has two, a mean and a width.
    """

    name: str
    delta: float = 1.0
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTransform:
    """A step from a target to what is learnt.

    It is a ratio to a ``column``, a logarithm, or the distance from the ``mean`` of the training
    rows, in units of their standard ``deviation``. These two are None before they are computed;
    ``fingerprint`` is that of the configuration and files.
    """

    kind: Literal["ratio", "log", "standardised"]
    column: str | None = None
    mean: float | None = None
    deviation: float | None = None
    fingerprint: str | None = None

    @property
    def needs_statistics(self) -> bool:
        """Whether its numbers are still to be computed from training data."""
        return self.kind == "standardised" and self.mean is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How a real target of a row is learnt.

    ``losses`` are empty where the target has those of the task. ``weight`` multiplies them. Rows
    outside of the ``window`` have loss 0; with ``outside_counts`` they count in the mean loss.
    The ``transform`` is a chain: a ratio, then a logarithm, then standardised, or some of these.
    """

    losses: tuple[TargetLoss, ...] = ()
    weight: float = 1.0
    window: Expression | None = None
    outside_counts: bool = False
    transform: tuple[TargetTransform, ...] = ()


def window_label(target: str) -> str:
    """The name, in a batch, of what tells which rows lie in the window of a target: 0 or 1."""
    return f"{target}_valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSelection:
    """Objects of input group ``group`` to keep: the file is read as if it held only those.

    ``columns`` are glob patterns of the file columns that are filtered together, ``index_columns``
    those of the columns that hold places of these objects; None where their names tell.
    """

    group: str
    expression: Expression
    columns: tuple[str, ...]
    index_columns: tuple[str, ...] | None = None

    @property
    def original_index(self) -> str:
        """The column of the place that each remaining object has among all of its row."""
        return original_index_name(self.group)

    def filters(self, column: str) -> bool:
        """Whether a column of the file is filtered, however the YAML spells it."""
        # Jet.PT and Jet_PT are two spellings of one column
        identifier = identifier_of(column)
        patterns = [re.sub(r"[.:/#]", "_", pattern) for pattern in self.columns]
        return any(fnmatchcase(identifier, pattern) for pattern in patterns)


def original_index_name(group: str) -> str:
    """The column that an object selection of an input group makes."""
    return f"{group}_original_index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How input variables are scaled.

    ``params`` holds the statistics that training computed (``PREFIX.auto.yaml``).
    """

    method: Literal["manual", "auto"] = "manual"
    data_fraction: float = 1.0
    params: Mapping[str, Variable] = field(default_factory=dict)
    fingerprint: str | None = None


ALL_ROWS = "all rows"
"""In place of the classes of ``weights``, where it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSummary:
    """Row weights of the training data, from a pass over all of its selected ``rows``.

    ``mean`` is that of the weights w, ``kept`` that of min(abs(w), 1). ``fingerprint`` is that of
    the configuration and files.
    """

    rows: int
    mean: float
    kept: float
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How often training samples a row (``sampling``), or its weight in the loss (``loss``).

    A row's weight is the product of the precomputed ``branches`` where there are any; else the
    entry of its class's table (``tables``, of the shape of the bins) at its ``variables``, times
    ``base``. ``variables`` maps columns to increasing bin edges. ``classes`` maps 0/1 columns to
    the weights of the classes, or ALL_ROWS to 1 where there are none; the first class is the
    reference of method ``ref``. ``target`` is the density in the variables of method ``target``.

    ``threshold`` is the percentile of the bins that limits the weights. Rows outside the bins have
    weight 0 with ``discard_outside``, else that of the nearest bin. ``signed``: rows of negative
    weight are sampled, too, and count -1.
    """

    mode: Literal["sampling", "loss"] = "sampling"
    signed: bool = False
    branches: tuple[Expression, ...] = ()
    method: Literal["flat", "ref", "target"] = "flat"
    target: Expression | None = None
    variables: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    classes: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 10.0
    discard_outside: bool = True
    base: Expression | None = None
    # arrays have no truth value: == of two configurations must leave them out
    tables: Mapping[str, npt.NDArray[np.float64]] | None = field(default=None, compare=False)
    summary: WeightSummary | None = None

    @property
    def class_columns(self) -> tuple[str, ...]:
        """The columns that tell a row's class; none where all rows are of one."""
        return tuple(name for name in self.classes if name != ALL_ROWS)

    @property
    def names(self) -> list[str]:
        """Columns and new variables that a row's weight is made of."""
        names = [*self.variables, *self.class_columns]
        expressions = list(self.branches)
        if self.base is not None:
            expressions.append(self.base)
        for expression in expressions:
            names += sorted(expression.names)
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucketing:
    """Batches of rows that are alike: of one of ``number`` ranges (buckets) of ``variable``.

    ``inner_edges`` are those between the buckets, None where they are still to be computed.
    """

    variable: str
    number: int
    inner_edges: tuple[float, ...] | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChoice:
    """The task's name (see ``weaver_tt/tasks/registry.py``) and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversaryOptions:
    """The network that predicts the bin of decorrelated variables, and how it is trained.

    ``updates``: ``reversal`` trains it and the network in each step, ``alternating`` in turns:
    ``adversary_steps`` steps for each step of the network. ``learning_rate``: its own, None for
    that of the network. It is given ``features``, of so many numbers ``width`` a row, by their name
    in what the network returns, or without a name the logits.
    """

    layers: tuple[int, ...] = (64, 64)
    updates: Literal["reversal", "alternating"] = "reversal"
    adversary_steps: int = 1
    learning_rate: float | None = None
    features: str | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decorrelation:
    """What keeps the scores of ``signals`` independent of ``variables`` in rows of ``classes``.

    ``method`` names the term of the loss, which ``strength`` multiplies; over the first ``warmup``
    epochs the strength rises from 0. ``score``: what of a signal is decorrelated; of ranks,
    ``passing`` is the share of rows that passes in the divergence of spectra. ``score_bins``: the
    bins of the score in the mutual information. ``edges`` of the bins of each variable; of one that
    is not among them, so many ``bins`` of equal numbers of training rows are still to be made. Rows
    beyond the outermost edges belong to the outermost bins. ``fingerprint``: of the configuration
    and files that were looked at.
    """

    variables: tuple[str, ...]
    classes: tuple[str, ...]
    signals: tuple[str, ...]
    method: str
    strength: float
    warmup: float = 0.0
    score: Literal["probability", "logit", "rank"] = "probability"
    passing: float = 0.1
    score_bins: int = 10
    adversary: AdversaryOptions | None = None
    bins: int = 20
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    measures_distance_correlation: bool = False
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioOptions:
    """What of two samples is learnt: the density of ``numerator`` over that of ``denominator``.

    Both are classes of rows or labels of objects. The ratio is that of the samples normalised to
    ``unit`` sums of weights, or of their ``yield``. ``sums`` are the sums of weights of the
    training rows by class and ``sizes`` their effective numbers, (sum w)^2 / sum w^2; both are
    empty before they are computed. ``fingerprint`` is that of the configuration and files.
    """

    numerator: str
    denominator: str
    loss: Literal["bce", "kl", "lsif"] = "bce"
    normalise: Literal["unit", "yield"] = "unit"
    sums: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    fingerprint: str | None = None

    @property
    def classes(self) -> tuple[str, str]:
        """Numerator and denominator."""
        return self.numerator, self.denominator

    @property
    def mean(self) -> float:
        """What the mean of the ratio under the denominator is to be.

        1 for ``unit``, else the quotient of the sums of weights.
        """
        if self.normalise == "unit" or not self.sums:
            return 1.0
        return self.sums[self.numerator] / self.sums[self.denominator]


RATIO = "ratio"  # the output of a density ratio of rows


def spectator(variable: str) -> str:
    """The name, among the monitors of a batch, of the raw values of a decorrelated variable.

    A monitored column of the variable itself may be scaled as the input of that name is.
    """
    return f"spectator:{variable}"


REPORT_COLUMNS = {
    "corrected_pt": "pT as the network corrects it, in GeV",
    "raw_pt": "measured pT that is corrected, in GeV",
    "standard_pt": "pT by the standard correction, to compare with, in GeV",
    "true_pt": "pT of the generated jet, in GeV",
    "true_eta": "eta of the generated jet",
    "flavour": "flavour of the jet: PDG number of a quark or gluon, whole, 0 where it is unknown",
    "eta": "measured eta",
    "rho": "density of pile-up, in GeV",
}
"""What the ``report:`` of a data YAML may name, and what each is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminant:
    """The share of the classes ``signal`` in the scores of ``signal`` and ``background``."""

    signal: tuple[str, ...]
    background: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """One data YAML. The properties with Weaver's names are what a network file may use.

    ``rows``: the objects of each event that are rows, None where the rows are those of the files.
    ``source`` is the path of the YAML, for messages; ``text`` the YAML as the user wrote it, for
    run cards and metadata. ``optional_observers`` (``name?`` in the YAML) are copied where the
    files have them. The expressions may call functions of the Python file ``custom_functions``.
    ``derived_outputs`` are computed from the outputs of the network and from columns, and leave
    with the outputs; those of ``discriminants`` are among them, shares of the scores of classes.
    ``transform_columns`` are those that targets are brought to their units with.
    Those of ``report`` are of columns of the prediction file (see :data:`REPORT_COLUMNS`).
    ``names`` are what classes and variables are called in figures, tables and reports.
    """

    source: str
    text: str
    inputs: Mapping[str, InputGroup]
    labels: Labels | None = None
    treename: str | None = None
    rows: RowObjects | None = None
    branch_magic: Mapping[str, str] = field(default_factory=dict)
    file_magic: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    selection: Expression | None = None
    test_time_selection: Expression | None = None
    extra_selection: Expression | None = None  # of a flag: a part of one of the two
    objects: Mapping[str, ObjectSelection] = field(default_factory=dict)
    new_variables: Mapping[str, Expression] = field(default_factory=dict)
    preprocess: Preprocess = Preprocess()
    observers: tuple[str, ...] = ()
    optional_observers: tuple[str, ...] = ()
    monitor_variables: tuple[str, ...] = ()
    event_weight: Expression | None = None
    weights: Weights | None = None
    bucketing: Bucketing | None = None
    task: TaskChoice | None = None
    decorrelation: Decorrelation | None = None
    density_ratio: RatioOptions | None = None
    derived_outputs: Mapping[str, DerivedOutput] = field(default_factory=dict)
    discriminants: Mapping[str, Discriminant] = field(default_factory=dict)
    transform_columns: tuple[str, ...] = ()
    report: Mapping[str, Expression] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)  # those that the task says more of
    names: Mapping[str, str] = field(default_factory=dict)
    custom_functions: str | None = None

    def may_be_output(self, name: str) -> bool:
        """Whether a name is that of an output rather than of a column."""
        if self.density_ratio is not None:
            return name == RATIO
        return self.labels is not None and self.labels.may_be_output(name)

    @property
    def derived_columns(self) -> dict[str, tuple[str, ...]]:
        """Derived output -> the columns and new variables that it reads beside outputs."""
        columns: dict[str, tuple[str, ...]] = {}
        for name, expression in self.derived_outputs.items():
            own = []
            for read in sorted(expression.names):
                # of derived outputs, those above may be used
                if not self.may_be_output(read) and read not in columns:
                    own.append(read)
            columns[name] = tuple(own)
        return columns

    @property
    def derived_inputs(self) -> InputGroup | None:
        """The raw columns that what leaves is computed from, one number a row; None without such.

        They are a group of a batch and of an exported graph, which the network does not see.
        """
        names = [name for columns in self.derived_columns.values() for name in columns]
        names += self.transform_columns
        if not names:
            return None
        variables = tuple(Variable(name=name) for name in dict.fromkeys(names))
        return InputGroup(name=DERIVED_INPUTS, variables=variables)

    @property
    def batch_groups(self) -> dict[str, InputGroup]:
        """The input groups of a batch: those of the network, then ``derived_inputs``."""
        groups = dict(self.inputs)
        if self.derived_inputs is not None:
            groups[DERIVED_INPUTS] = self.derived_inputs
        return groups

    @property
    def input_names(self) -> list[str]:
        """Input groups in the order of the YAML: the order of the network's arguments."""
        return list(self.inputs)

    @property
    def input_dicts(self) -> dict[str, list[str]]:
        """Group -> names of its variables."""
        return {name: group.names for name, group in self.inputs.items()}

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Group -> (-1, C, P), or (-1, C) for scalars."""
        return {name: group.shape for name, group in self.inputs.items()}

    @property
    def label_names(self) -> list[str]:
        """Names of the label tensors of a batch: ``_label_`` for classes, then all targets."""
        if self.labels is None:
            return []
        targets = [name for name in self.labels.expressions if name not in self.labels.classes]
        if self.labels.classes:
            return [CLASS_LABEL, *targets]
        return targets

    @property
    def label_value(self) -> list[str] | dict[str, str]:
        """The classes, where there is nothing else to learn; else name -> expression of all labels.

        Of mixed labels, classes come first, then targets, then object targets.
        """
        if self.labels is None:
            return []
        if self.labels.kind == "simple":
            return list(self.labels.classes)
        return {name: expression.source for name, expression in self.labels.expressions.items()}

    @property
    def label_type(self) -> str | None:
        """``simple``, ``custom``, ``per_object`` or, for several of them, ``mixed``."""
        return None if self.labels is None else self.labels.kind

    @property
    def regressed_group(self) -> str | None:
        """The input group whose objects have the targets of a regression; None for rows."""
        if self.labels is None or self.labels.kind != "per_object":
            return None
        if self.task is None or self.task.name != "regression":
            return None
        [group] = self.labels.object_targets
        return group

    @property
    def target_masks(self) -> dict[str, str]:
        """Real target, of rows or of objects, -> the label that is its mask, where there is one."""
        if self.labels is None:
            return {}
        return self.labels.masks if self.regressed_group is None else self.labels.regressed.masks

    @property
    def object_label_names(self) -> dict[str, list[str]]:
        """Labelled group -> what a batch holds for its objects: labels, then windows of targets."""
        names: dict[str, list[str]] = {}
        if self.labels is None:
            return names
        for group, labels in self.labels.object_targets.items():
            windows = self.windows if group == self.regressed_group else {}
            names[group] = [*labels, *map(window_label, windows)]
        return names

    @property
    def windows(self) -> dict[str, Expression]:
        """Target -> which rows (or objects) of it are learnt, where the task says that."""
        if self.labels is None:
            return {}
        return {
            name: target.window
            for name, target in self.targets.items()
            if target.window is not None
        }

    @property
    def original_indices(self) -> list[str]:
        """The columns of original places that the object selections make."""
        return [selection.original_index for selection in self.objects.values()]

    def is_in_file(self, name: str) -> bool:
        """Whether a name means a column of the files, and nothing that is made of them."""
        is_made = name in self.new_variables or name in self.file_magic
        return not is_made and name not in self.original_indices

    @property
    def needs_groups(self) -> bool:
        """Whether a column depends on the group of files that a row is of."""
        patterns = [pattern for values in self.file_magic.values() for pattern in values]
        return any(group_of(pattern) is not None for pattern in patterns)

    @property
    def observer_names(self) -> tuple[str, ...]:
        """Columns that are copied to the prediction file."""
        return self.observers + self.optional_observers

    @property
    def preprocess_params(self) -> dict[str, dict[str, Any]]:
        """How each variable is scaled, as ``preprocess.params`` of a YAML has it.

        Variable -> length, pad_mode, center, scale, min, max, pad_value.
        """
        params = {}
        for group, variable in self.input_variables():
            params[variable.name] = {
                "length": group.length,
                "pad_mode": group.pad_mode,
                "center": variable.center,
                "scale": variable.scale,
                "min": variable.low,
                "max": variable.high,
                "pad_value": variable.pad,
            }
        return params

    def input_variables(self) -> Iterator[tuple[InputGroup, Variable]]:
        """Each variable of each group; one that is in two groups comes twice."""
        for group in self.inputs.values():
            for variable in group.variables:
                yield group, variable

    def __getattr__(self, name: str) -> Any:
        """AttributeError for what a data YAML does not have, with the nearest that it has."""
        # copy and pickle ask for such names before the attributes are there
        if name.startswith("__"):
            raise AttributeError(name)
        known = [key for key in dir(type(self)) if not key.startswith("_")]
        closest = nearest(name, known, most=MAX_ATTRIBUTES)
        raise AttributeError(f"the data config has no attribute {name!r}; {closest}")

    @property
    def needs_statistics(self) -> bool:
        """Whether some variable's center is still to be computed from training data."""
        return any(variable.center == "auto" for _, variable in self.input_variables())

    @property
    def needs_target_statistics(self) -> bool:
        """Whether mean and deviation of some target are still to be computed."""
        steps = [step for target in self.targets.values() for step in target.transform]
        return any(step.needs_statistics for step in steps)

    @property
    def needs_class_sums(self) -> bool:
        """Whether the sums of weights of two samples are still to be computed."""
        return self.density_ratio is not None and not self.density_ratio.sums

    @property
    def needs_bins(self) -> bool:
        """Whether the bins of some decorrelated variable are still to be made of training data."""
        chosen = self.decorrelation
        return chosen is not None and set(chosen.edges) != set(chosen.variables)
