"""Search a recipe with Optuna: what is searched, the shared study, one trial, what came out."""
