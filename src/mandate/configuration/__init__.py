"""What changes while the product runs: limits, flags and bounds, as one typed tree from files or App Configuration."""
