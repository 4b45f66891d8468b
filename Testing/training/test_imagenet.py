"""ImageNet weights in timm's names: into our encoder, by a network that has those names and is written out in torch."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from KneeSegLib.errors import InputError
from KneeSegLib.networks.resnet_unet import ResNetEncoder, ResNetUNet
from KneeSegLib.training.imagenet import load_imagenet_encoder, spread_over_channels
from KneeSegLib.training.initialisation import initialise_network
from KneeSegLib.training.recipe_files import read_recipe

WIDTH = 4


class PlainBlock(nn.Module):
    def __init__(self, before: int, middle: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, middle, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(middle), nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.norm3, self.conv3 = nn.BatchNorm2d(middle), nn.Conv2d(middle, 4 * middle, 1, bias=False)
        if before != 4 * middle:
            self.downsample = nn.Sequential()
            self.downsample.add_module("conv", nn.Conv2d(before, 4 * middle, 1, stride, bias=False))

    def forward(self, x):
        ready = self.norm1(x).relu()
        y = self.conv1(ready)
        y = self.conv2(self.norm2(y).relu())
        y = self.conv3(self.norm3(y).relu())
        return y + (self.downsample(ready) if hasattr(self, "downsample") else x)


class PlainResNet(nn.Module):
    """ResNet50V2 with the names of timm's resnetv2_50, head included."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        self.stem.add_module("conv", nn.Conv2d(3, width, 7, 2, 3, bias=False))
        self.stages = nn.Sequential()
        before = width
        for stage, count in enumerate((3, 4, 6, 3)):
            middle, blocks = width * 2**stage, []
            for block in range(count):
                blocks.append(PlainBlock(before, middle, 2 if stage and not block else 1))
                before = 4 * middle
            holder = nn.Module()
            holder.blocks = nn.Sequential(*blocks)
            self.stages.append(holder)
        self.norm = nn.BatchNorm2d(before)
        self.head = nn.Module()
        self.head.fc = nn.Conv2d(before, 10, 1)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.stem(x), 3, 2, 1)
        for stage in self.stages:
            x = stage.blocks(x)
        return self.norm(x).relu()


@pytest.fixture(scope="module")
def photographs():
    torch.manual_seed(0)
    network = PlainResNet(WIDTH)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    return network.eval()


@pytest.fixture(scope="module")
def weights(photographs, tmp_path_factory):
    path = tmp_path_factory.mktemp("imagenet") / "model.safetensors"
    save_file(photographs.state_dict(), path)
    return path


def test_with_timms_weights_the_encoder_gives_what_timms_network_gives(photographs, weights):
    encoder = ResNetEncoder(3, WIDTH)
    load_imagenet_encoder(encoder, weights)
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        found, expected = encoder.eval()(image), photographs(image)
    assert [tuple(features.shape[1:]) for features in found] == [
        (4, 32, 48), (16, 16, 24), (32, 8, 12), (64, 4, 6), (128, 2, 3),
    ]  # fmt: skip
    assert torch.allclose(found[-1], expected, atol=1e-4 * float(expected.abs().max()))


def test_at_its_own_width_it_has_the_parameters_of_a_resnet50v2_without_its_head():
    """25 549 352 with the classifier of 1000 classes."""
    with torch.device("meta"):
        encoder = ResNetEncoder(3)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 25_549_352 - (2048 * 1000 + 1000)


def test_seven_channels_that_show_the_same_get_the_response_of_the_three_colours(photographs):
    weight = photographs.stem.conv.weight.detach()
    assert torch.equal(spread_over_channels(weight, 3), weight)
    six = spread_over_channels(weight, 6)
    assert torch.allclose(six.sum(1), weight.sum(1), atol=1e-6)
    seven = spread_over_channels(weight, 7)
    assert torch.allclose(seven[:, 6], weight[:, 0] * 3 / 7) and torch.allclose(seven[:, 1], weight[:, 1] * 3 / 7)


def small(path, **changes):
    entries = {"encoder": "resnet50v2", "encoder_width": WIDTH, "encoder_weights": str(path), "widths": [4] * 6}
    return read_recipe("ct-knee", **{**entries, **changes})


def test_a_recipe_starts_from_the_weights_it_names_and_a_bundle_tells_no_path(photographs, weights):
    recipe = small(weights)
    network, origin = initialise_network(recipe)
    assert isinstance(network, ResNetUNet)
    assert torch.equal(network.encoder.norm.N.weight, photographs.norm.weight)
    assert network.encoder.stem.conv.in_channels == 7
    assert network(torch.zeros(2, 7, 64, 32)).shape == (2, len(recipe.classes), 64, 32)
    assert origin == "fresh weights, the encoder's of ImageNet (model.safetensors)"
    assert recipe.as_dict()["encoder_weights"] == "model.safetensors"


def test_without_them_it_starts_from_random_weights(photographs):
    network, origin = initialise_network(small(""))
    assert origin == "" and not torch.equal(network.encoder.norm.N.weight, photographs.norm.weight)


def test_a_file_that_is_not_there_or_holds_something_else_is_named(tmp_path, photographs, weights):
    with pytest.raises(InputError, match=r"expected at .*absent.safetensors, where no file is; give the path of timm"):
        initialise_network(small(tmp_path / "absent.safetensors"))
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(InputError, match="are no safetensors file"):
        initialise_network(small(tmp_path / "text.safetensors"))
    with pytest.raises(InputError, match=r"not those of a ResNet50V2 \(stem.conv.weight does not fit\)"):
        initialise_network(small(weights, encoder_width=2 * WIDTH))
    save_file({**photographs.state_dict(), "stages.3.blocks.3.conv1.weight": torch.zeros(1)}, tmp_path / "more")
    with pytest.raises(InputError, match=r"\(stages.3.3.residual.0.conv.weight does not fit\)"):
        initialise_network(small(tmp_path / "more"))


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("ct-knee", {"encoder_weights": "x"}, "belong to encoder: resnet50v2"),
        ("ct-knee", {"encoder": "resnet50v2", "widths": [4, 4]}, "networks of slices with 6 widths"),
        ("ct-naming", {"encoder": "resnet50v2"}, "networks of slices with 6 widths"),
    ],
)
def test_recipes_that_make_no_such_network_are_refused(name, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        read_recipe(name, **changes)
