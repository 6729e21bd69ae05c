"""From a feature matrix to scores: the rate, its interval, its reasons, its proof."""
