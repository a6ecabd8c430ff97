"""The DVC stages before training; one module a stage, named like its config file."""
