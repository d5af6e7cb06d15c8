"""How a program does its work: in processes, in shares, resumed, from the command line."""
