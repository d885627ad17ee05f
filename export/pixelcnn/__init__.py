"""The paper's network in exact integers."""
