"""What a run is made of: sections with defaults, TOML, ``--set``, flags, and their provenance.

Precedence, lowest first: the dataclass default, the file, ``--set``, the flag.
"""

from __future__ import annotations

from modelcli.config.data_names import ARRAY_SUFFIXES, DATA_SUFFIXES, TEXT_SUFFIX, TOKEN_DATA
from modelcli.config.dump import dump_config, keys_table, toml_value
from modelcli.config.keys import KEYS, Key
from modelcli.config.load import (
    Resolved,
    Settings,
    load_config,
    load_model_section,
    parse_settings,
)
from modelcli.config.sections import (
    DEFAULT_STEPS,
    OPTIMIZERS,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
    default_lr,
)

__all__ = [
    "ARRAY_SUFFIXES",
    "DATA_SUFFIXES",
    "DEFAULT_STEPS",
    "KEYS",
    "OPTIMIZERS",
    "TEXT_SUFFIX",
    "TOKEN_DATA",
    "DataConfig",
    "Key",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Resolved",
    "RunConfig",
    "ScheduleConfig",
    "Settings",
    "TrainConfig",
    "default_lr",
    "dump_config",
    "keys_table",
    "load_config",
    "load_model_section",
    "parse_settings",
    "toml_value",
]
