"""What the benchmarks start and measure with: a provider, a floor, a load generator, and a look at `/proc`."""
