"""MACs of what fused kernels hide, each worked out by hand, and what stays uncounted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from bench.core.errors import ArchitectureError
from bench.core.metadata import DatasetMetadata, find_products
from bench.models.counts import count_architecture, count_macs
from bench.models.doctor.check import check
from bench.spec import Architecture
from tests.bench.runs import noise

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = torch.zeros(1, 1, 28, 28)


class Rows(nn.Module):
    """The rows of an image as a sequence of 28 steps, then a linear layer on the last state."""

    def __init__(self, kind: Callable[..., nn.Module], *, both: bool = False, layers: int = 1) -> None:
        super().__init__()
        self.rnn = kind(28, 64, num_layers=layers, batch_first=True, bidirectional=both)
        self.out = nn.Linear(64 * (1 + both), 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.out(self.rnn(images[:, 0])[0][:, -1])
        return logits


@pytest.mark.parametrize(
    ("kind", "options", "macs"),
    [
        # A step of a cell is gates · hidden · (input + hidden) MACs: every gate sees the row and the state before.
        (nn.RNN, {}, 28 * 1 * 64 * (28 + 64) + 64 * 10),
        (nn.GRU, {}, 28 * 3 * 64 * (28 + 64) + 64 * 10),
        (nn.LSTM, {}, 28 * 4 * 64 * (28 + 64) + 64 * 10),
        (nn.LSTM, {"both": True}, 2 * 28 * 4 * 64 * (28 + 64) + 128 * 10),
        (nn.LSTM, {"layers": 2}, 28 * 4 * 64 * (28 + 64) + 28 * 4 * 64 * (64 + 64) + 64 * 10),
    ],
)
def test_recurrent_nets(kind: Callable[..., nn.Module], options: dict[str, Any], macs: int) -> None:
    count = count_macs(Rows(kind, **options), IMAGE)
    assert count.total == macs
    assert find_products(count.uncounted_operations) == ()


def test_the_numbers_of_the_recurrent_nets_as_people_know_them() -> None:
    assert count_macs(Rows(nn.LSTM), IMAGE).total == 660_096
    assert count_macs(Rows(nn.LSTM, both=True), IMAGE).total == 1_320_192


class Vit(nn.Module):
    """A small vision transformer of the library's own layers: 16 patches of 7 × 7 and a class token, 32 wide."""

    def __init__(self, *, norm_first: bool = False) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 32, 7, stride=7)
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        tokens = self.embed(images).flatten(2).transpose(1, 2)  # (N, 16, 32)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1)
        logits: Tensor = self.head(self.encoder(tokens)[:, 0])
        return logits


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_transformer_of_the_librarys_layers(*, norm_first: bool) -> None:
    embedding, head = 16 * 49 * 32, 32 * 10
    projections = 17 * 32 * (3 * 32) + 17 * 32 * 32  # queries, keys and values; the output
    attention = 4 * (17 * 8 * 17) + 4 * (17 * 17 * 8)  # scores and their mixtures, four heads of 8
    feed_forward = 17 * 32 * 64 + 17 * 64 * 32
    by_hand = embedding + 2 * (projections + attention + feed_forward) + head
    assert by_hand == 340_928
    count = count_macs(Vit(norm_first=norm_first), IMAGE)
    assert (count.total, find_products(count.uncounted_operations)) == (340_928, ())


