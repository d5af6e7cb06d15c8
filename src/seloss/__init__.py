"""SELoss: train and evaluate speech-enhancement networks."""
