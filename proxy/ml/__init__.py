"""A trained model as one more shrinker for prose: off unless a folder with one is named. Nothing else needs these modules."""
