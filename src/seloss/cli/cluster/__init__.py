"""Jobs on clusters (SLURM, OAR) and on this machine: submit, run, report, sweep, evaluate."""
