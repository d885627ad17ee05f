"""The networks, layer by layer, their likelihoods, and what they are made of."""
