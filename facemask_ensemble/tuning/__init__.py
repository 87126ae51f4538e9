"""Search for the best training settings with Optuna: the space, the shared study, one trial, the results."""
