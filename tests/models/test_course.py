"""utils.models.course: what is refused, or taken, in place of a model."""

from __future__ import annotations

import pytest

from tests.toy_corpus import TEXT
from utils.data.books import train_tokenizer
from utils.models import course
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import save_pretrained


def test_a_missing_model_is_named(tmp_path, monkeypatch):
    for folder in (tmp_path, str(tmp_path)):
        line = f"{tmp_path} holds no model.safetensors: train it"
        with pytest.raises(FileNotFoundError, match=line):
            course.load("judge_gpt", folder)
    with monkeypatch.context() as patch:
        patch.setattr(course, "repo_root", lambda: tmp_path)
        line = "^records/judge_gpt holds no model.safetensors"
        with pytest.raises(FileNotFoundError, match=line):
            course.load("judge_gpt")
    line = "name must be one of 'course_gpt', 'judge_gpt', got 'gpt5'"
    with pytest.raises(ValueError, match=line):
        course.load("gpt5")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", "tokenizer.json is not a readable tokenizer: "),
        (b"{", "tokenizer.json is not a readable tokenizer: "),
        (b"\xff", "tokenizer.json is not a readable tokenizer: "),
        (None, "tokenizer.json must be of the model's 300 tokens, got 267"),
    ],
)
def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path, text, line):
    config = GPTConfig(vocab_size=300, context_length=8, n_layer=1, n_head=2, d_model=16)
    save_pretrained(GPT(config), tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no tokenizer.json"):
        course.load("course_gpt", tmp_path)
    foreign = train_tokenizer([TEXT], 267).to_str().encode()
    (tmp_path / "tokenizer.json").write_bytes(foreign if text is None else text)
    with pytest.raises(ValueError, match=line) as error:
        course.load("course_gpt", tmp_path)
    assert "\n" not in str(error.value)


def test_a_model_that_cannot_be_fetched_is_replaced_and_named(monkeypatch, capsys):
    def fail(address):
        raise OSError(f"We couldn't connect to the hub for {address}\nsecond line")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", fail)
    monkeypatch.setattr("utils.models.course.load", lambda name: (name, "tokenizer"))
    assert course.choose_model("gpt2") == ("course_gpt", "tokenizer")
    message = capsys.readouterr().out
    assert "openai-community/gpt2 could not be fetched" in message
    assert "second line" not in message
    assert course.choose_model() == ("course_gpt", "tokenizer")
    assert capsys.readouterr().out == ""


def test_only_known_models_can_be_chosen():
    with pytest.raises(ValueError, match="name must be one of"):
        course.choose_model("gpt5")
