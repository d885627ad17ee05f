"""Runs exported models: the schedule, the online predictor, bundles, and the exact level-by-level pass."""
