"""Particle Transformer, version 1 as published (H. Qu, C. Li, S. Qian, "Particle Transformer for Jet Tagging", arXiv:2202.03772).

Options, parameters and their shapes are named as in weaver-core 0.5.3, so that its network files and weights work here and give the same outputs.

Shapes: N jets, P slots, C features of a particle, D = ``embed_dims[-1]``, K classes; M real particles of all jets in one list (see ``rows.py``).
Ours differs in that padding takes no part in anything, statistics of batch norm included, and that a jet without particles has a finite output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.nn.layers.attention import Block, BlockOptions, ClassBlock, find_activation
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.models.pair_embedding import PairEmbed, dense_pairs, padding_bias
from weaver_tt.nn.objects.pairwise import make_layout
from weaver_tt.nn.objects.ragged import ObjectRows, make_object_rows
from weaver_tt.nn.objects.real_objects import join_masks, real_slots
from weaver_tt.nn.objects.trimming import trim_longest

# options of weaver-core that belong to later versions or other tasks, with the only value known here
FIXED_OPTIONS: dict[str, Any] = {
    "pair_input_type": "pp",
    "use_conv_embed": False,
    "include_global_token": False,
    "version": 1,
    "for_segmentation": False,
}


class Embed(nn.Module):
    """Features of each particle -> D: batch norm, then layers of layer norm, linear, activation."""

    def __init__(self, input_dim: int, sizes: Sequence[int], activation: type[nn.Module]) -> None:
        super().__init__()
        self.input_bn = ObjectNorm(input_dim)
        layers: list[nn.Module] = []
        for size in sizes:
            layers += [nn.LayerNorm(input_dim), nn.Linear(input_dim, size), activation()]
            input_dim = size
        self.embed = nn.Sequential(*layers)

    def forward(self, values: Tensor, real: Tensor | None = None) -> Tensor:
        """(…, C) -> (…, D); ``real``: see :class:`~weaver_tt.nn.layers.norm.ObjectNorm`."""
        return self.embed(self.input_bn(values, real))


class ParticleTransformer(nn.Module):
    """Particles of a jet, with a bias for the attention of each pair of them -> scores of the jet (N, K).

    :param input_dim: C; with ``embed_dims=[]`` particles come embedded, (N, P, D) instead of (N, C, P)
    :param num_classes: K; with ``fc_params=None`` the output is the class token (N, D), a body to put another head on
    :param pair_input_dim: features of each pair made from four-vectors: 0, 1, 3 or 4 (see ``pair_features.py``)
    :param pair_extra_dim: features of each pair that are given to ``forward``
    :param remove_self_pair: no bias for the attention of a particle to itself
    :param use_pre_activation_pair: leave out the activation after the last layer of the pair embedding
    :param block_params: options of the blocks of particles over the defaults of :class:`~weaver_tt.nn.layers.attention.BlockOptions`
    :param cls_block_params: the same for the blocks of the class token, whose dropout is 0 by default
    :param block_ids_with_attn_mask: blocks that see the bias (default: all)
    :param num_cls_layers: 0 takes the mean over particles in place of a class token
    :param fc_params: (size, dropout) or (size, dropout, "gelu") of each hidden layer of the head
    :param trim: leave out some particles of the longest jets in training (see ``trimming.py``)
    :param for_inference: no trimming, and a softmax on the output (not for files of ours: the task adds it)
    :param use_amp: accepted as in weaver-core, where bf16 is the trainer's affair too: ``--use-amp``
    :raises ConfigError: an option of a later version (``version``, ``use_conv_embed``, …), or sizes that do not fit
    """

    def __init__(
        self,
        input_dim: int,
        num_classes: int | None = None,
        pair_input_type: str = "pp",
        pair_input_dim: int | None = None,
        pair_extra_dim: int = 0,
        remove_self_pair: bool = False,
        use_pre_activation_pair: bool = True,
        use_conv_embed: bool = False,
        embed_dims: Sequence[int] = (128, 512, 128),
        pair_embed_dims: Sequence[int] | None = (64, 64, 64),
        pair_embed_sparse_eval: Any = None,
        num_heads: int = 8,
        num_layers: int = 8,
        block_params: Mapping[str, Any] | None = None,
        block_ids_with_attn_mask: Sequence[int] | None = None,
        include_global_token: bool = False,
        num_cls_layers: int = 2,
        cls_block_params: Mapping[str, Any] | None = None,
        fc_params: Sequence[Sequence[Any]] | None = (),
        activation: str = "gelu",
        version: float = 1,
        weight_init: str | None = "moco",
        fix_init: bool = True,
        trim: bool = True,
        for_inference: bool = False,
        for_segmentation: bool = False,
        use_amp: bool = False,
        compile_model: bool = False,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in FIXED_OPTIONS}
        super().__init__()
        for name, value in given.items():
            if value != FIXED_OPTIONS[name]:
                raise ConfigError(
                    f"ParticleTransformer: {name}={value!r} is not supported, only {FIXED_OPTIONS[name]!r}: this is version 1, as published"
                )
        kind = find_activation(activation, "ParticleTransformer")
        size = self.size = embed_dims[-1] if embed_dims else input_dim  # D
        defaults: dict[str, Any] = {
            "embed_dim": size,
            "num_heads": num_heads,
            "activation": activation,
        }
        still: dict[str, Any] = {"dropout": 0.0, "attn_dropout": 0.0, "activation_dropout": 0.0}
        options = BlockOptions.read(block_params, "block_params", **defaults)
        cls_options = BlockOptions.read(cls_block_params, "cls_block_params", **defaults, **still)
        self.for_inference, self.use_amp, self.trim, self.dense = (
            for_inference,
            use_amp,
            trim and not for_inference,
            False,
        )
        self.embed = Embed(input_dim, embed_dims, kind) if embed_dims else nn.Identity()
        lorentz = 4 if pair_input_dim is None else pair_input_dim
        self.pair_embed = None
        if pair_embed_dims is not None and lorentz + pair_extra_dim > 0:
            sizes = (*pair_embed_dims, options.num_heads)
            self.pair_embed = PairEmbed(
                lorentz,
                pair_extra_dim,
                sizes,
                nn.GELU,
                not use_pre_activation_pair,
                not remove_self_pair,
            )
        self.biased = set(
            range(num_layers) if block_ids_with_attn_mask is None else block_ids_with_attn_mask
        )
        self.blocks = nn.ModuleList(Block(options) for _ in range(num_layers))
        self.cls_blocks = (
            nn.ModuleList(ClassBlock(cls_options) for _ in range(num_cls_layers))
            if num_cls_layers
            else None
        )
        self.norm = nn.LayerNorm(size)
        self.fc = class_head(size, fc_params, num_classes)
        self.cls_token = (
            nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, 1, size), std=0.02))
            if num_cls_layers
            else None
        )
        initialize_weights(self, weight_init, fix_init)

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay should leave alone."""
        return {"cls_token"}

    def forward(
        self,
        x: Tensor,
        v: Tensor | None = None,
        mask: Tensor | None = None,
        uu: Tensor | None = None,
        uu_idx: Tensor | None = None,
    ) -> Tensor:
        """Scores (N, K), or class tokens (N, D) without a head.

        :param x: features (N, C, P), or embedded particles (N, P, D) with ``embed_dims=[]``
        :param v: four-vectors (N, 4, P) px, py, pz, E
        :param mask: (N, 1, P), not 0 for real particles; None: all are real
        :param uu: features of pairs (N, C', P, P), or (N, C', R) of the pairs listed in ``uu_idx`` (N, 2, R); an index of P or more is padding
        """
        x = x.transpose(1, 2) if isinstance(self.embed, nn.Identity) else x
        real = (
            x.new_ones(x.shape[0], x.shape[2], dtype=torch.bool)
            if mask is None
            else real_slots(mask)
        )
        rows = make_object_rows(
            trim_longest(real) if self.trim and self.training else real, self.dense
        )
        values = self.embed(rows.gather(x))  # (M, D)
        biases = self._biases(
            rows, v, uu if uu is None or uu_idx is None else dense_pairs(uu, uu_idx, x.shape[2])
        )
        padding = padding_bias(rows)
        for number, block in enumerate(self.blocks):
            values = block(values, rows, biases if number in self.biased else padding)
        output = rows.restore_order(self.norm(self._pool(values, rows)))
        if self.fc is None:
            return output
        output = self.fc(output)
        return output.softmax(1) if self.for_inference else output

    def _biases(
        self, rows: ObjectRows, v: Tensor | None, uu: Tensor | None
    ) -> Sequence[Tensor | None]:
        """Attention bias of each group."""
        if self.pair_embed is None or (v is None and uu is None):
            return padding_bias(rows)
        return self.pair_embed(rows, None if v is None else rows.gather(v), uu)

    def _pool(self, values: Tensor, rows: ObjectRows) -> Tensor:
        """Particles (M, D) -> one for each jet (N, D), in the order of the groups."""
        if self.cls_blocks is None:
            return rows.mean_row(values)
        count = sum(group.rows for group in rows.groups)
        assert self.cls_token is not None
        token = self.cls_token[0].repeat(
            count, 1
        )  # a copy: torch's FLOP counter fails on views of parameters
        for block in self.cls_blocks:
            token = block(token, values, rows)
        return token


