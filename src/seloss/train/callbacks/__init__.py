"""What happens beside training: checkpoints, logs, pictures, interruption, profiles."""
