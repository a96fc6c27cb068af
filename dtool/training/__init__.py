"""Training an ε-, x0- or v-network: Algorithm 1 of DDPM (arXiv:2006.11239), from a folder of images to a checkpoint."""
