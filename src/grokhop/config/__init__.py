"""All that can be set about a run, in sections by stage.

`schema` holds the sections, `presets` the named choices of them, `settings` reads them from files and command lines.
"""

from grokhop.config.budget import Budget
from grokhop.config.models import GPT2Config, LoopConfig, ModelConfig, PretrainedConfig
from grokhop.config.presets import DEFAULT, PRESETS, preset
from grokhop.config.schema import (
    MOST_HOPS,
    AugmentConfig,
    Control,
    OptimizerConfig,
    ResourceConfig,
    RunConfig,
    ScheduleConfig,
    TaskConfig,
    TrainConfig,
)
from grokhop.config.settings import (
    changed,
    changes,
    config_of,
    described,
    merged,
    read_config,
    setting_names,
    yaml_text,
)

__all__ = [
    "DEFAULT",
    "MOST_HOPS",
    "PRESETS",
    "AugmentConfig",
    "Budget",
    "Control",
    "GPT2Config",
    "LoopConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PretrainedConfig",
    "ResourceConfig",
    "RunConfig",
    "ScheduleConfig",
    "TaskConfig",
    "TrainConfig",
    "changed",
    "changes",
    "config_of",
    "described",
    "merged",
    "preset",
    "read_config",
    "setting_names",
    "yaml_text",
]
