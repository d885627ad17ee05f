"""The photo network in exact integers."""
