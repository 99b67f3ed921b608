"""The reference models, one small file each; they import torch and nothing else."""
