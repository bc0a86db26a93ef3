"""Images and captions: the command at toy size, the world, and the models' promises."""

from __future__ import annotations

import pytest
import torch

from experiments.applications import images_and_captions
from experiments.applications.captioned_digits import (
    N_COMPOSITIONS,
    TEMPLATES,
    WORDS,
    caption,
    encode,
    make_world,
    parts_of,
)
from experiments.applications.images_and_captions import (
    ENCODERS,
    READERS,
    Settings,
    cells_for,
    keys,
    main,
    measure,
    train_encoders,
    train_language_model,
    train_reader,
)
from experiments.applications.seeing import (
    GatedCrossAttention,
    Labelled,
    TextEncoder,
    TwoEncoders,
    contrastive_loss,
    hidden,
    name_images,
    parts_right,
    write,
)
from utils import records
from utils.runtime import generator

TOY = Settings(
    seeds=(0,),
    held_out=(40,),
    encoder_steps=2,
    language_steps=2,
    reader_steps=2,
    batch_size=8,
    depths=(2,),
    inner=(64,),
    n_train=(100,),
    n_test=40,
)


@pytest.fixture(scope="module")
def world():
    return make_world(0, n_train=100)


def test_the_command_writes_a_record(tmp_path, capsys):
    out = tmp_path / "toy.json"
    options = "--seeds 0 --held-out 40 --encoder-steps 2 --language-steps 2 --reader-steps 2"
    options += " --batch-size 8 --depths 2 --inner 64 --n-train 100 --n-test 40"
    main([*options.split(), "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert {run["kind"] for run in record.data["encoders"]} == set(ENCODERS)
    assert {run["kind"] for run in record.data["readers"]} == set(READERS)
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path):
    settings = Settings(**{**vars(TOY), "groups": ("readers",)})
    whole = records.load(measure(settings, tmp_path / "whole.json")).data
    part = tmp_path / "part.json"
    made = []

    def stop(*arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(arguments)
        return original(*arguments)

    original = images_and_captions.train_reader
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images_and_captions, "train_reader", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(settings, part)
    assert len(records.load(part).data["readers"]) == 2
    again = records.load(measure(settings, part)).data
    for run in [*whole["readers"], *again["readers"]]:
        del run["cpu_seconds"]
    assert again == whole


def test_a_run_that_comes_too_late_is_not_made(tmp_path):
    data = records.load(measure(TOY, tmp_path / "late.json", time_budget=0)).data
    assert [run["finished"] for run in data["encoders"]] == [False]


def test_no_run_is_planned_twice():
    for planned in keys(Settings()):
        assert len({tuple(key.values()) for key in planned}) == len(planned)


# ---- the world


def test_every_composition_has_its_own_captions():
    texts = {caption(code, k) for code in range(N_COMPOSITIONS) for k in range(len(TEMPLATES))}
    assert len(texts) == N_COMPOSITIONS * len(TEMPLATES)
    for text in texts:
        words = [WORDS[i] for i in encode(text) if i > 1]
        assert " ".join(words) == text


def test_a_caption_says_its_own_parts_and_no_others():
    codes = torch.arange(N_COMPOSITIONS)
    for template in range(len(TEMPLATES)):
        ids = torch.tensor([encode(caption(int(code), template)) for code in codes])
        assert parts_right(ids, codes).all()
        wrong = parts_right(ids, (codes + 16) % N_COMPOSITIONS)  # the next digit
        assert wrong.tolist() == [[False, True, True, True]] * N_COMPOSITIONS


def test_held_out_compositions_are_never_drawn(world):
    rng = generator(0, "torch")
    drawn = torch.cat([world.batch(60, rng)[0] for _ in range(20)])
    assert set(drawn.tolist()) == set(world.seen.tolist())
    assert len(world.held) == 40
    assert not torch.isin(world.held, world.seen).any()


def test_an_image_shows_the_digit_of_its_composition_at_its_place(world):
    codes = torch.arange(N_COMPOSITIONS)
    images = world.images(codes, generator(0, "torch"), test=True)  # (160, 1, 16, 16)
    halves = {0: images[..., :8], 1: images[..., 8:], 2: images[..., :8, :], 3: images[..., 8:, :]}
    for place, half in halves.items():
        at_place = parts_of(codes)[:, 2] == place
        assert torch.equal(half[at_place].sum((1, 2, 3)), images[at_place].sum((1, 2, 3)))


def test_no_test_digit_is_trained_on(world):
    train = {image.numpy().tobytes() for image in world.train[:, 0]}
    assert not any(image.numpy().tobytes() in train for image in world.test[:, 0])


def test_a_digit_can_be_held_out_as_a_whole():
    world = make_world(0, without=7)
    assert world.held.tolist() == list(range(7 * 16, 8 * 16))


# ---- the models


def test_the_contrastive_loss_is_what_it_says():
    scores = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = -scores.log_softmax(1).diagonal().mean()
    columns = -scores.log_softmax(0).diagonal().mean()
    assert contrastive_loss(scores) == pytest.approx(float(rows + columns) / 2)


def test_the_rivals_have_as_many_numbers():
    sizes = [sum(p.numel() for p in model.parameters()) for model in rivals()]
    assert max(sizes) / min(sizes) < 1.01


def rivals():
    return TwoEncoders(), Labelled(heads=True), Labelled(heads=False)


def test_log_probabilities_of_all_compositions_add_up_to_one(world):
    images = world.images(world.held, generator(0, "torch"))
    for model in rivals()[1:]:
        assert torch.allclose(model(images).exp().sum(1), torch.ones(len(images)), atol=1e-5)


def test_a_bag_of_words_has_no_order():
    encoder = TextEncoder(bag=True)
    ids = torch.tensor([encode(caption(3))])
    assert torch.allclose(encoder(ids), encoder(ids.flip(1)), atol=1e-6)


def test_a_closed_gate_changes_nothing_and_training_leaves_the_model_alone(world):
    gpt = train_language_model(world, 2, TOY, seed=0)
    encoder = train_encoders(world, "pairs", TOY, seed=0).image
    before = {name: value.clone() for name, value in gpt.state_dict().items()}
    cells = encoder.cells(world.images(world.held, generator(0, "torch")))
    ids = world.texts(world.held, generator(1, "torch"))
    plain = gpt(ids)

    new = GatedCrossAttention()
    for place in (0, 1):
        assert torch.equal(gpt.head(hidden(gpt, ids, new, cells, place)), plain)
    layer = train_reader(world, gpt, encoder.cells, "real", 64, TOY, seed=0)
    assert float(layer.gate) != 0
    assert not torch.equal(gpt.head(hidden(gpt, ids, layer, cells)), plain)
    assert all(torch.equal(before[name], value) for name, value in gpt.state_dict().items())
    layer.gate.zero_()
    assert torch.equal(gpt.head(hidden(gpt, ids, layer, cells)), plain)
    assert torch.equal(write(gpt, layer, cells), write(gpt, None, cells))


def test_constant_cells_do_not_depend_on_the_image(world):
    encoder = train_encoders(world, "pairs", TOY, seed=0).image
    images = world.images(world.held, generator(0, "torch"))
    constant = cells_for("constant", world, encoder)(images)  # (40, 16, WIDTH)
    assert torch.equal(constant, constant[:1].expand_as(constant))
    assert not torch.equal(encoder.cells(images)[0], encoder.cells(images)[1])


def test_naming_depends_only_on_the_generator(world):
    model = train_encoders(world, "heads", TOY, seed=0)
    first = name_images(world, model, world.held, generator(0, "torch"))
    assert torch.equal(first, name_images(world, model, world.held, generator(0, "torch")))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"held_out": (0,)}, "held_out must be a whole number of at least 1, got 0"),
        ({"batch_size": 121}, "batch_size must be at most 80, got 121"),
        ({"encoder_rate": 0.0}, r"encoder_rate must be a number in \(0, inf\), got 0.0"),
        ({"groups": ("x",)}, "groups must be one of 'encoders', 'readers', got 'x'"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)
