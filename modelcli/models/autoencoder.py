"""A convolutional autoencoder with both ways of growing a feature map."""

from __future__ import annotations

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Down by convolution and pooling; up by a transposed convolution and by upsampling.

    Source: encoding and decoding feature maps.

    Args:
        channels: feature maps after the first convolution; twice as many in the middle.
        dropout: chance for a whole feature map to be zeroed while training.

    Shapes:
        input (B, 1, H, W) with H, W multiples of 4, registered with 32;
        code (B, 2 * channels, H/4, W/4); output (B, 1, H, W).
    """

    def __init__(self, channels: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (B, channels, H/2, W/2)
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.MaxPool2d(2),  # (B, 2 * channels, H/4, W/4)
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(2 * channels, channels, kernel_size=2, stride=2),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),  # (B, channels, H, W)
            nn.Conv2d(channels, 1, kernel_size=3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1, H, W) to (B, 1, H, W)."""
        output: Tensor = self.decoder(self.encoder(x))
        return output
