"""What of a finished result the data determine, and what the prior; what else it could be."""
