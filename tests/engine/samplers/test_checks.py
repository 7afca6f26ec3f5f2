import pytest
import torch

from engine.checks import require_finite, require_picture
from engine.errors import NotAPicture


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("value", "found"), [(float("nan"), "NaN"), (float("inf"), "infinite"), (-float("inf"), "inf")]
)
def test_one_number_that_is_none_is_an_error(value: float, found: str, dtype: torch.dtype) -> None:
    latent = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    require_finite(latent, "step")
    latent[0, 2, 7, 5] = value
    with pytest.raises(NotAPicture, match=f"step gave {found}"):
        require_finite(latent, "step")


def test_large_numbers_are_numbers() -> None:
    require_finite(torch.full((1, 4, 64, 64), 3e38), "step")


def decoded(level: int) -> torch.Tensor:
    """What a decoder gives for a picture of this level of 255, a little above."""
    return torch.full((1, 3, 16, 16), 2 * (level + 0.4) / 255 - 1)


@pytest.mark.parametrize("value", [0, 1, 2])
def test_a_black_picture_is_an_error(value: int) -> None:
    with pytest.raises(NotAPicture, match="decode gave black all over"):
        require_picture(decoded(value))


def test_a_night_with_one_light_is_a_picture() -> None:
    picture = decoded(0)
    picture[0, 2, 3, 4] = decoded(3)[0, 2, 3, 4]
    require_picture(picture)


def test_a_picture_of_no_numbers_is_an_error() -> None:
    with pytest.raises(NotAPicture, match="decode gave NaN"):
        require_picture(torch.full((1, 3, 4, 4), float("nan")))
