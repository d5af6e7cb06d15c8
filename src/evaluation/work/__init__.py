"""Parts of every program: command line, processes, shards, ledger of finished work, tables."""
