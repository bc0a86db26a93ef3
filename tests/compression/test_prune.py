"""Masks against PyTorch's own, and smaller models against the masked ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from utils.compression.prune import apply_masks, magnitude_masks, masked, random_masks, sparsity
from utils.compression.structured import mask_units, remove_units, unit_scores, units_to_keep
from utils.models.config import GPTConfig
from utils.models.gpt import GPT
from utils.runtime import generator


def mlp(seed=0):
    generator(seed, "global")
    return nn.Sequential(
        nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 10)
    )


def gpt(style):
    generator(0, "global")
    model = GPT(GPTConfig(style, vocab_size=40, context_length=16, n_layer=2, d_model=32))
    with torch.no_grad():
        for p in model.parameters():  # no output projection at zero
            p.add_(0.1 * torch.randn_like(p))
    return model.eval()


# ---- single weights


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.995])
def test_global_magnitude_pruning_equals_pytorchs(share):
    model = mlp()
    theirs = mlp()
    layers = [(layer, "weight") for layer in theirs if isinstance(layer, nn.Linear)]
    torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=share)
    pruned = masked(model, magnitude_masks(model, share))
    for ours, (layer, _) in zip(pruned[::2], layers, strict=True):
        assert torch.equal(ours.weight, layer.weight)
        assert torch.equal(ours.bias, layer.bias)


def test_pruning_by_layer_equals_pytorchs():
    model = mlp()
    theirs = mlp()
    pruned = masked(model, magnitude_masks(model, 0.7, "layer"))
    for ours, layer in zip(pruned[::2], theirs[::2], strict=True):
        torch_prune.l1_unstructured(layer, "weight", amount=0.7)
        assert torch.equal(ours.weight, layer.weight)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_random_masks_drop_the_same_number_and_depend_on_the_seed(scope):
    model = mlp()
    first = random_masks(model, 0.8, scope, seed=0)
    again = random_masks(model, 0.8, scope, seed=0)
    other = random_masks(model, 0.8, scope, seed=1)
    by_size = magnitude_masks(model, 0.8, scope)
    n_kept = sum(int(mask.sum()) for mask in by_size.values())
    assert sum(int(mask.sum()) for mask in first.values()) == n_kept
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_mask_holds_while_training_goes_on():
    model = mlp()
    masks = magnitude_masks(model, 0.9)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    apply_masks(model, masks)
    for _ in range(3):
        loss = model(torch.ones(5, 20)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        apply_masks(model, masks)
    assert sparsity(model) == pytest.approx(0.9, abs=1e-3)


def test_the_table_of_a_tied_head_is_not_pruned():
    masks = magnitude_masks(gpt("llama"), 0.5)
    assert "head" not in masks
    assert len(masks) == 8


def test_bad_arguments_of_masks():
    with pytest.raises(ValueError, match=r"^share must be a number in \[0, 1\), got 1"):
        magnitude_masks(mlp(), 1)
    with pytest.raises(ValueError, match="^scope must be one of 'global', 'layer'"):
        magnitude_masks(mlp(), 0.5, "row")
    with pytest.raises(ValueError, match="^masks must be named after"):
        apply_masks(mlp(), {"7": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"^masks\['0'\] must be bools of shape \(32, 20\)"):
        apply_masks(mlp(), {"0": torch.ones(32, 20)})


# ---- whole units


def test_a_smaller_mlp_equals_the_masked_one():
    model = mlp()
    keep = units_to_keep(unit_scores(model), 9)
    small = remove_units(model, keep)
    zeroed = mask_units(model, keep)
    x = torch.randn(50, 20, generator=generator(0, "torch"))
    assert sum(p.numel() for p in small.parameters()) == 21 * 9 + 10 * 9 + 10 * 10
    assert (small(x) - zeroed(x)).abs().max() < 1e-6
    assert (small(x) - model(x)).abs().max() > 1e-3  # units that were removed did matter


@pytest.mark.parametrize("style", ["llama", "gpt2"])
def test_a_smaller_gpt_equals_the_masked_one(style):
    model = gpt(style)
    keep = units_to_keep(unit_scores(model), 17)
    small = remove_units(model, keep)
    zeroed = mask_units(model, keep)
    ids = torch.arange(32).view(2, 16)
    assert (small(ids) - zeroed(ids)).abs().max() < 1e-6
    assert (small(ids) - model(ids)).abs().max() > 1e-3

    # The configuration says what the model is: another of that shape takes its weights.
    assert small.config.d_ff == 17
    GPT(small.config).load_state_dict(small.state_dict())
    assert model.config.d_ff != 17


def test_units_may_differ_in_number_between_an_mlps_layers():
    small = remove_units(mlp(), [torch.tensor([0, 5]), torch.tensor([1, 2, 3])])
    assert [layer.weight.shape for layer in small[::2]] == [(2, 20), (3, 2), (10, 3)]


def test_a_unit_that_leads_nowhere_scores_zero():
    model = mlp()
    with torch.no_grad():
        model[2].weight[:, 4] = 0
    scores = unit_scores(model)
    assert scores[0][4] == 0
    assert 4 not in units_to_keep(scores, 24)[0]


def test_bad_units():
    with pytest.raises(ValueError, match="^model must be a GPT, or nn.Sequential"):
        unit_scores(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="^keep must be a list of 2 tensors"):
        remove_units(mlp(), [torch.tensor([0])])
    with pytest.raises(ValueError, match=r"^keep must be different whole numbers in \[0, 31\]"):
        remove_units(mlp(), [torch.tensor([1, 0]), torch.tensor([0])])
    with pytest.raises(ValueError, match="^keep must be as many units in every layer"):
        remove_units(gpt("llama"), [torch.tensor([0]), torch.tensor([0, 1])])
    with pytest.raises(ValueError, match=r"^width must be a whole number in \[1, 24\]"):
        units_to_keep(unit_scores(mlp()), 25)
