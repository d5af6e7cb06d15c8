"""Training: options, the run's folder, the Lightning system, callbacks, fitting."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fit.loaders": ["training_loaders"],
        "fit.trainer": ["build_trainer"],
        "options.parser": ["ConfigError", "parse_recipe"],
        "options.recipe": [
            "DataConfig",
            "LossConfig",
            "OptimConfig",
            "Recipe",
            "TrainingConfig",
            "plain",
        ],
        "run.checkpoint": ["network_package"],
        "run.experiment": ["Experiment", "open_experiment"],
        "system.enhancement": ["EnhancementSystem"],
        "system.nan_guard": ["NonFiniteError"],
        "system.remix": ["augmentation"],
    },
)
