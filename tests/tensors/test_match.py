"""Which names stand for which, what that is called, and how sure it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcli.tensors.causes import find_causes
from modelcli.tensors.compare import compare
from modelcli.tensors.hint import Cause
from modelcli.tensors.key_map import apply_key_map, key_map_document, make_key_map
from modelcli.tensors.match import NamedTensor, Reason, match_names, strip_wrappers

NET = {
    "features.0.weight": (6, 1, 5, 5),
    "features.0.bias": (6,),
    "features.3.weight": (16, 6, 5, 5),
    "features.3.bias": (16,),
    "fc1.weight": (120, 400),
    "fc1.bias": (120,),
    "head.weight": (10, 120),
    "head.bias": (10,),
}


def tensors(shapes, dtype="float32"):
    return [NamedTensor(name=n, shape=tuple(s), dtype=dtype) for n, s in shapes.items()]


def renamed(function, shapes=NET):
    return {function(name): shape for name, shape in shapes.items()}


def diff(a, b, **options):
    difference = compare(tensors(a), tensors(b), **options)
    return difference, find_causes(difference, a="A", b="B")


def pairs(difference):
    return {m.a.name: (m.b.name, m.reason, m.confidence) for m in difference.renamed}


def test_the_same():
    difference, hints = diff(NET, NET)
    assert difference.identical
    assert difference.same == 8
    assert hints == ()


@pytest.mark.parametrize(
    ("name", "plain", "dropped"),
    [
        ("module.fc.weight", "fc.weight", "module."),
        ("_orig_mod.fc.weight", "fc.weight", "_orig_mod."),
        ("module._orig_mod.fc.weight", "fc.weight", "module._orig_mod."),
        ("layers.0._orig_mod.q.weight", "layers.0.q.weight", "_orig_mod."),
        ("a._checkpoint_wrapped_module.b", "a.b", "_checkpoint_wrapped_module."),
        ("encoder.module.weight", "encoder.module.weight", ""),
    ],
)
def test_wrappers(name, plain, dropped):
    assert strip_wrappers(name) == (plain, dropped)


@pytest.mark.parametrize(
    ("prefix", "by"),
    [
        ("module.", "torch.nn.DataParallel or DistributedDataParallel"),
        ("_orig_mod.", "torch.compile"),
        ("module._orig_mod.", "DistributedDataParallel and torch.compile"),
        ("_fsdp_wrapped_module.", "FullyShardedDataParallel"),
    ],
)
@pytest.mark.parametrize("wrapped", ["a", "b"])
def test_a_wrapped_side(prefix, by, wrapped):
    other = renamed(lambda name: prefix + name)
    difference, (hint,) = diff(*((other, NET) if wrapped == "a" else (NET, other)))
    assert {m.reason for m in difference.renamed} == {Reason.WRAPPER}
    assert (difference.only_a, difference.only_b, difference.changed) == ((), (), ())
    assert hint.cause is Cause.WRAPPER
    assert hint.text.startswith(f"8 names of {wrapped.upper()} have '{prefix}' in them")
    assert hint.text.endswith(by)
    assert hint.fix


@pytest.mark.parametrize("prefix", ["model.", "transformer.", "net.encoder."])
def test_a_prefix(prefix):
    difference, (hint,) = diff(NET, renamed(lambda name: prefix + name))
    assert pairs(difference)["fc1.bias"] == (f"{prefix}fc1.bias", Reason.PREFIX, 0.99)
    assert (difference.only_a, difference.only_b) == ((), ())
    assert hint.cause is Cause.PREFIX
    assert hint.text == f"8 names of B have the prefix '{prefix}', which the other side lacks"
    assert hint.fix == f"{{k.removeprefix('{prefix}'): v for k, v in state.items()}}"


def test_a_prefix_that_the_model_has():
    _, (hint,) = diff(renamed(lambda name: "model." + name), NET)
    assert hint.text.startswith("8 names of A have the prefix 'model.'")
    assert hint.fix == "{'model.' + k: v for k, v in state.items()}"


def test_a_prefix_that_was_replaced():
    difference, (hint,) = diff(NET, renamed(lambda n: n.replace("features.", "body.")))
    assert len(difference.renamed) == 4
    assert hint.text == "4 names begin with 'features.' in A and with 'body.' in B"


def test_wrapper_and_another_head():
    other = renamed(lambda name: "module." + name)
    other |= {"module.head.weight": (100, 120), "module.head.bias": (100,)}
    difference, hints = diff(NET, other)
    assert [h.cause for h in hints] == [Cause.WRAPPER, Cause.HEAD]
    assert hints[1].text == "the head 'head' has 10 outputs in A and 100 in B"
    assert [c.a.name for c in difference.changed] == ["head.weight", "head.bias"]


def test_a_vocabulary_is_no_head():
    a = {"wte.weight": (50257, 8), "lm_head.weight": (50257, 8), "h.weight": (8, 8)}
    b = a | {"wte.weight": (50260, 8), "lm_head.weight": (50260, 8)}
    _, (hint,) = diff(a, b)
    assert hint.cause is Cause.VOCABULARY
    assert hint.text == "the vocabulary has 50,257 entries in A and 50,260 in B"


def test_shapes_that_differ_otherwise():
    _, (hint,) = diff(NET, NET | {"fc1.weight": (120, 256)})
    assert hint.cause is Cause.UNRELATED
    assert hint.text.startswith("1 tensor has other shapes")


def test_transposed():
    difference, (hint,) = diff(NET, NET | {"fc1.weight": (400, 120), "head.weight": (120, 10)})
    assert all(changed.transposed for changed in difference.changed)
    assert hint.cause is Cause.TRANSPOSED
    assert hint.text == "2 weights are transposed, as fc1.weight (120, 400) and (400, 120)"


def test_square_weights_are_mentioned_where_others_are_transposed():
    a = {"a.weight": (4, 4), "b.weight": (4, 8)}
    _, (hint,) = diff(a, a | {"b.weight": (8, 4)})
    assert hint.text.endswith("; 1 square ones cannot be told by their shape")


def test_two_renamed_layers():
    difference, (hint,) = diff(
        NET, renamed(lambda n: n.replace("fc1", "dense").replace("head", "out"))
    )
    found = pairs(difference)
    assert found["fc1.weight"] == ("dense.weight", Reason.ONLY_SHAPE, 0.95)
    assert found["head.bias"] == ("out.bias", Reason.ONLY_SHAPE, 0.95)
    assert len(found) == 4
    assert hint.cause is Cause.RENAMED
    assert "dense is fc1 (only one of its shape, confidence 95%)" in hint.text


def test_equal_layers_are_matched_in_order():
    a = {f"block{i}.weight": (8, 8) for i in range(12)}
    b = {f"layer_{i}.weight": (8, 8) for i in range(12)}
    difference, _ = diff(a, b)
    assert pairs(difference) == {
        f"block{i}.weight": (f"layer_{i}.weight", Reason.ORDER, 0.8) for i in range(12)
    }


def test_sorted_names_are_matched_by_their_numbers_with_less_trust():
    a = {f"block{i}.weight": (8, 8) for i in range(12)}
    b = dict(sorted((f"layer_{i}.weight", (8, 8)) for i in range(12)))
    difference, _ = diff(a, b, ordered=False)
    assert pairs(difference)["block11.weight"] == ("layer_11.weight", Reason.ORDER, 0.7)
    assert pairs(difference)["block2.weight"][0] == "layer_2.weight"


def test_order_and_numbers_that_disagree_lower_the_confidence():
    a = {"x1.weight": (8, 8), "x2.weight": (8, 8)}
    b = {"y2.weight": (8, 8), "y1.weight": (8, 8)}
    assert pairs(diff(a, b)[0])["x1.weight"] == ("y2.weight", Reason.ORDER, 0.6)


def test_another_number_of_equal_layers_is_not_guessed():
    a = {f"x{i}.weight": (8, 8) for i in range(3)}
    b = {f"y{i}.weight": (8, 8) for i in range(4)}
    difference, _ = diff(a, b)
    assert len(difference.only_a) == 3
    assert len(difference.only_b) == 4


def test_other_names_of_leaves():
    a = {"norm.weight": (7,), "norm.bias": (7,)}
    difference, _ = diff(a, {"norm.gamma": (7,), "norm.beta": (7,)})
    assert {n: m[0] for n, m in pairs(difference).items()} == {
        "norm.weight": "norm.gamma",
        "norm.bias": "norm.beta",
    }


def test_a_tie_that_is_not_in_the_file():
    model = [*tensors({"wte.weight": (9, 4), "h.bias": (4,)})]
    model.append(
        NamedTensor(name="lm_head.weight", shape=(9, 4), dtype="float32", tied_to="wte.weight")
    )
    difference = compare(model, tensors({"wte.weight": (9, 4), "h.bias": (4,)}))
    assert difference.ties_a == {"lm_head.weight": "wte.weight"}
    (hint,) = find_causes(difference, a="A", b="B")
    assert hint.cause is Cause.TIED
    assert hint.text.startswith("lm_head.weight is tied to wte.weight in A and not in B")
    assert make_key_map(difference).keys["lm_head.weight"] == "wte.weight"
    assert make_key_map(difference).keep == ()


def test_a_tie_of_which_only_the_second_name_is_in_the_file():
    model = tensors({"wte.weight": (9, 4)})
    model.append(
        NamedTensor(name="lm_head.weight", shape=(9, 4), dtype="float32", tied_to="wte.weight")
    )
    difference = compare(model, tensors({"lm_head.weight": (9, 4)}))
    assert difference.ties_a == {"wte.weight": "lm_head.weight"}


@pytest.mark.parametrize(
    ("added", "cause"),
    [
        ({"bn.num_batches_tracked": ()}, Cause.COUNTERS),
        ({"q.lora_A.default.weight": (8, 4)}, Cause.ADAPTER),
        ({"q.qweight": (4, 5), "q.scales": (3,)}, Cause.QUANTISED),
    ],
)
def test_what_is_left_over(added, cause):
    _, (hint,) = diff(NET, NET | added)
    assert hint.cause is cause


def test_another_dtype():
    difference = compare(tensors(NET), tensors(NET, "bfloat16"))
    (hint,) = find_causes(difference, a="A", b="B")
    assert hint.cause is Cause.DTYPE
    assert hint.text == "8 tensors are float32 in A and bfloat16 in B"
    assert len(difference.changed) == 8


def test_unrelated_models():
    _, (hint,) = diff({"a.weight": (3, 4)}, {"z.weight": (9, 8)})
    assert hint.cause is Cause.UNRELATED


def test_key_map_in_both_directions():
    other = renamed(lambda n: "module." + n, NET) | {"module.head.weight": (100, 120)}
    other["module.extra"] = (3,)
    into_a = make_key_map(diff(NET, other)[0])
    into_b = make_key_map(diff(other, NET)[0], into="b")
    assert into_a == into_b
    assert into_a.keys["fc1.weight"] == "module.fc1.weight"
    assert into_a.keep == ("head.weight",)
    assert set(into_a.drop) == {"module.head.weight", "module.extra"}


def test_applying_a_key_map_turns_what_is_transposed():
    import numpy as np

    difference, _ = diff({"fc.weight": (2, 3)}, {"fc.weight": (3, 2)})
    document = key_map_document(make_key_map(difference), model="m", checkpoint="c", key="")
    state = {"fc.weight": np.arange(6).reshape(3, 2)}
    assert apply_key_map(state, document)["fc.weight"].tolist() == [[0, 2, 4], [1, 3, 5]]


_names = st.lists(
    st.text("ab.01", min_size=1, max_size=8), unique=True, max_size=12
)  # fmt: skip


@given(a=_names, b=_names, ordered=st.booleans())
def test_every_name_is_matched_at_most_once(a, b, ordered):
    side_a = tensors({name: (len(name),) for name in a})
    side_b = tensors({name: (len(name),) for name in b})
    matches = match_names(side_a, side_b, ordered=ordered)
    assert len({m.a.name for m in matches}) == len({m.b.name for m in matches}) == len(matches)
    assert {n for n in a if n in b} <= {m.a.name for m in matches}
    assert all(0.3 < m.confidence <= 1 for m in matches)


def test_twenty_thousand_names():
    shapes = {
        f"model.layers.{i}.mlp.{n}.weight": (8, 8) for i in range(5000) for n in ("up", "down")
    }
    other = renamed(
        lambda n: n.replace("model.layers", "module.blocks").replace("up", "w1"), shapes
    )
    difference, _ = diff(shapes, other)
    assert len(difference.renamed) == 10000
    assert pairs(difference)["model.layers.7.mlp.up.weight"][0] == "module.blocks.7.mlp.w1.weight"
