"""What a user, a stranger or a slip of the finger may put where a value belongs."""

from __future__ import annotations

from attack.child import ESCAPE

INTS = (
    "0", "-1", "1", "2", "3", "7", "-0", "+1", " 1", "1 ", "01", "1_000", "1e3", "1.0", "0x10", "٣",
    "²", "9" * 23, "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "2147483648", "4294967296", "nan", "inf", "-inf", "None", "true", "", "abc", "1,2", "1;2",
    "9" * 5000, "١٢٣", "1" + "0" * 400,
)  # fmt: skip
FLOATS = (
    *INTS, "0.5", "-0.5", "1e-400", "1e400", "1e308", "-1e308", "1e-45", "NaN", "Infinity", ".5",
    "5.", "0.1.2", "1/2", "½",
)  # fmt: skip
STRINGS = (
    "", " ", "-", "--", "---", "x", "\t", "\n", "a\nb", ESCAPE, "[bold]x[/bold]", "[/]", "[red",
    "é", "日本語", "🔥" * 30, "x" * 100_000, "%s%n", "{}", "{0.__class__}", "$(touch pwned)",
    "`touch pwned`", "; touch pwned", "../../etc/passwd", "\udcff", "=cmd()", "a=b", "=", "==",
    "a=", "=b", "'", '"', "\\", "*", "**", "[", "]", "[!", "?", "(", "(" * 300, "[" * 300,
    "{" * 300, "con", "nul", "None", "\u202eabc", "\u200b", "a\rb", "__class__",
    "__import__('os').system('touch pwned')", "lambda: 1", "9" * 4301, "a" * 5000,
)  # fmt: skip
SHAPES = (
    "0x0", "1x0x3x3", "0x3x32x32", "1e9x1e9", "1000000000x1000000000", "-1x3x3", "x", "xx", "1x",
    "x1", "1xx3", "1x3x224x224x", "1×3×32×32", "1X3X32X32", "1,3,32,32", "(1,3,32,32)",
    "1x1x32x32", "1x1x28x28", "1x784", "2x10", "1x8", "1.5x3", "float32:", ":float32",
    "float33:1x3", "x:float32:1x1x32x32", "x:y:z:1x3", ":::", "int64:1x128", "bool:1x1x32x32",
    "complex64:1x1x32x32", "float8_e4m3fn:1x1x32x32", "quint8:1x1x32x32", "string:1x3",
    "torch.float32:1x1x32x32", "float32:1x1x32x32:3", "x".join(["1"] * 70), "x".join(["2"] * 64),
    "9223372036854775807", "9223372036854775808x2", "4294967296x4294967296", "1x1x" + "9" * 30,
    "1x1x1x1", "1x1x100000x100000", "100000x1x32x32", "٣x٣", "1 x 1 x 32 x 32",
    "self:1x1x32x32", "1x1x32x32,1x1x64x64", "3x32x32", "32", "scalar", "()", "x:", "=1x1",
    "input:float16:1x1x32x32", "NaNxNaN", "infx1", "0", "1", "good.npy", "bad.npy", "huge.npy",
    "object.npy", "good.npz", "bad.npz", "x:good.npy", "bad.png", "bad.wav", "fifo.npz",
    "zero.npz", "dir.npz", "missing.npy", "xy.safetensors", "bad.safetensors", "zipbomb.npz",
)  # fmt: skip
MODELS = (
    "lenet", "mlp", "linear", "alexnet", "autoencoder", "functional-linear", "dict-dense",
    "shared", "parallel", "nest-mlp", "centered",
)  # fmt: skip
TARGETS = (
    *MODELS, "lenett", "LENET", "len et", "net.py:Net", "net.py:", "net.py", "net.py:Nope",
    "net.py:1x", "net.py:Net:Net", ":Net", "nope.py:Net", "syntax.py:Net", "raises.py:Net",
    "exits.py:Net", "prints.py:Net", "notmodel.py:THING", "notmodel.py:Plain", "notmodel.py:none",
    "deep.py:x", "good.ipynb:Net", "bad.ipynb:Net", "os:system", "os.path:join", "sys:exit",
    "builtins:print", "builtins:exec", "torch.nn:Linear", "torch.nn:Identity", "torch.nn:ReLU",
    "torch.nn:LSTM", "torch:Tensor", "json:JSONDecoder", "..:x", ".a:b", "a..b:c", "a.b.:c",
    "torchvision:nope", "torchvision:", "timm:", "timm:../../x", "hf:", "hf:nope", "hf:.",
    "hf:hfdir", "hf:hfremote", "hf:hfbad", "hf:../../etc", "hf:config_bad.json", "hf:/",
    "good.toml", "bad.toml", "dir.toml", "loop.toml", "nul.toml", "empty.toml", "list.toml",
    "deep.toml", "digits.toml", "huge.toml", "utf16.toml", "types.toml", "unknown.toml",
    "self.toml", "missing.toml", "good.safetensors", "bad.safetensors", "empty.safetensors",
    "good.pt", "net.pt", "bad.pt", "evil.pt", "empty.pt", "dir.pt", "fifo.pt", "sock.pt",
    "zero.pt", "null.pt", "broken.pt", "loop.pt", "noread.pt", "fifo.toml", "zero.toml",
    "fifo.py:Net", "zero.py:Net", "dir.py:Net", "broken.py:Net", "/dev/zero", "/dev/null",
    "/dev/stdin", "/dev/full", "/proc/self/mem", "/", ".", "..", "~", "sub", "manyfiles",
    "good.safetensors.index.json", "escape.safetensors.index.json", "bad.safetensors.index.json",
    "C:\\x.pt", "http://localhost/x.pt", "s3://b/x", "file:///etc/passwd", "/nope/nope/nope.pt",
    "a" * 300 + ".pt", "a/" * 3000 + "x.pt", "x\x01y.pt",
)  # fmt: skip
FILES = tuple(target for target in TARGETS if "." in target and ":" not in target)
TOMLS = (*(t for t in TARGETS if t.endswith(".toml")), "expect.toml", "expect_bad.toml")
COMPARED = (
    "*-dense", "lenet", "mlp", "kept.json", "bad.json", "empty.json", "deep.json", "rows_bad.json",
    "dir.json", "fifo.json", "zero.json", "timm:nope*", "[", "good.pt", "net.py:Net",
)  # fmt: skip
DATA = (
    "prototypes", "linear", "reconstruction", "teacher", "digits", "nope", "good.npz", "bad.npz",
    "empty.npz", "object.npz", "missing.npz", "dir.npz", "fifo.npz", "zero.npz", "text.npz",
    "short.npz", "nan.npz", "good.csv", "good.txt", "binary.txt", "good.safetensors",
    "bad.safetensors", "xy.safetensors", "zipbomb.npz", "noread.npz",
)  # fmt: skip
LAYERS = (
    "conv:64,k7,s2,p3", "conv:6,k5", "bn", "relu", "maxpool:k3,s2,p1", "maxpool:k2", "flatten",
    "linear:10", "conv:", "conv", "conv:0,k0", "conv:-1,k-1", "conv:64,k0", "conv:64,k7,s0",
    "conv:64,k7,p-3", "conv:64,k7,d0", "conv:1e9,k3", "conv:64,k999999999", "conv:64,k3,g7",
    "conv:64,k3,k3", "conv:64,q9", "convv:64", "pool", "adaptive:1", "avgpool:k2", "deconv:3,k2",
    "upsample:2", "upsample:0", "dropout:2", "conv:" + "9" * 5000 + ",k3", "conv:64,k3x",
    "conv:64,k3x3x3", "conv:64,ksame", "conv:64,k3,psame,s2", "linear:0", "linear:-5", "=", ":",
    ",", "conv:64,,k3", "conv:64;k3", "conv:é,k3", "conv:64,k٣", "lstm:8", "unfold:k3",
    "shuffle:2", "resize:0",
)  # fmt: skip
PATHS = (
    "out.svg", "out.png", "out.txt", "out", "sub", "sub/out.svg", "nodir/deep/out.svg",
    "/dev/full", "/dev/null", "/dev/null/x", "good.toml", "fifo.pt", "noread.pt", "", ".", "..",
    "/", "/proc/x", "/nope/x.svg", "a" * 300, "a" * 300 + ".svg", "out\n.svg", ESCAPE + ".svg",
    "broken.pt", "file.txt/x.svg", "out.json", "out.html", "kept.html", "out.dot", "out.mmd",
)  # fmt: skip
RUNS = (
    "run_good", "run_bad", "run_empty", "run_junk", "run_huge", "nope", "good.toml", "/dev/zero",
    "/", ".", "", "run_good/metrics.jsonl", "run_dir", "sub", "run_step", "run_nan",
)  # fmt: skip
GIVEN = (
    "1,2,3,4", "[[1,2],[3,4]]", "1,2,3", "[[1,2],[3]]", "[", "]", "nan", "inf,1", "1e400,2",
    "1,,2", "randn", "ones", "arange", "rand", "zeros", "good.npz", "bad.npz", "object.npz",
    "short.npz", "xy.safetensors", "bad.safetensors", "dir.npz", "fifo.npz", "zero.npz", "bad.png",
    "good.npy", "bad.npy", "huge.npy", "object.npy", "missing.npy", "empty.npz", "zipbomb.npz",
    "evil.pt", "", "x", "[" * 2000, "9" * 400, "0," * 30_000, "None", "True,False", "1;2",
    "8,8,8,8,8,8,8,8", ESCAPE,
)  # fmt: skip
SIZES = (
    "24GB", "24GiB", "rtx-4090", "0", "-1GB", "1e400GB", "nanGB", "infGB", "GB", "24", "24XB",
    "rtx", "9" * 400 + "GB", "9" * 300, "1_0GB", "24 GB", "0x10GB", "1e-9GB", "", "٣GB", ESCAPE,
)  # fmt: skip
RATES = (
    "400Gb", "50GB", "900GB", "989T", "312e12", "0", "-1Gb", "nanT", "1e400T", "1e308GB", "T", "",
    "b", "989", "9" * 400 + "T", ESCAPE,
)  # fmt: skip
FACTORIES = (
    "net.py:batch", "net.py:Net", "net.py:nope", "net.py", "", "raises.py:f", "syntax.py:f",
    "exits.py:f", "notmodel.py:THING", "os:system", "fifo.py:f", "net.py:gives_none",
    "net.py:raises", ESCAPE,
)  # fmt: skip
