"""Attention blocks of the Particle Transformer: between particles, and of a class token.

Between particles there is a bias for each pair.

Shapes: N rows, M objects of all rows in one list, D features, H heads of d = D / H; a group has n
rows of at most L objects (see ``nn/objects/ragged.py``).

Source: arXiv:2202.03772, Fig. 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.nn.layers.dropout import Dropout, dropout
from weaver_tt.nn.objects.ragged import ObjectRows

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


def find_activation(name: str, where: str) -> type[nn.Module]:
    """The module for gelu or relu.

    Raises:
        ConfigError: it has another name; ``where`` says which option it is of.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"{where}: activation {name!r}; {nearest(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]


@dataclass(frozen=True, kw_only=True)
class BlockOptions:
    """What ``block_params`` and ``cls_block_params`` may say.

    ``scale_*`` are the NormFormer's additions (arXiv:2110.09456).
    """

    embed_dim: int
    num_heads: int = 8
    ffn_ratio: int = 4
    dropout: float = 0.1
    attn_dropout: float = 0.1
    activation_dropout: float = 0.1
    activation: str = "gelu"
    scale_fc: bool = True
    scale_attn: bool = True
    scale_heads: bool = True
    scale_resids: bool = True

    @classmethod
    def read(cls, given: Mapping[str, Any] | None, where: str, **defaults: Any) -> BlockOptions:
        """``given`` over ``defaults``.

        Raises:
            ConfigError: an unknown key, or sizes that do not fit; ``where`` says which option.
        """
        given = given or {}
        known = [field.name for field in fields(cls)]
        for key in given:
            if key not in known:
                raise unknown_key(key, known, where)
        options = cls(**{**defaults, **given})
        find_activation(options.activation, where)
        if options.embed_dim % options.num_heads:
            raise ConfigError(
                f"{where}: {options.embed_dim} features cannot be shared by "
                f"num_heads: {options.num_heads}"
            )
        return options


