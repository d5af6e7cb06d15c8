"""Programs: the ``seloss`` command, and what the recipes' ``train.py`` run."""
