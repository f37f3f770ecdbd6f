"""What is known of the course of a series in time: few shapes, or few changes."""