class ByHand(nn.Module):
    """Attention by two matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.outward = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, 16, 32) mixed."""
        queries, keys, values = self.inward(tokens).view(-1, 16, 3, 4, 8).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.outward(self.mix(queries, keys, values).transpose(1, 2).reshape(-1, 16, 32))
        return mixed

    def mix(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Each (N, 4, 16, 8)."""
        return (queries @ keys.transpose(-2, -1) / 8**0.5).softmax(-1) @ values


class Fused(ByHand):
    """The same by the fused function."""

    def mix(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Each (N, 4, 16, 8)."""
        return scaled_dot_product_attention(queries, keys, values)


class Library(nn.Module):
    """The same by the library's module."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, 16, 32) mixed."""
        mixed: Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return mixed


class Tokens(nn.Module):
    """16 patches, one attention over them, a linear layer on their mean."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.embed, self.attention, self.head = nn.Linear(49, 32), attention, nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        tokens = self.embed(images.unfold(2, 7, 7).unfold(3, 7, 7).reshape(-1, 16, 49))
        logits: Tensor = self.head((tokens + self.attention(tokens)).mean(1))
        return logits


@pytest.mark.parametrize("attention", [ByHand, Fused, Library])
def test_one_attention_costs_the_same_however_it_is_written(attention: Callable[[], nn.Module]) -> None:
    by_hand = 16 * 49 * 32 + 16 * 32 * 96 + 2 * (4 * 16 * 8 * 16) + 16 * 32 * 32 + 32 * 10
    assert by_hand == 107_328
    count = count_macs(Tokens(attention()), IMAGE)
    assert (count.total, find_products(count.uncounted_operations)) == (107_328, ())


class Function(nn.Module):
    """A function of a 4 × 4 image."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        """Whatever the function gives."""
        return self.function(images)


def complex_flat(images: Tensor) -> Tensor:
    return images.flatten(1).to(torch.cfloat)


COMPLEX = torch.zeros(16, 5, dtype=torch.cfloat)
VECTOR = torch.zeros(16)


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        # A complex product in a matrix product is four real ones: (a + bi)(c + di) = ac − bd + (ad + bc)i.
        (lambda x: complex_flat(x) @ COMPLEX, 4 * 16 * 5),
        (nn.Sequential(Function(complex_flat), nn.Linear(16, 2, dtype=torch.cfloat)), 4 * 16 * 2),
        (lambda x: torch.einsum("bk,ko->bo", complex_flat(x), COMPLEX), 4 * 16 * 5),
        # A complex convolution is run as three real ones: 4 positions, 9 weights, 2 maps each.
        (nn.Sequential(Function(lambda x: x.to(torch.cfloat)), nn.Conv2d(1, 2, 3, dtype=torch.cfloat)), 3 * 4 * 9 * 2),
        (lambda x: COMPLEX.real.T @ x.flatten(), 5 * 16),
        (lambda x: torch.addmv(torch.zeros(5), COMPLEX.real.T, x.flatten()), 5 * 16),
        (lambda x: torch.dot(x.flatten(), VECTOR), 16),
        (lambda x: torch.addbmm(torch.zeros(4, 4), x[0], x[0]), 4 * 4 * 4),
        (lambda x: torch.baddbmm(x[0], x[0], x[0]), 4 * 4 * 4),
    ],
)
def test_complex_products_and_vectors(function: Callable[[Tensor], Tensor], macs: int) -> None:
    count = count_macs(Function(function), torch.zeros(1, 1, 4, 4))
    assert (count.total, find_products(count.uncounted_operations)) == (macs, ())


def test_kernels_are_as_they_were_afterwards_even_when_a_net_raises() -> None:
    def settings() -> tuple[bool, ...]:
        fused = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()
        return bool(torch.backends.mkldnn.enabled), torch.backends.mha.get_fastpath_enabled(), *fused

    before = settings()
    inside = []

    def fail(_: Tensor) -> Tensor:
        inside.append(settings())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        count_macs(Function(fail), IMAGE)
    assert inside == [(False, False, False, False)]
    assert settings() == before


def test_wrappers_of_a_net_change_no_count() -> None:
    count = count_macs(nn.DataParallel(Rows(nn.LSTM)), IMAGE)
    assert (count.total, find_products(count.uncounted_operations)) == (660_096, ())


class Pairs(nn.Module):
    """A bilinear form of 16 and 8 pixels into 3 features, and a linear layer: the counter does not know the form."""

    def __init__(self) -> None:
        super().__init__()
        self.form, self.out = nn.Bilinear(16, 8, 3), nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        pixels = images.flatten(1)
        logits: Tensor = self.out(self.form(pixels, pixels[:, :8]))
        return logits


DATA = DatasetMetadata(
    name="made up", data_hash="0", pool_images=10, test_images=10, validation_images=2, image_shape=(1, 4, 4),
    classes=("0", "1"), mean=(0.0,), deviation=(1.0,), origin="made up",
)  # fmt: skip


def declare(macs: int | None, build: Callable[[], nn.Module] = Pairs) -> Architecture:
    return Architecture(name="pairs", build=build, input_shape=(1, 4, 4), classes=2, macs=macs)


def test_a_product_that_is_not_counted_is_named_and_a_larger_declaration_taken_with_the_difference() -> None:
    counted = check(declare(None), noise(DATA), device="cpu")
    assert (counted.macs, counted.declared_macs, counted.uncounted_products) == (3 * 2, 0, ("_trilinear",))
    # By hand: for each of 3 features 16·8 products with the weights, and 8 with the second pixels; then 6.
    by_hand = 3 * (16 * 8 + 8) + 6
    metadata = check(declare(by_hand), noise(DATA), device="cpu")
    assert (metadata.macs, metadata.declared_macs) == (by_hand, by_hand - 6)
    assert [(row.kind, row.macs) for row in metadata.layers[-1:]] == [("declared, not counted", by_hand - 6)]
    assert sum(row.macs for row in metadata.layers) == metadata.macs
    assert sum(row.params for row in metadata.layers) == metadata.params == 16 * 8 * 3 + 3 + 3 * 2 + 2


@pytest.mark.parametrize("macs", [0, 5])
def test_less_than_what_is_counted_is_refused_all_the_same(macs: int) -> None:
    with pytest.raises(ArchitectureError, match=f"macs={macs} is declared, the net has 6"):
        check(declare(macs), noise(DATA), device="cpu")


def test_where_all_is_counted_no_other_number_is_taken() -> None:
    def linear() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))

    with pytest.raises(ArchitectureError, match="macs=33 is declared, the net has 32"):
        check(declare(33, linear), noise(DATA), device="cpu")


def test_products_are_told_from_what_only_sounds_like_one() -> None:
    products = (
        "mkldnn_rnn_layer _transformer_encoder_layer_fwd _native_multi_head_attention _trilinear _fft_r2c "
        "linalg_inv_ex _cdist_forward _sparse_addmm mylibrary::anything _scaled_dot_product_flash_attention_for_cpu"
    ).split()
    others = (
        "relu max_pool2d_with_indices _native_batch_norm_legit_no_training lgamma cummax resolve_conj mul clone "
        "_convert_indices_from_coo_to_csr upsample_bilinear2d _upsample_bilinear2d_aa linalg_vector_norm "
        "_linalg_check_errors _safe_softmax native_layer_norm profiler::_record_function_exit"
    ).split()
    assert find_products((*products, *others)) == tuple(products)


def test_a_net_is_counted_once_for_each_pass_and_its_layers_add_up() -> None:
    metadata = count_architecture(Architecture(name="vit", build=Vit))
    assert sum(row.macs for row in metadata.layers) == metadata.macs == 340_928
    assert sum(row.params for row in metadata.layers) == metadata.params
    linear = [row.macs for row in metadata.layers if row.name == "encoder.layers.1.linear1"]
    assert linear == [17 * 32 * 64]  # the layers inside the fused one have rows of their own


class Energy(nn.Module):
    """Reads an image beside the slope of an energy there, as energy-based nets do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Softplus(), nn.Linear(64, 1))
        self.read = nn.Linear(784, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.body(images).sum(), images)
        read: Tensor = self.read(slope.flatten(1) + images.flatten(1))
        return read


def test_gradients_taken_in_the_forward_count_where_they_are_taken() -> None:
    counted = count_architecture(Architecture(name="energy", build=Energy))
    there_and_back = 2 * (784 * 64 + 64)  # each weight once on the way to the energy, once on the way to its slope
    assert counted.macs == there_and_back + 784 * 10 == 108_320
    assert {row.name: row.macs for row in counted.layers if row.macs} == {
        "body.1": 50_176, "body.3": 64, "read": 7_840, "": 50_240,
    }  # fmt: skip
