"""Better recipes: a search over Optuna, and the winners beside the default on fresh seeds."""
