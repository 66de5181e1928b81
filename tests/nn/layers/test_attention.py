"""Attention on a list of objects: torch's own multi-head attention on each row gives the same."""

import pytest
import torch
from torch import nn

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.attention import Attention, Block, BlockOptions, ClassBlock
from weaver_tt.nn.models.pair_embedding import padding_bias
from weaver_tt.nn.objects.ragged import Dense, Ragged

MASK = torch.tensor([[True, True, True], [True, False, True], [True, False, False]])
FORMS = [Ragged(MASK, 1), Ragged(MASK, 18), Ragged(MASK), Dense(MASK)]


@pytest.fixture
def both():
    """Ours and torch's with the same weights."""
    torch.manual_seed(0)
    plain = nn.MultiheadAttention(6, 2, batch_first=True).double()
    nn.init.normal_(plain.in_proj_bias)
    nn.init.normal_(plain.out_proj.bias)
    ours = Attention(6, 2, 0.0).double()
    ours.load_state_dict(plain.state_dict())  # older weights have torch's names
    return ours, plain


def objects(seed=1):
    return torch.randn(3, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rows", FORMS)
def test_objects_attend_to_the_real_objects_of_their_row(both, rows):
    ours, plain = both
    values = objects()
    biases = [None if bias is None else bias.double() for bias in padding_bias(rows)]
    found = ours(rows.gather(values), rows, biases)
    expected, _ = plain(*[values.transpose(1, 2)] * 3, key_padding_mask=~MASK)
    kept = MASK.flatten()[rows.slots]
    torch.testing.assert_close(found[kept], expected.flatten(0, 1)[rows.slots[kept]])


@pytest.mark.parametrize("rows", FORMS)
def test_a_class_token_asks_without_making_keys_and_values(both, rows):
    ours, plain = both
    values, tokens = (
        objects(),
        objects(2),
    )  # tokens (2, N, D): themselves, and as they are looked at
    token, normed = tokens[:, :, 0], tokens[:, :, 1]
    keys = torch.cat((normed.unsqueeze(1), values.transpose(1, 2)), dim=1)
    padding = torch.cat((torch.zeros(3, 1, dtype=torch.bool), ~MASK), dim=1)
    expected, _ = plain(token.unsqueeze(1), keys, keys, key_padding_mask=padding)
    order = torch.arange(3) if isinstance(rows, Dense) else rows.restore.argsort()
    found = rows.restore_order(ours.attend(token[order], normed[order], rows.gather(values), rows))
    torch.testing.assert_close(found, expected[:, 0])


def test_heads_are_scaled_after_the_projection(both):
    ours, _ = both
    rows = FORMS[2]
    values = rows.gather(objects())
    biases = [None if bias is None else bias.double() for bias in padding_bias(rows)]
    scaled = ours(values, rows, biases, torch.tensor([2.0, -1.0], dtype=torch.float64))
    expected = ours(values, rows, biases) * torch.tensor(
        [2.0, 2, 2, -1, -1, -1], dtype=torch.float64
    )
    torch.testing.assert_close(scaled, expected)


@pytest.mark.parametrize("kind", [Block, ClassBlock])
def test_norms_and_scales_are_options(kind):
    plain = kind(
        BlockOptions(
            embed_dim=8,
            num_heads=2,
            scale_fc=False,
            scale_attn=False,
            scale_heads=False,
            scale_resids=False,
        )
    )
    names = set(dict(kind(BlockOptions(embed_dim=8, num_heads=2)).named_parameters())) - set(
        dict(plain.named_parameters())
    )
    assert names == {
        "post_attn_norm.weight",
        "post_attn_norm.bias",
        "post_fc_norm.weight",
        "post_fc_norm.bias",
        "c_attn",
        "w_resid",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"drop_out": 0.1}, "block_params: unknown key 'drop_out'; did you mean 'dropout'"),
        ({"activation": "swiglu"}, "block_params: activation 'swiglu'"),
        ({"num_heads": 3}, "block_params: 8 features cannot be shared by num_heads: 3"),
    ],
)
def test_options_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        BlockOptions.read(given, "block_params", embed_dim=8)
