"""Columns that hold places of other objects, such as ``JetPFCands_jetIdx`` of NanoAOD.

They count all objects of the file. Where an object selection has left some of those out, such a
column points to other objects, of which nothing tells. :func:`check_index_columns` refuses it in
an expression unless that reads the original places too (``_reindex(JetPFCands_jetIdx,
jets_original_index)``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.places import expressions_of_rows, names_alone, row_selections
from weaver_tt.config.schema import DataConfig, ObjectSelection
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.formats.reader import identifier_of
from weaver_tt.log import log

# places in the collection that the column itself is of: GenPart_genPartIdxMother of NanoAOD,
# Particle.M1 and .D2 of Delphes, MCParticles.parents_begin of EDM4hep
RELATIVES = re.compile(
    r"(?P<owner>Particle)_[MD][12]|(?P<parent>\w+?)_(?:"
    r"\w*(?:[Mm]other|[Dd]aughter|[Pp]arent)s?(?:Idx|Index|_idx|_index)\w*"
    r"|\w*(?:Idx|Index)(?:Mother|Daughter|Parent)\w*"
    r"|(?:parents|daughters)_(?:begin|end|index))"
)
# Electron_jetIdx, FatJet_subJetIdx1 of NanoAOD, JetPFCands_jetIdx of PFNano; track_jet_index
INDEX = re.compile(
    r"(?:(?P<owner>\w+?)_)?(?P<target>[A-Za-z0-9]+?)_?(?:Idx|Index|idx|index)(?:[A-Z0-9]\w*)?"
)
# AnalysisJetsAuxDyn.btaggingLink.m_persIndex of ATLAS
LINK = re.compile(
    r"(?:(?P<owner>\w+?)_)?(?P<target>[A-Za-z0-9]+?)(?:(?:Links?)?_m_persIndex|Links?)"
)
# Jets.particles_begin of EDM4hep
RANGE = re.compile(r"(?:(?P<owner>\w+?)_)?(?P<target>[A-Za-z0-9]+)_(?:begin|end)")
# nJet of NanoAOD, Jet_size of Delphes
COUNT = re.compile(r"n(?:um)?_?(?P<before>[A-Za-z0-9]+)|(?P<after>\w+)_size")

Certainty = Literal["certain", "likely"]


@dataclass(frozen=True, slots=True)
class IndexUse:
    """An index column in the collection of ``selection``, and how sure its name makes that."""

    column: str
    selection: ObjectSelection
    certainty: Certainty


def check_original_indices(config: DataConfig) -> None:
    """Check that ``GROUP_original_index`` means that alone, and is used once it exists.

    Raises:
        ConfigError: another column has this name, or an object selection uses its own, or that of
            a later one.
    """
    done: list[str] = []
    for name, selection in config.objects.items():
        where = f"{config.source}: object_selection.{name}"
        if selection.original_index in (*config.new_variables, *config.file_magic):
            raise ConfigError(
                f"{where}: {selection.original_index!r} is the original place of the objects that "
                "pass, and cannot have another meaning; rename the other column"
            )
        for used in dependency_order(config, selection.expression.names):
            if used in config.original_indices and used not in done:
                raise ConfigError(
                    f"{where}: {used!r} exists once the objects are selected; of all objects, the "
                    "place is ak.local_index(COLUMN), and selections are applied in their order"
                )
        done.append(selection.original_index)


def check_index_columns(config: DataConfig) -> None:
    """Refuse, or warn of, columns of places or numbers of objects that were filtered.

    The object selections themselves may use them, as they see all objects.

    Raises:
        ConfigError: an expression or an input would take places of the file for places among the
            objects that passed.
    """
    if not config.objects:
        return
    copied = (*config.observer_names, *config.monitor_variables)
    names = list(copied)
    for where, expression in (row_selections(config) | expressions_of_rows(config)).items():
        _check_names(expression.names, expression.names, f"{config.source}: {where}", config)
        names += expression.names
    for where, alone in names_alone(config).items():
        if where not in ("observers", "monitor_variables"):
            _check_names(alone, frozenset(), f"{config.source}: {where}", config)
            names += alone
    _check_new_variables(names, config)
    for name in copied:
        for use in _index_uses([name], config):
            if use.selection.original_index not in copied:
                log.warning(
                    "%s: %r counts all objects of %r, of which only those that pass %r are "
                    "written; %r beside it tells which they are",
                    config.source,
                    name,
                    use.selection.group,
                    use.selection.expression.source,
                    use.selection.original_index,
                )


def check_expression(expression: Expression, where: str, config: DataConfig) -> None:
    """The same for one more expression that is evaluated on the objects that passed."""
    _check_names(expression.names, expression.names, where, config)
    _check_new_variables(expression.names, config)


def _check_new_variables(names: Iterable[str], config: DataConfig) -> None:
    """The same for the new variables that ``names`` are made of."""
    for name in dependency_order(config, names):
        if name in config.new_variables:
            expression = config.new_variables[name]
            where = f"{config.source}: new variable {name!r}"
            _check_names(expression.names, expression.names, where, config)


def _check_names(
    names: Iterable[str], beside: frozenset[str], where: str, config: DataConfig
) -> None:
    """Check the columns ``names`` of an expression that reads ``beside`` as well."""
    for use in _index_uses(sorted(names), config):
        chosen = use.selection
        if chosen.original_index in beside:
            continue
        message = (
            f"{where}: {use.column!r} counts all objects of {chosen.group!r}, but "
            f"object_selection.{chosen.group} leaves only those with {chosen.expression.source!r}"
        )
        helper = f"_reindex({identifier_of(use.column)}, {chosen.original_index})"
        if use.certainty == "certain":
            raise ConfigError(
                f"{message}; {helper} gives their places among these, -1 for the others "
                "(`index_columns: []` of the selection if it is no such index)"
            )
        log.warning("%s, if it is an index of these; then %s gives the places", message, helper)
    for name in sorted(names):
        for chosen in config.objects.values():
            if _counts_objects(name, chosen):
                log.warning(
                    "%s: %r is the number of all objects of the file; that of the objects which "
                    "pass %r is ak.num(COLUMN) of one of their columns",
                    where,
                    name,
                    chosen.expression.source,
                )


def _index_uses(names: Iterable[str], config: DataConfig) -> Iterator[IndexUse]:
    """Those of the columns ``names`` that are places in a collection whose objects are selected."""
    for name in names:
        if not config.is_in_file(name):
            continue
        for chosen in config.objects.values():
            certainty = is_index_of(name, chosen)
            if certainty is not None:
                yield IndexUse(name, chosen, certainty)


def is_index_of(column: str, chosen: ObjectSelection) -> Certainty | None:
    """Whether a column holds places of the objects of ``chosen``, as far as its name tells."""
    if chosen.index_columns is not None:
        listed = any(fnmatchcase(column, pattern) for pattern in chosen.index_columns)
        return "certain" if listed else None
    name = identifier_of(column)
    collections = _collections(chosen)
    relative = RELATIVES.fullmatch(name)
    if relative is not None:
        return "certain" if _stem(relative["owner"] or relative["parent"]) in collections else None
    # jet_index beside jet_pt is the number of the jet itself
    if chosen.filters(column):
        return None
    for pattern in (LINK, RANGE, INDEX):
        found = pattern.fullmatch(name)
        if found is None:
            continue
        target = _stem(found["target"])
        owner = _stem(found["owner"] or "")
        for collection in collections:
            if _points_into(collection, target, owner):
                return "certain"
        # other names than those of the collections: trackParticleLinks, _Jets_particles.index
        is_loose = pattern is not INDEX or name.startswith("_")
        stems = {*collections, _stem(chosen.group)}
        if is_loose and any(target in stem or stem in target for stem in stems):
            return "likely"
        return None
    return None


def _points_into(collection: str, target: str, owner: str) -> bool:
    """Whether ``OWNER_targetIdx`` counts the objects of a collection; all are stems."""
    if collection != target:
        # FatJetPFCands_jetIdx counts FatJets
        return collection.endswith(target) and owner.startswith(collection)
    # ... and so no Jets
    before, found, after = owner.partition(target)
    return not (found and before and after)


def _counts_objects(column: str, chosen: ObjectSelection) -> bool:
    """Whether a column is the number of objects in each row of the file."""
    found = COUNT.fullmatch(identifier_of(column))
    return found is not None and _stem(found["before"] or found["after"]) in _collections(chosen)


def _collections(chosen: ObjectSelection) -> set[str]:
    """Stems of what the filtered columns are called by: ``jet`` for ``Jet_*``.

    The group is one of them (of columns ``pt``, ``eta``), unless theirs is a longer name of it:
    a group ``jets`` of ``FatJet_*`` is called ``fatjet`` alone.
    """
    found = set()
    for pattern in chosen.columns:
        prefix, underscore, _ = identifier_of(pattern).partition("_")
        if prefix and underscore:
            # AnalysisJetsAuxDyn.pt is of the collection AnalysisJets
            found.add(_stem(re.sub(r"Aux(?:Dyn)?$", "", prefix)))
    group = _stem(chosen.group)
    is_longer = any(group in stem for stem in found)
    return found if is_longer else {*found, group}


def _stem(name: str) -> str:
    """A name without what differs between the spellings of a collection: case, plural."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removesuffix("s")
