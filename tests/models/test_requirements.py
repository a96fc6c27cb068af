"""Which options go with which kind of network."""

from tests.support.commandline import failed, ran


def test_only_an_onnx_file_has_a_provider(capsys, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"")
    result = ran(capsys, "sample", tmp_path / "net.pt", "--provider", "CUDA")
    failed(result, 2, "runs on torch, which has no execution providers", "dtool export")
