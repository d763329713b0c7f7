"""What the five source projects claim of their nets, and the nets that only a claim needs."""
