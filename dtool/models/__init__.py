"""Networks: what they are and mean, guidance, the U-Net, checkpoints."""
