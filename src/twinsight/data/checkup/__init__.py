"""A data set read through once: facts of each sample, and findings on the whole."""
