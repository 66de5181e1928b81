"""Attention blocks of the Particle Transformer (arXiv:2202.03772, Fig. 3): between particles with a bias for each pair, and of a class token.

Shapes: N rows, M objects of all rows in one list, D features, H heads of d = D / H; a group has n rows of at most L objects (see ``rows.py``).
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
    """gelu or relu; ConfigError, naming ``where``, for anything else."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"{where}: activation {name!r}; {nearest(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]


@dataclass(frozen=True, kw_only=True)
class BlockOptions:
    """What ``block_params`` and ``cls_block_params`` may say; ``scale_*`` are the NormFormer's additions (arXiv:2110.09456)."""

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
        """``given`` over ``defaults``; ConfigError, naming ``where``, for an unknown key or sizes that do not fit."""
        known = [field.name for field in fields(cls)]
        for key in given or {}:
            if key not in known:
                raise unknown_key(key, known, where)
        options = cls(**{**defaults, **(given or {})})
        find_activation(options.activation, where)
        if options.embed_dim % options.num_heads:
            raise ConfigError(
                f"{where}: {options.embed_dim} features cannot be shared by num_heads: {options.num_heads}"
            )
        return options


class Attention(nn.Module):
    """Multi-head attention whose projections are named as weaver-core's; weights of ``nn.MultiheadAttention`` load too."""

    def __init__(self, size: int, heads: int, share: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, share
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
        """(M, D), a bias that broadcasts to (n, H, L, L) for each group -> (M, D); heads' outputs times ``scale`` (H,)."""
        seen = [
            self._attend(part, bias)
            for part, bias in zip(rows.split(self.in_proj(values)), biases, strict=True)
        ]
        return self._out(rows.join(seen), scale)

    def _attend(self, projected: Tensor, bias: Tensor | None) -> Tensor:
        """(n, L, 3 D) -> (n, L, D)."""
        n, length, size = projected.shape
        channels = size // (3 * self.heads)
        query, key, value = projected.view(n, length, 3, self.heads, channels).permute(
            2, 0, 3, 1, 4
        )  # (n, H, L, d) each
        if self.training and not projected.is_cuda:
            seen = self._attend_stepwise(query, key, value, bias)
        else:
            seen = functional.scaled_dot_product_attention(
                query, key, value, bias, self.dropout if self.training else 0.0
            )
        return seen.transpose(1, 2).reshape(n, length, size // 3)

    def _attend_stepwise(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Attention step by step, for training on a CPU: there, torch has no fused form for a bias that is learnt."""
        n, heads, length, channels = query.shape
        query, key, value = (
            part.reshape(n * heads, length, channels) for part in (query, key, value)
        )
        bias = (
            query.new_zeros(1)
            if bias is None
            else bias.expand(n, heads, length, length).flatten(0, 1)
        )
        logits = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=channels**-0.5)
        return (dropout(logits.softmax(2), self.dropout, self.training) @ value).view(
            n, heads, length, channels
        )

    def _out(self, seen: Tensor, scale: Tensor | None) -> Tensor:
        """(…, D) -> (…, D)."""
        weight, bias = self.out_proj.weight, self.out_proj.bias
        if scale is None:
            return functional.linear(seen, weight, bias)
        # scaling the weights is scaling what comes out, at no cost per object
        channels = scale.repeat_interleave(len(bias) // self.heads)
        return functional.linear(seen, weight * channels.unsqueeze(1), bias * channels)

    def attend(
        self,
        token: Tensor,
        normed: Tensor,
        values: Tensor,
        rows: ObjectRows,
        scale: Tensor | None = None,
    ) -> Tensor:
        """One query per row, ``token`` (N, D), to its ``normed`` self (N, D) and the row's objects ``values`` (M, D) -> (N, D).

        As ``q (W_k x) = (q W_k) x`` and ``sum a (W_v x) = W_v (sum a x)``, keys and values of the objects need not be computed; what the
        bias of the keys adds is the same for all of them and drops out.
        """
        count, size = token.shape
        weights = [
            weight.view(self.heads, -1, size) for weight in self.in_proj.weight.chunk(3)
        ]  # (H, d, D) each
        biases = [bias.view(self.heads, 1, -1) for bias in self.in_proj.bias.chunk(3)]  # (H, 1, d)
        query = token @ weights[0].transpose(1, 2) + biases[0]  # (H, N, d)
        asked = ((query * (size // self.heads) ** -0.5) @ weights[1]).transpose(0, 1)  # (N, H, D)
        seen, total = self._attend_to_objects(asked, normed, values, rows)
        seen = (
            seen.transpose(0, 1) @ weights[2].transpose(1, 2) + total.transpose(0, 1) * biases[2]
        )  # (H, N, d)
        return self._out(seen.transpose(0, 1).reshape(count, size), scale)

    def _attend_to_objects(
        self, asked: Tensor, normed: Tensor, values: Tensor, rows: ObjectRows
    ) -> tuple[Tensor, Tensor]:
        """What attention ``asked`` (N, H, D) sees, (N, H, D), and the sum of its weights (N, H, 1), 1 but for dropout."""
        seen, total, first = [], [], 0
        for group, part in zip(rows.groups, rows.split(values), strict=True):
            last = first + group.rows
            keys = torch.cat((normed[first:last].unsqueeze(1), part), dim=1)  # (n, 1 + L, D)
            logits = asked[first:last] @ keys.transpose(1, 2)  # (n, H, 1 + L)
            if group.mask is not None:
                logits = logits.masked_fill(
                    functional.pad(~group.mask, (1, 0)).unsqueeze(1), -torch.inf
                )
            share = dropout(logits.softmax(2), self.dropout, self.training)
            seen.append(share @ keys)
            total.append(share.sum(2, keepdim=True))
            first = last
        return torch.cat(seen), torch.cat(total)


def current_name(name: str) -> str:
    """The name here of a weight that ``nn.MultiheadAttention``, and so a published Particle Transformer, calls ``in_proj_weight`` or ``_bias``."""
    return re.sub(r"\bin_proj_(weight|bias)$", r"in_proj.\1", name)


def _rename_old_keys(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Older names in a state_dict that is being loaded, as those of today."""
    for name in [name for name in state if name.startswith(prefix)]:
        state[current_name(name)] = state.pop(name)


class Block(nn.Module):
    """Attention, then two linear layers on each object; a norm before and after both, and a residual connection around each."""

    def __init__(self, options: BlockOptions) -> None:
        super().__init__()
        size, hidden = options.embed_dim, options.embed_dim * options.ffn_ratio
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
        return self._finish(
            self.attn(self.pre_attn_norm(values), rows, biases, self.c_attn), values
        )

    def _finish(self, seen: Tensor, residual: Tensor) -> Tensor:
        """(…, D): what attention saw, and what went into the block."""
        values = self.dropout(self.post_attn_norm(seen)) + residual
        hidden = self.act_dropout(self.act(self.fc1(self.pre_fc_norm(values))))
        update = self.dropout(self.fc2(self.post_fc_norm(hidden)))
        return (
            update + values if self.w_resid is None else torch.addcmul(update, values, self.w_resid)
        )


class ClassBlock(Block):
    """The same for a class token, one per row, that asks the row's objects and itself (arXiv:2103.17239)."""

    def forward(self, token: Tensor, values: Tensor, rows: ObjectRows) -> Tensor:  # type: ignore[override]
        """Token (N, D), objects (M, D) -> token (N, D)."""
        # one norm of both, as they share its parameters
        return self._finish(
            self.attn.attend(
                token, self.pre_attn_norm(token), self.pre_attn_norm(values), rows, self.c_attn
            ),
            token,
        )
