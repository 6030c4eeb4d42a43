"""Settings: any of them can be set by name, none of them silently to something else, and all come back from a file."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from grokhop.config import (
    PRESETS,
    RunConfig,
    changed,
    changes,
    config_of,
    described,
    merged,
    preset,
    read_config,
    setting_names,
    yaml_text,
)
from grokhop.config.models import BUILT_IN, ModelConfig
from grokhop.config.schema import LEARNED, sections
from grokhop.core.errors import InputError

OTHER: dict[str, Any] = {
    "task.supervision": "every_hop",
    "task.control": "no-chains",
    "model.pretrained": "some/model",
    "model.d_model": 256,
    "model.n_heads": 8,
    "model.most_loops": 6,
    "model.order": "relations_first",
    "model.fewest_loops": 3,
    "optimizer.name": "grokfast",
    "train.loss": "stablemax",
    "optimizer.adam_beta2": 0.5,
    "schedule.cooldown_at": 0.25,
    "train.fact_share": 0.5,
    "train.mixing": "by_kind",
    "train.precision": "bfloat16",
    "resources.budget": "90s",
    "resources.threads": 2,
    "resources.device": "cpu",
}


def value_beside(name: str, now: Any) -> Any:
    if name in OTHER:
        return OTHER[name]
    return (not now) if isinstance(now, bool) else now + {int: 4, float: 0.5}[type(now)]


def test_every_setting_can_be_set_by_its_name_and_shows_as_a_change() -> None:
    of_architecture = {name: preset("paper", changes=[f"model.architecture={name}"]) for name in BUILT_IN}
    tried = set()
    for base in of_architecture.values():
        for section in (*LEARNED, "resources"):
            held = getattr(base, section)
            for field in fields(held):
                name = f"{section}.{field.name}"
                if name == "model.architecture":
                    continue
                value = value_beside(name, getattr(held, field.name))
                change = f"{name}={str(value).lower() if isinstance(value, bool) else value}"
                set_anew = changed(base, [change])
                assert set_anew != base, change
                assert changes(set_anew, base) == [change]
                assert changed(base, changes(set_anew, base)) == set_anew
                tried.add(name)
    assert tried | {"model.architecture"} == {n for n in setting_names() if not n.startswith("augment.")}


def test_every_setting_has_a_meaning_and_its_default() -> None:
    for one in described():
        section, _, name = one.name.partition(".")
        assert len(one.meaning) > 10 and one.meaning[0] in one.meaning[0].upper() + "`", one.name
        if section != "model":
            assert getattr(sections()[section](), name) == one.default


def test_settings_that_are_only_right_together_are_set_together() -> None:
    made = preset("paper", changes=["model.n_heads=6", "model.d_model=96"])
    assert (made.model.n_heads, made.model.d_model) == (6, 96)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("n_layers", "sets nothing"),
        ("n_layers=4", "sets nothing: write SECTION.NAME=VALUE (did you mean model.n_layers?)"),
        ("model=8", "sets nothing"),
        ("model.model.n_layers=8", "sets nothing"),
        ("optimiser.name=adamw", "sets nothing: write SECTION.NAME=VALUE (did you mean optimizer.name?)"),
        ("optimizer.adam_lrr=1", "optimizer.adam_lrr is no setting (did you mean optimizer.adam_lr?)"),
        ("model.architecture=rnn", "is no model: choose one of recurrent, loop, gpt2, pretrained"),
        ("train.batch_size=7.2", "must be a whole number"),
        ("train.batch_size=1", "must be at least 2"),
        ("model.n_layers=0.5", "must be a whole number"),
        ("task.phi=-1", "task.phi must be at least 0"),
        ("task.phi=much", "must be a number"),
        ("task.phi=inf", "must be a finite number"),
        ("optimizer.adam_lr=-1", "optimizer.adam_lr must be more than 0"),
        ("optimizer.adam_beta2=1", "must be less than 1"),
        ("train.batch_size=99999999999999999999", "must be at most 1e+06"),
        ("train.mixing=by_knd", "(did you mean by_kind?)"),
        ("schedule.cooldown=maybe", "must be true or false"),
        ("model.d_model=100", "multiple of twice n_heads"),
        ("model.repeats=0", "model.repeats must be at least 1"),
        ("task.hops=9", "task.hops must be at most 8"),
        ("resources.budget=soon", "is no budget"),
        ("resources.device=tpu", "must be one of 'auto', 'cpu', 'cuda' or 'mps'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line_that_says_what(change: str, complaint: str) -> None:
    with pytest.raises(InputError) as raised:
        preset("paper", changes=[change])
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_loop_has_no_setting_of_the_decoder() -> None:
    with pytest.raises(InputError, match=r"model\.repeats is no setting"):
        preset("loop", changes=["model.repeats=2"])


def test_another_architecture_keeps_of_the_shape_what_it_has_too() -> None:
    made = preset("paper", changes=["model.architecture=loop", "model.n_layers=2"])
    assert made.model == BUILT_IN["loop"](d_model=128, n_heads=4, n_layers=2)
    assert changed(preset("paper"), changes(made, preset("paper"))) == made


def test_the_full_preset_is_the_published_one_and_the_small_one_differs_from_it_in_size_and_speed_alone() -> None:
    full, small = PRESETS["paper-full"], PRESETS["paper"]
    assert (full.train.batch_size, full.optimizer.adam_lr, full.train.precision) == (512, 5e-5, "bfloat16")
    assert (full.optimizer.name, full.optimizer.adam_decay, full.schedule.cooldown) == ("adamw", 1.0, False)
    assert (full.task.supervision, full.train.mixing, full.train.packing) == ("answer", "by_row", False)
    shape = {f"model.{name}" for name in ("d_model", "n_heads", "n_layers")}
    pace = {f"optimizer.{name}" for name in ("adam_lr", "adam_decay", "adam_beta2")}
    pace |= {"schedule.warmup_steps", "train.evaluate_every", "train.precision"}
    assert {change.split("=")[0] for change in changes(full, small)} <= shape | pace


@pytest.mark.parametrize("name", list(PRESETS))
def test_settings_come_back_from_their_file_as_they_were(name: str, tmp_path: Path) -> None:
    settings = changed(PRESETS[name], ["task.hops=3", "resources.budget=90s"])
    assert settings.preset == name
    (tmp_path / "config.yaml").write_text(yaml_text(settings))
    assert config_of(read_config(tmp_path / "config.yaml"), where="there") == settings


def test_a_file_that_leaves_settings_out_gets_their_defaults() -> None:
    whole = yaml.safe_load(yaml_text(preset("loop", hops=3)))
    del whole["task"]["phi"], whole["train"]  # of a release that had none
    assert config_of(whole, where="there") == preset("loop", hops=3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "cannot be read as YAML"),
        ("just words", "holds no settings"),
        ("- 1", "holds no settings"),
        ("1: 2", "is no name of a section"),
        ("task: {}\ntask: {}", "given twice"),
    ],
)
def test_a_file_that_is_no_settings_is_refused_in_one_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=complaint) as raised:
        read_config(tmp_path / "c.yaml")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"trian": {}}, "did you mean train"),
        ({"train": {"bach_size": 3}}, r"train.bach_size is no setting \(did you mean train.batch_size"),
        ({"train": 3}, "must hold settings"),
        ({"train": {"batch_size": True}}, "must be no true or false"),
        ({"task": {"hops": "two"}}, "must be a whole number, not 'two'"),
    ],
)
def test_a_wrong_name_in_a_file_is_answered_with_the_nearest(record: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        config_of(record, where="there")


def test_a_file_changes_what_it_names_and_nothing_else() -> None:
    made = merged(preset("paper"), {"optimizer": {"adam_lr": "1e-4"}, "train": {"batch_size": 64}}, where="there")
    assert changes(made, preset("paper")) == ["optimizer.adam_lr=0.0001", "train.batch_size=64"]


def test_resources_and_the_name_of_a_preset_change_nothing_that_is_learned() -> None:
    one = preset("loop")
    assert one.trains_as(replace(changed(one, ["resources.seeds=3", "resources.budget=1h"]), preset="mine"))
    for change in ("task.hops=3", "model.d_model=64", "optimizer.name=adamw", "train.loss=stablemax"):
        assert not one.trains_as(changed(one, [change]))


def test_a_section_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        RunConfig().task.hops = 3  # type: ignore[misc]
    assert isinstance(RunConfig().model, ModelConfig)
