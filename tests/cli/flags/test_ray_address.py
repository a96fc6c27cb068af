import pytest

from dtool.cli.flags.ray_address import complete_ray


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("--ray", "--ray auto"),
        ("--ray -n 5", "--ray auto -n 5"),
        ("--ray model.pt", "--ray auto model.pt"),
        ("--ray package.module:factory", "--ray auto package.module:factory"),
        ("--ray auto", "--ray auto"),
        ("--ray 10.0.0.1:6379 model.pt", "--ray 10.0.0.1:6379 model.pt"),
        ("--ray ray://head:10001", "--ray ray://head:10001"),
        ("--ray [::1]:6379", "--ray [::1]:6379"),
        ("--ray=head:1", "--ray=head:1"),
        ("-n 5 -- --ray", "-n 5 -- --ray"),
    ],
)
def test_an_address_of_ray_may_be_left_out(typed, completed):
    assert complete_ray(typed.split()) == completed.split()
