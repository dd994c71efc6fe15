"""A sweep mirrored to W&B, and a store made again from there. Only `client` imports W&B, in a process of its own."""
