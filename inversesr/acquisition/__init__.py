"""What the scanner did: geometry, noise, foreground, registration, brain mask, simulation."""
