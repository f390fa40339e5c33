"""The model card says what was measured."""

import json
from pathlib import Path

from app.scenes.questions.queries import Kind
from worker.demo.card import write_card


def test_the_card_shows_the_figures_of_every_kind(tmp_path: Path) -> None:
    shares = {kind.value: 0.5 for kind in Kind} | {"all": 0.25}
    figures = {
        "n_items": 40,
        "answer_accuracy": shares,
        "near_greedy_fit": shares,
        "right_draws": shares,
        "distinct_right_texts": 17,
        "items_with_a_right_draw": 0.8,
    }
    record = {
        "recipe": {"seed": 0},
        "steps": 12,
        "parameters": 1_600_000,
        "versions": {"torch": "2", "transformers": "5"},
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    (tmp_path / "recipe.json").write_text(json.dumps(record), encoding="utf-8")
    text = write_card(tmp_path).read_text(encoding="utf-8")
    assert "license: apache-2.0" in text
    assert "1.6 million parameters" in text.replace("\n", " ")
    for kind in Kind:
        assert f"| {kind.value} | 0.500 | 0.500 | 0.500 |" in text
    assert "17 different right texts" in text
