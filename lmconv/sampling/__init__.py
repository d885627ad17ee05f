"""Images drawn from a network, and sheets of them."""
