"""Total variation, for one scan and for several stacks."""
