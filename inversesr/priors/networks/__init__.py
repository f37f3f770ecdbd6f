"""The networks that priors are made of."""
