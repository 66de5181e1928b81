"""Particle Transformer, version 1 as published.

H. Qu, C. Li, S. Qian, "Particle Transformer for Jet Tagging", arXiv:2202.03772. Options, parameters
and their shapes are named as in weaver-core 0.5.3, so that its network files and weights work here
and give the same outputs. Ours differs in that padding takes no part in anything, statistics of
batch norm included, and that a jet without particles has a finite output.

Shapes: N jets, P slots, C features of a particle, D = ``embed_dims[-1]``, K classes; M real
particles of all jets in one list (see ``nn/objects/ragged.py``).
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
from weaver_tt.nn.objects.real_objects import join_masks, join_slots, real_slots
from weaver_tt.nn.objects.trimming import trim_longest

# options of weaver-core for later versions or other tasks, with the only value known here
FIXED_OPTIONS: dict[str, Any] = {
    "pair_input_type": "pp",
    "use_conv_embed": False,
    "include_global_token": False,
    "version": 1,
    "for_segmentation": False,
}
# of the class token's blocks, as long as cls_block_params does not say otherwise
NO_DROPOUT = {"dropout": 0.0, "attn_dropout": 0.0, "activation_dropout": 0.0}


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
    """Particles of a jet, with a bias for the attention of each pair of them -> scores (N, K).

    ``input_dim`` is C; with ``embed_dims=[]`` particles come embedded, (N, P, D) instead of (N, C,
    P). ``num_classes`` is K; with ``fc_params=None`` there is no head: the output is the class
    token (N, D), a body to put another head on. Else ``fc_params`` are (size, dropout) or (size,
    dropout, "gelu") of each hidden layer of the head.

    Pairs: ``pair_input_dim`` features are made from four-vectors, 0, 1, 3 or 4 (see
    ``pair_features.py``), and ``pair_extra_dim`` are given to ``forward``. With
    ``remove_self_pair`` the attention of a particle to itself has no bias;
    ``use_pre_activation_pair`` leaves out the activation after the last layer of the pair
    embedding.

    Blocks: ``block_params`` are options of the blocks of particles over the defaults of
    :class:`~weaver_tt.nn.layers.attention.BlockOptions`, ``cls_block_params`` those of the class
    token's blocks, whose dropout is 0 by default. ``block_ids_with_attn_mask`` are the blocks that
    get the bias (default: all). ``num_cls_layers=0`` takes the mean over particles in place of a
    class token.

    ``trim`` leaves out some particles of the longest jets in training (see
    ``nn/objects/trimming.py``). ``for_inference``: no trimming, and a softmax on the output (not
    for network files here: the task adds it). ``pair_embed_sparse_eval``, ``use_amp`` and
    ``compile_model`` are accepted for the sake of existing files and have nothing to do here.

    Raises:
        ConfigError: an option of a later version (``version``, ``use_conv_embed``, …), or sizes
            that do not fit.
    Source: arXiv:2202.03772.
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
        super().__init__()
        _check_fixed_options(
            {
                "pair_input_type": pair_input_type,
                "use_conv_embed": use_conv_embed,
                "include_global_token": include_global_token,
                "version": version,
                "for_segmentation": for_segmentation,
            }
        )
        self.for_inference = for_inference
        self.use_amp = use_amp
        self.trim = trim and not for_inference
        self.dense = False
        size = embed_dims[-1] if embed_dims else input_dim
        self.size = size  # D
        defaults: dict[str, Any] = {
            "embed_dim": size,
            "num_heads": num_heads,
            "activation": activation,
        }
        options = BlockOptions.read(block_params, "block_params", **defaults)
        cls_options = BlockOptions.read(
            cls_block_params, "cls_block_params", **defaults, **NO_DROPOUT
        )

        activation_type = find_activation(activation, "ParticleTransformer")
        self.embed: nn.Module = nn.Identity()
        if embed_dims:
            self.embed = Embed(input_dim, embed_dims, activation_type)
        # None stands for all features there are, as in weaver-core
        if pair_input_dim is None:
            pair_input_dim = 4
        self.pair_embed = None
        if pair_embed_dims is not None and pair_input_dim + pair_extra_dim > 0:
            self.pair_embed = PairEmbed(
                pair_input_dim,
                pair_extra_dim,
                (*pair_embed_dims, options.num_heads),
                nn.GELU,
                activate_last=not use_pre_activation_pair,
                own=not remove_self_pair,
            )
        if block_ids_with_attn_mask is None:
            block_ids_with_attn_mask = range(num_layers)
        self.biased = set(block_ids_with_attn_mask)
        self.blocks = nn.ModuleList(Block(options) for _ in range(num_layers))
        self.cls_blocks = None
        if num_cls_layers:
            self.cls_blocks = nn.ModuleList(ClassBlock(cls_options) for _ in range(num_cls_layers))
        self.norm = nn.LayerNorm(size)
        self.fc = class_head(size, fc_params, num_classes)
        self.cls_token = None
        if num_cls_layers:
            token = nn.init.trunc_normal_(torch.zeros(1, 1, size), std=0.02)
            self.cls_token = nn.Parameter(token)
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

        ``x`` are features (N, C, P), or embedded particles (N, P, D) with ``embed_dims=[]``; ``v``
        four-vectors (N, 4, P) px, py, pz, E; ``mask`` (N, 1, P) is not 0 for real particles,
        without it all are real. ``uu`` are features of pairs (N, C', P, P), or (N, C', R) of the
        pairs listed in ``uu_idx`` (N, 2, R), where an index of P or more is padding.
        """
        if isinstance(self.embed, nn.Identity):
            x = x.transpose(1, 2)
        if mask is None:
            real = x.new_ones(x.shape[0], x.shape[2], dtype=torch.bool)
        else:
            real = real_slots(mask)
        if self.trim and self.training:
            real = trim_longest(real)
        # from here on there are real particles only
        rows = make_object_rows(real, self.dense)
        values = self.embed(rows.gather(x))  # (M, D)
        if uu is not None and uu_idx is not None:
            uu = dense_pairs(uu, uu_idx, x.shape[2])
        # made once: the pairs are the same in all blocks
        biases = self._biases(rows, v, uu)
        padding = padding_bias(rows)
        for number, block in enumerate(self.blocks):
            values = block(values, rows, biases if number in self.biased else padding)
        # the list has the shortest jets first
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
        return self.pair_embed(rows, v, uu)

    def _pool(self, values: Tensor, rows: ObjectRows) -> Tensor:
        """Particles (M, D) -> one for each jet (N, D), in the order of the groups."""
        if self.cls_blocks is None:
            return rows.mean_row(values)
        jets = sum(group.rows for group in rows.groups)
        assert self.cls_token is not None
        # a copy for each jet: torch's FLOP counter fails on views of parameters
        token = self.cls_token[0].repeat(jets, 1)
        for block in self.cls_blocks:
            token = block(token, values, rows)
        return token


class ParticleTransformerTagger(nn.Module):
    """Particle Transformer of two kinds of objects in a jet, each with an embedding of its own.

    The kinds are particles (PF) and secondary vertices (SV). ``options`` are those of
    :class:`ParticleTransformer` but for its ``input_dim``.
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
        self.trim = trim and not for_inference
        self.dense = False
        activation_type = find_activation(activation, "ParticleTransformerTagger")
        self.pf_embed = Embed(pf_input_dim, embed_dims, activation_type)
        self.sv_embed = Embed(sv_input_dim, embed_dims, activation_type)
        self.part = ParticleTransformer(
            embed_dims[-1],
            num_classes,
            embed_dims=(),
            activation=activation,
            # each kind is trimmed for itself, before it is embedded
            trim=False,
            for_inference=for_inference,
            **options,
        )

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
        """Scores (N, K) of jets.

        Features (N, C, P), four-vectors (N, 4, P) and mask (N, 1, P) of both kinds, P differing.
        """
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
        """As ``forward``; ``uu`` (N, C', P, P): features of pairs of all objects, vertices last."""
        pf_values, pf_real = self._embed(self.pf_embed, pf_x, pf_mask)
        sv_values, sv_real = self._embed(self.sv_embed, sv_x, sv_mask)
        values = torch.cat((pf_values, sv_values), dim=1)  # (N, P, D)
        vectors = join_slots((pf_v, sv_v))  # (N, 4, P)
        self.part.dense = self.dense
        return self.part(values, vectors, join_masks((pf_real, sv_real)), uu)

    def _embed(self, embed: nn.Module, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, P), (N, 1, P) -> (N, P, D) and the mask (N, P) that is left after trimming."""
        real = real_slots(mask)
        if self.trim and self.training:
            real = trim_longest(real)
        objects = make_layout(real, self.dense)
        values = embed(objects.gather(x), objects.real)
        return objects.scatter(values).transpose(1, 2), real


class ParticleTransformerTaggerWithExtraPairFeatures(ParticleTransformerTagger):
    """The tagger with ``pair_extra_dim`` given features of each pair of particles.

    Those of pairs with a vertex are 0.
    """

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
        """As in the tagger, with pair features of the particles.

        They come as ``uu`` and ``uu_idx`` of :class:`ParticleTransformer`.
        """
        if pf_uu_idx is not None:
            pf_uu = dense_pairs(pf_uu, pf_uu_idx, pf_x.shape[2])
        vertices = sv_x.shape[2]
        uu = functional.pad(pf_uu, (0, vertices, 0, vertices))
        return self._join(pf_x, pf_v, pf_mask, sv_x, sv_v, sv_mask, uu)


def _check_fixed_options(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        expected = FIXED_OPTIONS[name]
        if value != expected:
            raise ConfigError(
                f"ParticleTransformer: {name}={value!r} is not supported, only {expected!r}: "
                "this is version 1, as published"
            )


def class_head(
    size: int, layers: Sequence[Sequence[Any]] | None, classes: int | None
) -> nn.Sequential | None:
    """The head on class tokens, (N, ``size``) -> (N, ``classes``); None without ``layers``.

    Linear, activation (ReLU unless named) and dropout for each of ``layers``, then a linear layer.

    Raises:
        ConfigError: the number of classes is missing, or a layer has another form.
    """
    if layers is None:
        return None
    if classes is None:
        raise ConfigError(
            "fc_params: num_classes is missing; fc_params=None makes a body without a head"
        )
    parts: list[nn.Module] = []
    for layer in layers:
        if len(layer) not in (2, 3):
            raise ConfigError(
                "fc_params: expected (size, dropout) or (size, dropout, activation), "
                f"found {layer!r}"
            )
        width, dropout = layer[:2]
        activation = layer[2] if len(layer) == 3 else "relu"
        activation_type = find_activation(activation, "fc_params")
        linear = nn.Linear(size, width)
        parts.append(nn.Sequential(linear, activation_type(), nn.Dropout(dropout)))
        size = width
    return nn.Sequential(*parts, nn.Linear(size, classes))


def initialize_weights(network: ParticleTransformer, scheme: str | None, rescale: bool) -> None:
    """Draw the weights of all linear layers as weaver-core does.

    ``scheme`` is "moco", Xavier with queries, keys and values each for itself; "timm", normal of
    width 0.02; or None, torch's own. ``rescale`` divides what each block adds by the square root of
    twice its number, so that their sum does not grow.

    Raises:
        ConfigError: an unknown scheme.
    """
    if scheme not in ("moco", "timm", None):
        choices = nearest(str(scheme), ["moco", "timm"])
        raise ConfigError(f"ParticleTransformer: weight_init {scheme!r}; {choices}")
    if scheme is not None:
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear):
                _initialize_linear(module, scheme, is_stacked=name.endswith("in_proj"))
    if rescale:
        # the layers that write into the sum over blocks
        with torch.no_grad():
            for number, block in enumerate(network.blocks, 1):
                for name in ("attn.out_proj.weight", "fc2.weight"):
                    block.get_parameter(name).div_(math.sqrt(2 * number))


def _initialize_linear(layer: nn.Linear, scheme: str, is_stacked: bool) -> None:
    """Draw a layer's weight; ``is_stacked``: it holds those of queries, keys and values."""
    nn.init.zeros_(layer.bias)
    if scheme == "timm":
        nn.init.trunc_normal_(layer.weight, std=0.02)
        return
    # Xavier's width depends on the shape, which is that of one of the three
    for weight in layer.weight.chunk(3) if is_stacked else (layer.weight,):
        nn.init.xavier_uniform_(weight)
