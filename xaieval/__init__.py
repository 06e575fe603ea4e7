"""xaieval: explain image classifiers with heatmaps and score them against pixel masks."""

__version__ = "0.1.0"
