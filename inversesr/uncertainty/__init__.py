"""How far an image can be trusted: intervals and their coverage."""
