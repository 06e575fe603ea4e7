"""Regional attribution on CelebAMask-HQ: which part of a face do heatmaps of attributes lie on?"""

from xaieval.reproduce.celebamask_regions import attributes, pairs

CELEBAMASK_REGIONS = (attributes.SPEC, pairs.SPEC)

__all__ = ["CELEBAMASK_REGIONS"]
