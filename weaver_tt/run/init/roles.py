"""What a column is for, as far as its name and its values tell."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weaver_tt.run.init.columns import Column, Integers

IDENTIFIERS = re.compile(
    # alone, or of the header of an event (EDM4hep, PHYSLITE)
    r"(?i)(event(header|info)\w*_)?"
    r"(run|lumi|luminosityBlock|event|run_?num(ber)?|lumi_?block_?num(ber)?|evt_?num(ber)?"
    r"|event_?num(ber)?|entry|event_entry|object_place|mc_?channel_?number)"
)
WEIGHT = re.compile(r"(?i).*(weight|wgt)(?!s?_?(up|down))")
# corrections, which multiply the weight of an event and are not that weight
CORRECTION = re.compile(r"(?i).*(pu|pile_?up|beam_?spot|prefir\w*)_?(weight|wgt).*")
PLACE = re.compile(
    r"\w*?(Idx|Index|_idx|_index|Link|persIndex|persKey)[A-Z0-9]?\w*"
    # ranges of EDM4hep
    r"|\w+_(begin|end)"
)
MASK = re.compile(r"\w*(_mask|Mask)")
# numbers that are names: of particles and crystals, and of the working points of an identification
CODE = re.compile(
    r"\w*([a-z0-9](Id|ID)(Loose|Medium|Tight)?|_(id|pid|PID|pdgid|PDG|type)|cutBased\w*|_WP\w*"
    r"|seedi(Eta|Phi)\w*)"
)
MASS = re.compile(r"(?i)\w*_(mass|m)")
LEAST_MASS = 1e-3  # GeV: below that, what a file has for a mass is rounding
# outputs of other networks, from which a new one would learn little more
TAGGER = re.compile(
    r"(?i).*(btag|ctag|deepcsv|deepflav|deeptag|particlenet|pnet|robustpart|upart|inclparticle"
    r"|_score|dl1|gn[12]v?|discriminant|taggervalue).*"
)
BITS = re.compile(r"(?i).*(bit_?(map|mask)|_bits|statusflags).*")
TRUTH = re.compile(
    r"(aux_|Sub)?([Gg]en|GEN)(_|[A-Z]|part|jet|met|lep|erator)\w*"
    r"|(truth|Truth|true_|mc_|MC|LHE|HTXS|Pileup_|PSWeight)\w*"
    r"|\w*(_gen|_truth|_mc|[Ff]lavou?r|TruthLabel|MCP|MCTruth|nBHadrons|nCHadrons|PartonId)\w*"
)
# columns that generated particles alone have, of EDM4hep and of Delphes
GENERATED = (("_generatorStatus",), ("_M1", "_D1"))
TRIGGER = re.compile(r"(HLT|L1|Flag|DST|trig|TrigMatch)_?\w*|\w*Filter\w*")
LABEL = re.compile(
    r"(?P<family>(?:\w+?_)?(?:label|is|target|class|truth)_?|)(?P<class>[A-Za-z]\w*|)"
)
CLASS_NUMBER = re.compile(
    r"(?i)(\w+_)?(label|class|target|truth|flavou?r|category|process|y)(_?id)?"
)
FLAVOUR = re.compile(r"\w*(hadronFl|HadronFl|TruthLabel|[Ff]lavou?r)\w*")
# PDG numbers of flavours -> the class
FLAVOURS = {5: "b", 4: "c", 15: "tau", 21: "gluon"}


@dataclass(frozen=True)
class GuessedLabels:
    """What is to be learnt, and the lines of the data YAML that it takes.

    ``variables`` are new variables; ``classes`` are their names or those of columns. Where a column
    holds the number of a class, ``number`` is that column and ``classes`` are 0, 1, ... of it.
    ``file_values`` are classes that the group of a file tells: class -> pattern.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    remark: str
    variables: Mapping[str, str]
    number: str | None = None
    file_values: Mapping[str, str] | None = None


def find_labels(columns: Sequence[Column]) -> GuessedLabels | None:
    """Of columns with one value for each row, those that say what a row is; None without any."""
    families: dict[str, list[Column]] = {}
    for column in columns:
        name = LABEL.fullmatch(column.name)
        is_label = name is not None and name["family"] and name["class"]
        if column.is_flag and is_label and not TRIGGER.fullmatch(column.name):
            assert name is not None
            families.setdefault(name["family"], []).append(column)
    # a single flag of objects, Jet_isMatched, is hardly what they are to be told apart by
    weak = {name for name, family in families.items() if len(family) == 1 and name.endswith("_is")}
    strong = [family for name, family in families.items() if name not in weak]
    for family in sorted(strong, key=len, reverse=True):
        found = _of_flags(family)
        if found is not None:
            return found
    for column in columns:
        if CLASS_NUMBER.fullmatch(column.name) and not column.is_constant:
            found = _of_flavour(column) if FLAVOUR.fullmatch(column.name) else _of_number(column)
            if found is not None:
                return found
    flavours = [column for column in columns if FLAVOUR.fullmatch(column.name)]
    # of hadrons rather than of partons
    for column in sorted(flavours, key=lambda column: "adron" not in column.name):
        found = _of_flavour(column)
        if found is not None:
            return found
    for single in sorted(weak):
        found = _of_flags(families[single])
        if found is not None:
            return found
    return None


