"""Speed as ratios to named baselines, both measured in the same interleaved run on real servers."""
