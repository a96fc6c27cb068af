"""Images from files, as numpy arrays: folders, IDX, .npz, and scikit-learn's digits. Needs no PyTorch."""
