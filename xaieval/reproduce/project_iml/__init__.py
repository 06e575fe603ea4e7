"""project_iml: Grad-CAM against saliency and integrated gradients over ten seeds."""

from xaieval.reproduce.project_iml.experiments import PROJECT_IML

__all__ = ["PROJECT_IML"]