def _of_flags(family: Sequence[Column]) -> GuessedLabels | None:
    """Classes of 0/1 columns of which one is set in each row; with a class of all others."""
    names = tuple(column.name for column in family)
    values = [column.row_values for column in family if column.row_values is not None]
    sums = np.sum(values, axis=0)  # (R,) how many are set
    # several are set, or none in any row
    if sums.max() != 1:
        return None
    rows = [int(of_column.sum()) for of_column in values]
    shown = ", ".join(f"{name} {number:,}" for name, number in zip(names, rows, strict=True))
    if sums.min() == 1 and len(names) > 1:
        return GuessedLabels(names, names, f"rows of each among those looked at: {shown}", {})
    other = f"no_{names[0]}" if len(names) == 1 else "label_other"
    text = f"({' + '.join(names)}) == 0"
    others = int((sums == 0).sum())
    remark = f"rows of each among those looked at: {shown}, {other} {others:,}"
    return GuessedLabels(names, (*names, other), remark, {other: text})


def _of_number(column: Column) -> GuessedLabels | None:
    """Classes of a column of the numbers 0, 1, ..., or of a few other numbers."""
    if column.distinct is None or len(column.distinct) < 2:
        return None
    least, most = column.distinct[0], column.distinct[-1]
    found = len(column.distinct)
    if least == 0 and most < 4 * found:
        classes = tuple(f"{column.name}_{number}" for number in range(most + 1))
        remark = (
            f"the values 0 to {most} of {column.name}, {found} of which are among the rows looked "
            "at; raise it if there are more"
        )
        return GuessedLabels((column.name,), classes, remark, {}, number=column.name)
    variables = {
        f"{column.name}_{str(number).replace('-', 'minus_')}": f"{column.name} == {number}"
        for number in column.distinct
    }
    remark = f"the values of {column.name} among the rows looked at; add what is missing"
    return GuessedLabels((column.name,), tuple(variables), remark, variables)


def _of_flavour(column: Column) -> GuessedLabels | None:
    """Classes of jets by the flavour that simulation gives them: b, c, tau, gluon, light."""
    if column.distinct is None or column.row_values is None:
        return None
    of_rows = abs(column.row_values)
    present = {number: name for number, name in FLAVOURS.items() if (of_rows == number).any()}
    variables = {
        f"label_{name}": f"abs({column.name}) == {number}" for number, name in present.items()
    }
    if not present:
        return None
    others = " & ".join(f"(abs({column.name}) != {number})" for number in present)
    variables["label_light"] = others
    rows = {name: int((of_rows == number).sum()) for number, name in present.items()}
    rows["light"] = len(of_rows) - sum(rows.values())
    shown = ", ".join(f"{name} {number:,}" for name, number in rows.items())
    remark = f"by {column.name}; among the rows looked at: {shown}"
    return GuessedLabels((column.name,), tuple(variables), remark, variables)


def find_weight(columns: Iterable[Column]) -> tuple[Column | None, list[str]]:
    """The weight of a row, and all columns whose names say that they are weights.

    A correction alone, such as that for pile-up, is not the weight of a row.
    """
    found = [column for column in columns if WEIGHT.match(column.name)]
    usual = [column for column in found if column.name in ("weight", "genWeight", "event_weight")]
    whole = [column for column in found if not CORRECTION.fullmatch(column.name)]
    chosen = [column for column in (*usual, *whole) if column.counts is None]
    return (chosen[0] if chosen else None), [column.name for column in found]


def generated_collections(names: Collection[str]) -> set[str]:
    """Collections of generated particles among columns, whatever the collections are called.

    ``Particle`` of Delphes and of FCC's EDM4hep: the status or the mothers and daughters say it.
    """
    found: set[str] = set()
    for endings in GENERATED:
        having = []
        for ending in endings:
            having.append({name.removesuffix(ending) for name in names if name.endswith(ending)})
        found |= set.intersection(*having)
    return found


def reason_to_leave_out(
    column: Column, all_counts: Iterable[Integers], generated: Collection[str] = ()
) -> str | None:
    """Why a column is no input; None where it may be one.

    ``generated`` are collections of generated particles (:func:`generated_collections`).
    """
    if any(column.name.startswith(f"{collection}_") for collection in generated):
        return "truth, which data do not have"
    if IDENTIFIERS.fullmatch(column.name):
        return "names of the event"
    if TRUTH.fullmatch(column.name):
        return "truth, which data do not have"
    if TRIGGER.fullmatch(column.name):
        return "trigger and filter bits"
    if PLACE.fullmatch(column.name):
        return "places of other objects"
    if BITS.fullmatch(column.name):
        return "bits packed into one number: (X & 4) != 0 makes an input of one"
    if column.is_constant:
        return "constant in the rows looked at"
    if CODE.fullmatch(column.name) and column.distinct is not None:
        return "codes, whose size says nothing: X == 4 makes an input of one"
    if MASK.fullmatch(column.name) and column.is_flag:
        return "masks, which say what is an object"
    if (
        MASS.fullmatch(column.name)
        and max(abs(column.low or 0), abs(column.high or 0)) < LEAST_MASS
    ):
        return "masses that are rounding alone"
    if TAGGER.fullmatch(column.name):
        return "outputs of other taggers: a network that is given them learns little else"
    if is_count(column, all_counts):
        return "numbers of objects"
    return None


def is_count(column: Column, all_counts: Iterable[Integers]) -> bool:
    """Whether a column is the number of objects of each row, in one of the collections."""
    values = column.row_values
    return values is not None and any((counts == values).all() for counts in all_counts)
