"""Weights equal those of transformers both ways; foreign or damaged ones are refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.cases import shaken, some_config, some_ids
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import (
    from_config,
    from_state_dict,
    from_transformers,
    load_pretrained,
    save_pretrained,
    to_config,
    to_state_dict,
    to_transformers,
)
from utils.runtime import generator

SIZE = dict(vocab_size=20, context_length=8, n_layer=2, n_head=2, d_model=16)
Q = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def model():
    return GPT(GPTConfig(n_kv_head=1, **SIZE))


def one_line(line, call, *arguments):
    with pytest.raises((ValueError, FileNotFoundError), match=line) as error:
        call(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(24))
def test_logits_equal_transformers_both_ways(seed, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = shaken(some_config(seed), seed)
    ids = some_ids(model.config)
    theirs = to_transformers(model)
    save_pretrained(model, tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        expected = theirs(ids).logits
        read_by_them = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
        others = [
            model(ids),
            from_transformers(theirs)(ids),
            load_pretrained(tmp_path / "ours")(ids),
            load_pretrained(tmp_path / "theirs")(ids),
            read_by_them(ids).logits,
        ]
    for logits in others:
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert model.num_parameters() == theirs.num_parameters()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"model.layers.2.mlp.down_proj.weight": torch.ones(1)},
            "checkpoint must be one whose every tensor",
        ),
        (
            {"model.layers.0.self_attn.q_proj.bias": torch.ones(16)},
            r"got \['model.layers.0.self_attn.q_proj",
        ),
        (
            {Q: torch.full((16, 16), torch.nan)},
            f"^{Q} must be finite, got '256 entries that are NaN",
        ),
        ({Q: torch.full((16, 16), 1e300, dtype=torch.float64)}, f"^{Q} must be finite"),
        (
            {Q: torch.ones(16, 16, dtype=torch.int8)},
            f"^dtype of {Q} must be floating-point, got 'torch.int8'",
        ),
        (
            {Q: torch.ones(8, 16), Q.replace("q", "k"): torch.ones(16, 16)},
            f"^shape of {Q} must be as in",
        ),
    ],
)
def test_foreign_weights_are_refused(model, change, line):
    one_line(line, from_state_dict, model.config, to_state_dict(model) | change)


def test_weights_of_more_layers_are_refused(model):
    one_line(
        "every tensor",
        from_state_dict,
        GPTConfig(n_kv_head=1, **SIZE | {"n_layer": 1}),
        to_state_dict(model),
    )


@pytest.mark.parametrize("style", ["gpt2", "llama"])
def test_what_holds_nothing_of_its_own_is_ignored_and_no_random_number_drawn_twice(style):
    model = GPT(GPTConfig(style, **SIZE))
    state = to_state_dict(model)
    if style == "gpt2":
        state |= {
            "transformer.h.0.attn.bias": torch.ones(1),
            "transformer.h.0.attn.masked_bias": torch.ones(1),
        }
        state = {name.removeprefix("transformer."): w for name, w in state.items()}
    else:
        state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    state["lm_head.weight"] = torch.ones(20, 16)
    generator(0, "global")
    GPT(model.config)
    expected = torch.rand(1)
    generator(0, "global")
    back = from_state_dict(model.config, state)
    assert torch.rand(1) == expected
    for ours, theirs in zip(model.parameters(), back.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"tie_word_embeddings": "no"}, "^tie_word_embeddings must be true or false, got 'no'$"),
        ({"tie_word_embeddings": 0}, "^tie_word_embeddings must be true or false, got 0$"),
        ({"model_type": []}, r"^model_type must be 'gpt2' or 'llama', got \[\]$"),
        ({"rope_parameters": "x"}, "^rope_parameters must be a JSON object, got 'x'$"),
        (
            {"rope_parameters": {"rope_theta": "x"}},
            r"^rope_theta must be a number in \(1, inf\), got 'x'$",
        ),
        ({"vocab_size": 10**12}, r"^shape of model.embed_tokens.weight must be as in config.json"),
        (
            {"intermediate_size": 10**15},
            "^shape of model.layers.0.mlp.gate_proj.weight must be as in config",
        ),
        (
            {"num_hidden_layers": 10**12},
            "^n_layer must be at most 20, the tensors here, got 1000000000000$",
        ),
        ({"max_position_embeddings": 10**15}, "^config.json asks for a model too large to build: "),
    ],
)
def test_a_bad_configuration_is_refused_before_memory_is_taken(model, tmp_path, change, line):
    save_without_hashes(model, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    one_line(line, load_pretrained, tmp_path)


def save_without_hashes(model, folder):
    """As another program stores a model."""
    save_pretrained(model, folder)
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")


@pytest.mark.parametrize("content", [b"[]", b"\xff\xfe\x00", b"{", b"1", b"", b"[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_a_corrupt_header_is_one_line(model, tmp_path, content, name):
    save_without_hashes(model, tmp_path)
    if name != "config.json":  # the index is read only where there is no single file
        (tmp_path / "model.safetensors").unlink()
    (tmp_path / name).write_bytes(content)
    one_line("is not a readable checkpoint|must be a JSON object", load_pretrained, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"weight_map": {}},
        {"weight_map": []},
        {"weight_map": {"a": 3}},
        {"weight_map": {"a": ""}},
    ],
)
def test_a_shard_index_without_files_is_refused(model, tmp_path, content):
    save_pretrained(model, tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "a.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(content))
    one_line(
        "^weight_map in model.safetensors.index.json must be an object of plain file",
        load_pretrained,
        tmp_path,
    )


def test_shards_lie_in_the_folder_itself(model, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    save_pretrained(model, inside)
    save_pretrained(model, outside)
    (inside / "model.safetensors").unlink()
    index = inside / "model.safetensors.index.json"
    for name in ("../outside/model.safetensors", str(outside / "model.safetensors"), ".."):
        index.write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
        one_line("^weight_map in .* must be an object of plain file names", load_pretrained, inside)
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": "gone.safetensors"}}))
    one_line("^inside holds no gone.safetensors$", load_pretrained, inside)
    (outside / "config.json").unlink()
    one_line("^outside holds no config.json$", load_pretrained, outside)


def test_the_single_file_goes_before_shards_that_an_older_model_has_left(model, tmp_path):
    old = shaken(some_config(1))
    to_transformers(old).save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    save_pretrained(model, tmp_path)
    back = load_pretrained(tmp_path)
    assert vars(back.config) == vars(model.config)
    assert torch.equal(back.tok.weight, model.tok.weight)


def test_a_hash_that_was_lost_is_missed(model, tmp_path):
    save_pretrained(model, tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"sha256":', b'"Sha256":'))
    line = "model.safetensors is damaged, it has lost its sha256$"
    one_line(line, load_pretrained, tmp_path)


def test_shards_are_joined(model, tmp_path):
    save_pretrained(model, tmp_path)
    items = list(to_state_dict(model).items())
    (tmp_path / "model.safetensors").unlink()
    shards = {"a.safetensors": dict(items[:5]), "b.safetensors": dict(items[5:])}
    for name, part in shards.items():
        save_file(part, tmp_path / name)
    index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    back = load_pretrained(tmp_path)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True)
    )


def test_a_configuration_is_an_object():
    one_line(r"^config.json must be a JSON object, got \[\]$", from_config, [])


def test_corrupt_and_foreign_folders_are_refused_in_one_line(tmp_path):
    model = shaken(some_config(1))
    save_without_hashes(model, tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    good, settings = weights.read_bytes(), json.loads(config.read_text())

    def refused(line):
        with pytest.raises(ValueError, match=line) as error:
            load_pretrained(tmp_path)
        assert "\n" not in str(error.value)

    weights.write_bytes(good[: len(good) // 2])
    refused("is not a readable checkpoint")
    weights.write_bytes(b"not safetensors at all")
    refused("is not a readable checkpoint")
    weights.write_bytes(good)
    state = load_file(weights)
    save_file({name: w for name, w in state.items() if "norm" not in name}, weights)
    refused("checkpoint must be one that holds")
    weights.write_bytes(good)
    for change, line in [
        ({"model_type": "bert"}, "model_type must be 'gpt2' or 'llama', got 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act must be one of"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_type must be 'default', got 'llama3'"),
        (
            {"vocab_size": settings["vocab_size"] + 1},
            "shape of model.embed_tokens.weight must be as in config",
        ),
        ({"hidden_size": None}, "d_model|hidden_size must be given"),
    ]:
        config.write_text(json.dumps(settings | change))
        refused(line)
    config.write_text("{")
    refused("is not a readable checkpoint")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "notes.txt"])
def test_a_changed_bit_in_any_file_of_a_stored_model_is_found(model, tmp_path, name):
    (tmp_path / "notes.txt").write_text("what belongs to the weights")
    save_pretrained(model, tmp_path, torch.float16, beside=["notes.txt"])
    load_pretrained(tmp_path)
    good = (tmp_path / name).read_bytes()
    for place in range(3, len(good), len(good) // 100 + 1):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8
        (tmp_path / name).write_bytes(flipped)
        one_line(r"^\S", load_pretrained, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {name}$"):
        load_pretrained(tmp_path)


def test_a_harmless_looking_change_of_the_configuration_is_named(model, tmp_path):
    save_pretrained(model, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text() + "\n")
    line = f"^{tmp_path.name}: config.json is not the one stored with its weights$"
    one_line(line, load_pretrained, tmp_path)


def test_gpt2_has_no_grouped_heads_in_transformers():
    config = GPTConfig("gpt2", 50, 8, 1, 4, 32, n_kv_head=2)
    GPT(config)(torch.zeros(1, 8, dtype=torch.long))
    with pytest.raises(
        ValueError, match="n_kv_head must be n_head = 4 for transformers' GPT-2, got 2"
    ):
        to_config(config)


@pytest.mark.parametrize("seed", range(6))
def test_configurations_survive_the_round_trip(seed):
    config = some_config(seed)
    back = from_config(to_config(config))
    fixed = {} if config.style == "llama" else {"rope_theta": back.rope_theta}
    assert vars(back) == vars(config) | fixed