class Attention(nn.Module):
    """Multi-head attention whose projections are named as weaver-core's.

    Weights of ``nn.MultiheadAttention`` load too. ``share`` of the weights of attention are left
    out at random in training.
    """

    def __init__(self, size: int, heads: int, share: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = share
        self.in_proj = nn.Linear(size, 3 * size)
        self.out_proj = nn.Linear(size, size)
        self.register_load_state_dict_pre_hook(_rename_old_keys)

    def forward(
        self,
        values: Tensor,
        rows: ObjectRows,
        biases: Sequence[Tensor | None],
        scale: Tensor | None = None,
    ) -> Tensor:
        """Attention of objects (M, D) to those of their row -> (M, D).

        A bias broadcasts to (n, H, L, L) for each group; heads' outputs are taken times ``scale``
        (H,).
        """
        # on the list, where there is no padding to project
        projected = rows.split(self.in_proj(values))
        contexts = []
        for part, bias in zip(projected, biases, strict=True):
            contexts.append(self._attend_group(part, bias))
        return self._project_out(rows.join(contexts), scale)

    def _attend_group(self, projected: Tensor, bias: Tensor | None) -> Tensor:
        """(n, L, 3 D) -> (n, L, D)."""
        n, length, size = projected.shape
        channels = size // (3 * self.heads)
        by_head = projected.view(n, length, 3, self.heads, channels).permute(2, 0, 3, 1, 4)
        query, key, value = by_head  # (n, H, L, d) each
        if self.training and not projected.is_cuda:
            context = self._attend_stepwise(query, key, value, bias)
        else:
            share = self.dropout if self.training else 0.0
            context = functional.scaled_dot_product_attention(query, key, value, bias, share)
        return context.transpose(1, 2).reshape(n, length, size // 3)

    def _attend_stepwise(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Attention step by step, (n, H, L, d) each, for training on a CPU.

        There, torch has no fused form for a bias that is learnt.
        """
        n, heads, length, channels = query.shape
        query = query.reshape(n * heads, length, channels)
        key = key.reshape(n * heads, length, channels)
        value = value.reshape(n * heads, length, channels)
        if bias is None:
            bias = query.new_zeros(1)
        else:
            bias = bias.expand(n, heads, length, length).flatten(0, 1)
        # scale and bias are part of the matrix product
        logits = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=channels**-0.5)
        weights = dropout(logits.softmax(2), self.dropout, self.training)  # (n H, L, L)
        return (weights @ value).view(n, heads, length, channels)

    def _project_out(self, context: Tensor, scale: Tensor | None) -> Tensor:
        """(…, D) -> (…, D)."""
        weight = self.out_proj.weight
        bias = self.out_proj.bias
        if scale is None:
            return functional.linear(context, weight, bias)
        # scaling the weights is scaling what comes out, at no cost per object
        channels = scale.repeat_interleave(len(bias) // self.heads)  # (D,)
        return functional.linear(context, weight * channels.unsqueeze(1), bias * channels)

    def attend(
        self,
        token: Tensor,
        normed: Tensor,
        values: Tensor,
        rows: ObjectRows,
        scale: Tensor | None = None,
    ) -> Tensor:
        """Attention of a token of each row, (N, D), to itself and the row's objects -> (N, D).

        The token is seen as ``normed`` (N, D), the objects as ``values`` (M, D). As
        ``q (W_k x) = (q W_k) x`` and ``sum a (W_v x) = W_v (sum a x)``, keys and values of the
        objects need not be computed; what the bias of the keys adds is the same for all of them and
        drops out.
        """
        count, size = token.shape
        channels = size // self.heads  # d
        query_weight, key_weight, value_weight = [
            weight.view(self.heads, channels, size) for weight in self.in_proj.weight.chunk(3)
        ]  # (H, d, D) each
        query_bias, _, value_bias = [
            bias.view(self.heads, 1, channels) for bias in self.in_proj.bias.chunk(3)
        ]  # (H, 1, d) each
        query = token @ query_weight.transpose(1, 2) + query_bias  # (H, N, d)
        query_of_inputs = ((query * channels**-0.5) @ key_weight).transpose(0, 1)  # (N, H, D)
        context, total = self._attend_to_objects(query_of_inputs, normed, values, rows)
        # the values' bias counts as often as the weights add up to: once, but for dropout
        projected = context.transpose(0, 1) @ value_weight.transpose(1, 2)  # (H, N, d)
        context = projected + total.transpose(0, 1) * value_bias
        return self._project_out(context.transpose(0, 1).reshape(count, size), scale)

    def _attend_to_objects(
        self, query: Tensor, normed: Tensor, values: Tensor, rows: ObjectRows
    ) -> tuple[Tensor, Tensor]:
        """What ``query`` (N, H, D) attends to, (N, H, D), and the sum of its weights (N, H, 1)."""
        contexts = []
        totals = []
        first = 0
        for group, part in zip(rows.groups, rows.split(values), strict=True):
            last = first + group.rows
            # the token itself, then the objects
            inputs = torch.cat((normed[first:last].unsqueeze(1), part), dim=1)  # (n, 1 + L, D)
            logits = query[first:last] @ inputs.transpose(1, 2)  # (n, H, 1 + L)
            if group.mask is not None:
                is_padding = functional.pad(~group.mask, (1, 0)).unsqueeze(1)  # (n, 1, 1 + L)
                logits = logits.masked_fill(is_padding, -torch.inf)
            weights = dropout(logits.softmax(2), self.dropout, self.training)
            contexts.append(weights @ inputs)
            totals.append(weights.sum(2, keepdim=True))
            first = last
        return torch.cat(contexts), torch.cat(totals)


def current_name(name: str) -> str:
    """The name here of a weight under its name in ``nn.MultiheadAttention``, ``in_proj_weight``.

    Published Particle Transformers have the older names.
    """
    return re.sub(r"\bin_proj_(weight|bias)$", r"in_proj.\1", name)


def _rename_old_keys(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Older names in a state_dict that is being loaded, as those of today."""
    names = [name for name in state if name.startswith(prefix)]
    for name in names:
        state[current_name(name)] = state.pop(name)


class Block(nn.Module):
    """Attention, then two linear layers on each object.

    There is a norm before and after both, and a residual connection around each.
    """

    def __init__(self, options: BlockOptions) -> None:
        super().__init__()
        size = options.embed_dim
        hidden = size * options.ffn_ratio
        self.pre_attn_norm = nn.LayerNorm(size)
        self.attn = Attention(size, options.num_heads, options.attn_dropout)
        self.post_attn_norm = nn.LayerNorm(size) if options.scale_attn else nn.Identity()
        self.dropout = Dropout(options.dropout)
        self.pre_fc_norm = nn.LayerNorm(size)
        self.fc1 = nn.Linear(size, hidden)
        self.act = find_activation(options.activation, "activation")()
        self.act_dropout = Dropout(options.activation_dropout)
        self.post_fc_norm = nn.LayerNorm(hidden) if options.scale_fc else nn.Identity()
        self.fc2 = nn.Linear(hidden, size)
        self.c_attn = nn.Parameter(torch.ones(options.num_heads)) if options.scale_heads else None
        self.w_resid = nn.Parameter(torch.ones(size)) if options.scale_resids else None

    def forward(self, values: Tensor, rows: ObjectRows, biases: Sequence[Tensor | None]) -> Tensor:
        """Objects (M, D), attention bias of each group -> (M, D)."""
        context = self.attn(self.pre_attn_norm(values), rows, biases, self.c_attn)
        return self._finish(context, values)

    def _finish(self, context: Tensor, residual: Tensor) -> Tensor:
        """(…, D): what attention gave, and what went into the block."""
        values = self.dropout(self.post_attn_norm(context)) + residual
        hidden = self.act_dropout(self.act(self.fc1(self.pre_fc_norm(values))))
        update = self.dropout(self.fc2(self.post_fc_norm(hidden)))
        if self.w_resid is None:
            return update + values
        return torch.addcmul(update, values, self.w_resid)


class ClassBlock(Block):
    """The same for a class token, one per row, that attends to the row's objects and itself.

    Source: arXiv:2103.17239.
    """

    def forward(  # type: ignore[override]
        self, token: Tensor, values: Tensor, rows: ObjectRows
    ) -> Tensor:
        """Token (N, D), objects (M, D) -> token (N, D)."""
        # one norm of both, as they share its parameters
        normed = self.pre_attn_norm(token)
        normed_values = self.pre_attn_norm(values)
        context = self.attn.attend(token, normed, normed_values, rows, self.c_attn)
        return self._finish(context, token)
