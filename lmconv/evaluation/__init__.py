"""How likely images and photographs are under a network."""
