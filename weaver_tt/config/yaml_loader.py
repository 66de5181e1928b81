"""Reading YAML without code and without bombs: its size is counted before anything is made of it.

A few lines of YAML can stand for gigabytes: an alias repeats what its anchor holds, and aliases of
aliases repeat it exponentially. The loader counts what aliases and merge keys stand for while the
text is parsed, and refuses a document beyond the limits below. They lie far above what a
configuration holds, weight tables of hundreds of classes included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

MAX_CHARACTERS = 50_000_000
MAX_NODES = 2_000_000  # keys, values, lists and mappings as they are written
MAX_ALIASED_NODES = 100_000  # the same, as aliases and merge keys repeat them
MAX_DEPTH = 100  # of lists and mappings inside each other, aliases included
MAX_DIGITS = 100  # of a number

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class _Extent:
    """How large a node is, with all that its aliases stand for."""

    nodes: int
    depth: int


def _refusal(problem: str, place: yaml.NodeEvent | yaml.Node) -> ComposerError:
    """The error for what is too large, or no text, at the beginning of ``place``."""
    mark: Any = place.start_mark
    return ComposerError(None, None, problem, mark)


class BoundedLoader(yaml.SafeLoader):
    """YAML without tags that run code; limited in size; a key written twice is an error.

    PyYAML alone would let the last one win.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._written = 0
        self._aliased = 0
        # depth of what has been read inside of each node that is being read, outermost first
        self._depths = [0]
        # the node that an anchor names -> its extent, once all of it has been read
        self._anchored: dict[int, _Extent] = {}

    # --- counting, while the text is parsed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node of the text; counts it with all that is inside."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            self._count_alias(node, event)
            return node
        self._written += 1
        if self._written > MAX_NODES:
            raise _refusal(f"more than {MAX_NODES} keys and values", event)
        if len(self._depths) > MAX_DEPTH:
            raise _refusal(f"nested more than {MAX_DEPTH} deep", event)
        counted_before = self._written + self._aliased
        self._depths.append(0)
        node = super().compose_node(parent, index)
        depth = 1 + self._depths.pop()
        self._depths[-1] = max(self._depths[-1], depth)
        if node is not None and event.anchor is not None:
            nodes = 1 + self._written + self._aliased - counted_before
            self._anchored[id(node)] = _Extent(nodes, depth)
        return node

    def _count_alias(self, node: yaml.Node | None, event: yaml.AliasEvent) -> None:
        """Count what an alias repeats."""
        extent = self._anchored.get(id(node))
        if extent is None:
            raise _refusal(f"*{event.anchor} stands inside of what it repeats", event)
        self._aliased += extent.nodes
        if self._aliased > MAX_ALIASED_NODES:
            raise _refusal(f"aliases repeat more than {MAX_ALIASED_NODES} keys and values", event)
        self._depths[-1] = max(self._depths[-1], extent.depth)
        # the level of this node, and the levels below it
        if len(self._depths) + extent.depth - 1 > MAX_DEPTH:
            raise _refusal(f"nested more than {MAX_DEPTH} deep", event)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """The next text or number; a number is not longer than any number needs to be."""
        node = super().compose_scalar_node(anchor)
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise _refusal(f"a number of more than {MAX_DIGITS} characters", node)
        try:
            node.value.encode()
        except UnicodeEncodeError:
            # "\ud800": half of a character, which no file can hold
            raise _refusal("text that is not Unicode", node) from None
        return node

    # --- construction

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node.

        PyYAML reports ``!!int 'x'`` and dates that do not exist by whatever its code runs into.
        """
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            shown = repr(node.value[:60]) if isinstance(node.value, str) else "this"
            problem = f"{shown} is no {kind} ({error})"
            raise ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, each key of which is written once."""
        seen: set[Any] = set()
        # !!map may be written before a list: the error is PyYAML's
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key_node, _ in pairs:
            # `<<: *base` may bring keys that the mapping then replaces
            if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                problem = f"key {key!r} is written twice"
                raise ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
