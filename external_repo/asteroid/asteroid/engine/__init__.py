"""Training: the Lightning system, its callbacks, the typed configuration, the experiment folder.

Nothing heavy is imported before it is used, so that a recipe's ``--help`` and the refusal of a
wrong option come at once.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["optimizers", "schedulers", "system"],
    submod_attrs={
        "checkpoints": ["network_package"],
        "command_line": ["ConfigError", "parse_recipe", "run_program"],
        "config": ["DataConfig", "LossConfig", "OptimConfig", "TrainingConfig"],
        "enhancement": ["EnhancementSystem"],
        "experiment": ["Experiment", "open_experiment", "plain"],
        "finite": ["NonFiniteError"],
        "fitting": ["fit"],
        "loaders": ["training_loaders"],
        "optimizers": ["make_optimizer"],
        "remixing": ["augmentation"],
        "system": ["System"],
        "trainer": ["build_trainer"],
    },
)