class ParticleTransformerTagger(nn.Module):
    """The same for two kinds of objects in a jet, particles (PF) and secondary vertices (SV), each with an embedding of its own.

    ``options``: those of :class:`ParticleTransformer` but for its ``input_dim``.
    """

    def __init__(
        self,
        pf_input_dim: int,
        sv_input_dim: int,
        num_classes: int | None = None,
        embed_dims: Sequence[int] = (128, 512, 128),
        activation: str = "gelu",
        trim: bool = True,
        for_inference: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.trim, self.dense = trim and not for_inference, False
        kind = find_activation(activation, "ParticleTransformerTagger")
        self.pf_embed = Embed(pf_input_dim, embed_dims, kind)
        self.sv_embed = Embed(sv_input_dim, embed_dims, kind)
        more: dict[str, Any] = {
            "activation": activation,
            "for_inference": for_inference,
            "trim": False,
            "embed_dims": (),
        }
        self.part = ParticleTransformer(embed_dims[-1], num_classes, **more, **options)

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay should leave alone."""
        return {"part.cls_token"}

    def forward(
        self,
        pf_x: Tensor,
        pf_v: Tensor,
        pf_mask: Tensor,
        sv_x: Tensor,
        sv_v: Tensor,
        sv_mask: Tensor,
    ) -> Tensor:
        """Features (N, C, P), four-vectors (N, 4, P) and mask (N, 1, P) of both kinds, P differing -> (N, K)."""
        return self._join(pf_x, pf_v, pf_mask, sv_x, sv_v, sv_mask, None)

    def _join(
        self,
        pf_x: Tensor,
        pf_v: Tensor,
        pf_mask: Tensor,
        sv_x: Tensor,
        sv_v: Tensor,
        sv_mask: Tensor,
        uu: Tensor | None,
    ) -> Tensor:
        pf_values, pf_real = self._embed(self.pf_embed, pf_x, pf_mask)
        sv_values, sv_real = self._embed(self.sv_embed, sv_x, sv_mask)
        self.part.dense = self.dense
        values = torch.cat((pf_values, sv_values), dim=1)  # (N, P, D)
        vectors = torch.cat((pf_v, sv_v), dim=2)  # (N, 4, P)
        return self.part(values, vectors, join_masks((pf_real, sv_real)), uu)

    def _embed(self, embed: nn.Module, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, P), (N, 1, P) -> (N, P, D) and the mask (N, P) that is left after trimming."""
        real = real_slots(mask)
        real = trim_longest(real) if self.trim and self.training else real
        objects = make_layout(real, self.dense)
        return objects.scatter(embed(objects.gather(x), objects.real)).transpose(1, 2), real


class ParticleTransformerTaggerWithExtraPairFeatures(ParticleTransformerTagger):
    """The tagger with given features of each pair of particles, ``pair_extra_dim`` of them; those of pairs with a vertex are 0."""

    def forward(  # type: ignore[override]
        self,
        pf_x: Tensor,
        pf_v: Tensor,
        pf_mask: Tensor,
        sv_x: Tensor,
        sv_v: Tensor,
        sv_mask: Tensor,
        pf_uu: Tensor,
        pf_uu_idx: Tensor | None = None,
    ) -> Tensor:
        """As in the tagger, and pair features of the particles as ``uu`` and ``uu_idx`` of :class:`ParticleTransformer`."""
        uu = pf_uu if pf_uu_idx is None else dense_pairs(pf_uu, pf_uu_idx, pf_x.shape[2])
        vertices = sv_x.shape[2]
        return self._join(
            pf_x, pf_v, pf_mask, sv_x, sv_v, sv_mask, functional.pad(uu, (0, vertices, 0, vertices))
        )


def class_head(
    size: int, layers: Sequence[Sequence[Any]] | None, classes: int | None
) -> nn.Sequential | None:
    """Linear, activation (ReLU unless named), dropout for each of ``layers``, then a linear layer; None without ``layers``."""
    if layers is None:
        return None
    if classes is None:
        raise ConfigError(
            "fc_params: num_classes is missing; fc_params=None makes a body without a head"
        )
    parts: list[nn.Module] = []
    for given in layers:
        if len(given) not in (2, 3):
            raise ConfigError(
                f"fc_params: expected (size, dropout) or (size, dropout, activation), found {given!r}"
            )
        width, dropout, activation = (*given, "relu")[:3]
        parts.append(
            nn.Sequential(
                nn.Linear(size, width),
                find_activation(activation, "fc_params")(),
                nn.Dropout(dropout),
            )
        )
        size = width
    return nn.Sequential(*parts, nn.Linear(size, classes))


def initialize_weights(network: ParticleTransformer, scheme: str | None, rescale: bool) -> None:
    """Weights of all linear layers, as weaver-core draws them.

    ``scheme``: "moco", Xavier with queries, keys and values each for itself; "timm", normal of width 0.02; None, torch's own. ``rescale`` divides
    what each block adds by the square root of twice its number, so that their sum does not grow.
    """
    if scheme not in ("moco", "timm", None):
        raise ConfigError(
            f"ParticleTransformer: weight_init {scheme!r}; {nearest(str(scheme), ['moco', 'timm'])}"
        )
    for name, module in network.named_modules():
        if scheme is None or not isinstance(module, nn.Linear):
            continue
        nn.init.zeros_(module.bias)
        if scheme == "timm":
            nn.init.trunc_normal_(module.weight, std=0.02)
        else:
            for weight in module.weight.chunk(3) if name.endswith("in_proj") else (module.weight,):
                nn.init.xavier_uniform_(weight)
    if rescale:
        with torch.no_grad():
            for number, block in enumerate(network.blocks, 1):
                for name in ("attn.out_proj.weight", "fc2.weight"):
                    block.get_parameter(name).div_(math.sqrt(2 * number))
