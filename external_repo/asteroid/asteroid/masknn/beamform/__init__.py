"""Filter-and-sum beamforming by neural networks: the parts of FaSNet-TAC."""
