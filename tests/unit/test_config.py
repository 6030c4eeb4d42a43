"""Settings: any of them can be set by name, none of them silently to something else."""

from dataclasses import fields, replace

import pytest

from grokhop.config import PRESETS, ModelSettings, TrainSettings, changed, changes, preset, setting_names
from grokhop.core.errors import InputError


def test_every_setting_can_be_set_by_its_name_and_shows_as_a_change() -> None:
    steps = {int: 4, float: 0.5}
    choices = {"optimizer": "grokfast", "loss": "stablemax", "precision": "bfloat16", "pretrained": "some/model"}
    choices["architecture"] = "gpt2"
    for kind, prefix in ((TrainSettings, ""), (ModelSettings, "model.")):
        base = preset("paper") if prefix else PRESETS["loop"]
        for field in fields(kind):
            if field.name == "model":
                continue
            held = base.model if prefix else base
            now = getattr(held, field.name)
            value = choices.get(field.name) or (not now if isinstance(now, bool) else now + steps[type(now)])
            if field.name == "architecture":
                value = "loop"
            change = f"{prefix}{field.name}={value}"
            if field.name == "d_model":
                change = "model.d_model=256"
            if field.name == "n_heads":
                change = "model.n_heads=8"
            set_anew = changed(base, [change])
            assert set_anew != base, change
            assert changes(set_anew, base) == [change]
            assert changed(base, changes(set_anew, base)) == set_anew
            assert f"{prefix}{field.name}" in setting_names()


def test_settings_that_are_only_right_together_are_set_together() -> None:
    made = preset("paper", changes=["model.n_heads=6", "model.d_model=96"])
    assert (made.model.n_heads, made.model.d_model) == (6, 96)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("n_layers", "sets nothing"),
        ("n_layers=4", "sets nothing"),
        ("model=8", "sets nothing"),
        ("model.model.n_layers=8", "sets nothing"),
        ("optimiser=adamw", "sets nothing"),
        ("optimizer=sgd", "must be one of muon, adamw, grokfast, orthograd, not 'sgd'"),
        ("loss=hinge", "must be one of"),
        ("model.architecture=rnn", "must be one of"),
        ("batch_size=7.2", "must be a whole number"),
        ("batch_size=0", "must be at least 1"),
        ("model.n_layers=0.5", "must be a whole number"),
        ("phi=-1", "phi must be positive"),
        ("phi=much", "must be a number"),
        ("cooldown=maybe", "must be true or false"),
        ("model.d_model=100", "multiple of twice n_heads"),
        ("model.repeats=0", "repeats must be 1"),
        ("hops=9", "hops must be from 2 to 8"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line_that_says_what(change: str, complaint: str) -> None:
    with pytest.raises(InputError, match="--set") as raised:
        preset("paper", changes=[change])
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_loop_is_not_repeated_beside_its_loops() -> None:
    with pytest.raises(InputError, match="repeats"):
        preset("loop", changes=["model.repeats=2"])


def test_the_full_preset_is_the_published_one_and_the_small_one_differs_from_it_in_size_and_speed_alone() -> None:
    full, small = PRESETS["paper-full"], PRESETS["paper"]
    assert (full.batch_size, full.adam_lr, full.precision) == (512, 5e-5, "bfloat16")
    assert (full.optimizer, full.adam_decay, full.cooldown, full.prefixes) == ("adamw", 1.0, False, False)
    scale = {"model", "adam_lr", "adam_decay", "adam_beta2", "warmup_steps", "evaluate_every", "precision"}
    assert {change.split("=")[0].split(".")[0] for change in changes(full, small)} <= scale


def test_settings_come_back_from_a_manifest_as_they_were() -> None:
    from dataclasses import asdict

    for settings in PRESETS.values():
        assert TrainSettings.from_record(asdict(settings)) == settings
    before = asdict(replace(PRESETS["loop"], hops=3))
    del before["phi"], before["loss"]  # of a release that had none
    assert TrainSettings.from_record(before) == replace(PRESETS["loop"], hops=3)
