"""AlexNet in one tower."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AlexNet(nn.Module):
    """Five convolutions, adaptive pooling to 6 x 6, three dense layers with dropout.

    Names and sizes are those of the one-tower variant (Krizhevsky 2014, "One weird trick for
    parallelizing convolutional neural networks"), so that torchvision's weights load.

    Source: a deep convolutional network.

    Args:
        num_classes: width of the last layer.
        dropout: chance for an input of the first two dense layers to be zeroed while training.

    Shapes:
        input (B, 3, H, W) with H, W at least 63, registered with 224; output (B, num_classes).
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to scores (B, num_classes)."""
        x = self.avgpool(self.features(x))  # (B, 256, 6, 6)
        scores: Tensor = self.classifier(torch.flatten(x, 1))
        return scores
