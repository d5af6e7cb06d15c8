"""The options of a training run: typed, from files and the command line."""
