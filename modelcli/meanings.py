"""What people type for what we call otherwise: asked before spelling, which knows no meaning.

A word may mean several things; of those only what is on offer where it was typed is suggested. An
option may be meant with a value, as ``--device cuda``. Imports no torch.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

# What is meant, and the words that are typed for it: lower case, "-" for "_".
_COMMANDS = (
    (
        "summary",
        "info describe show inspect print torchinfo view cat explain flops",
    ),
    ("params", "parameters weights tensors state-dict statedict count layers ckpt checkpoint"),
    ("shapes", "shape size sizes receptive-field rf solve conv featuremaps feature-maps"),
    ("check", "lint verify doctor validate test debug analyze analyse"),
    ("diff", "cmp vs"),
    ("compare", "comparison benchmark sweep leaderboard rank table scatter"),
    (
        "time",
        "bench benchmark latency speed throughput profile profiler timeit perf bottleneck fps",
    ),
    ("train", "fit learn optimize optimise finetune"),
    ("plot", "curve curves chart draw loss tensorboard"),
    ("list", "ls models zoo names"),
    ("env", "version versions collect-env environment system devices"),
    ("run", "forward predict infer eval evaluate exec execute output backward"),
)
_OPTIONS = (
    ("--runs", "--repeats --repeat --reps --n-runs --num-runs --iters --iterations --num-iter"),
    ("--threads", "--num-threads --nthreads --n-threads --cpus --intra-op --num-workers"),
    ("--by layer", "--layers --per-layer --by-layer --breakdown --layerwise --parts"),
    ("--engine graph", "--cuda-graph --cuda-graphs --cudagraph --cudagraphs"),
    ("--trace", "--profile --profiler --chrome-trace --trace-file --export-trace"),
    ("--device cuda", "--gpu --cuda --gpus --use-gpu --use-cuda"),
    ("--device cpu", "--cpu --no-cuda --no-gpu"),
    ("--device mps", "--mps --metal"),
    ("--batch-size", "--bs --batch --batchsize --n-batch --minibatch --train-batch-size"),
    ("--input", "--shape --size --in --inputs --input-shape --input-size --input-shapes --inp "
                "--image-size --img-size --imgsz --input-data --x"),
    ("--steps", "--iters --iterations --iter --max-steps --num-steps --n-steps --max-iter"),
    ("--epochs", "--num-epochs --max-epochs --n-epochs --ep"),
    ("--lr", "--learning-rate --learningrate --rate --eta"),
    ("--optimizer", "--optim --opt --optimiser --solver"),
    ("--weight-decay", "--wd --l2 --decay"),
    ("--loss", "--criterion --loss-fn --objective --loss-function"),
    ("--data", "--dataset --data-set --train-data --task"),
    ("--schedule", "--scheduler --lr-scheduler --lr-schedule --sched"),
    ("--clip", "--grad-clip --clip-grad --max-grad-norm --clip-norm --gradient-clip"),
    ("--accumulate", "--grad-accum --accum --accumulation --gradient-accumulation-steps"),
    ("--validation", "--val --val-split --valid --test-split --holdout"),
    ("--out", "--output --output-dir --out-dir --outdir --save --save-dir --logdir --log-dir "
              "--run-dir --dir --file --output-file --save-to --checkpoint-dir"),
    ("--picture", "--out --file --save --output-file --svg --png --image"),
    ("--seed", "--random-seed --manual-seed --rng --random-state"),
    ("--dtype", "--precision --type --data-type"),
    ("--amp bf16", "--bf16 --bfloat16"),
    ("--amp fp16", "--fp16 --half --mixed-precision --autocast"),
    ("--depth", "--levels --max-depth --level --max-level"),
    ("--mode train", "--train --training --train-mode"),
    ("--mode eval", "--eval --evaluation --inference --eval-mode"),
    ("--set KEY=VALUE", "--param --arg --args --kwargs --model-kwargs --model-args --override"),
    ("--set num_classes=N", "--num-classes --classes --nclasses"),
    ("--kwarg", "--forward-kwargs --forward-arg --call"),
    ("--config", "--conf --cfg --config-file --toml --yaml"),
    ("--resume", "--continue --restart --restore --load --from-checkpoint"),
    ("--match", "--filter --grep --pattern --name --only --glob --search"),
    ("--select", "--rule --only --enable --include"),
    ("--ignore", "--disable --exclude --skip"),
    ("--values", "--print --show-values --data --tensor --value --verbose-values"),
    ("--stats", "--statistics --stat --mean --std --histogram"),
    ("--trainable", "--requires-grad --frozen"),
    ("--init", "--initialize --initialise --initializer --weights-init"),
    ("--metric", "--key --value --metrics --y"),
    ("--plot", "--draw --pyramid --graph --figure"),
    ("--key", "--prefix --state-dict --entry"),
    ("--layers", "--vocabulary --words"),
    ("--output", "--target-size --want --out-size --goal"),
    ("--backward", "--grad --gradients --with-backward"),
    ("--overfit", "--overfit-batch --overfit-batches --sanity"),
    ("--dry-run", "--dryrun --print-config --show-config --check-config"),
    ("--channels-last", "--nhwc --memory-format"),
    ("--engine compile", "--compile --torch-compile --jit"),
    ("--log-every", "--log-interval --print-every --print-freq --log-freq"),
    ("--checkpoint-every", "--save-every --save-interval --checkpoint-interval --ckpt-every"),
    ("--format json", "--json --as-json"),
    ("--format tsv", "--tsv --csv"),
    ("--format md", "--md --markdown"),
    ("--quiet", "--silent --no-progress --no-color"),
    ("--verbose", "--debug --vv --details --full"),
    ("--help", "--usage --man --options"),
    ("--version", "-v --ver"),
)  # fmt: skip
_LAYERS = (
    ("maxpool", "pool pooling mp subsample downsample"),
    ("avgpool", "pool pooling ap averagepool meanpool subsample"),
    ("adaptiveavg", "adaptive adaptivepool aap spp"),
    ("adaptivemax", "adaptive adaptivepool amp"),
    ("gap", "globalpool globalavg global globalaverage"),
    ("convT", "tconv convtr transconv transposedconv transpose-conv conv-transpose deconvolution "
              "upconv ct"),
    ("dwconv", "depthwise dw dconv depthwiseconv separable"),
    ("upsample", "up upscale upsampling bilinear nearest interp scale unpool"),
    ("leakyrelu", "lrelu leaky"),
    ("linear", "lin mlp affine full fullyconnected head classifier"),
    ("bn", "norm normalization normalisation batch-normalization"),
    ("gn", "group"),
    ("ln", "norm layer"),
    ("flatten", "flat view reshape squeeze"),
    ("pad", "padding reflectionpad"),
    ("relu", "act activation rectifier"),
    ("sigmoid", "logistic sigm"),
    ("pixelshuffle", "shuffle ps subpixel depth-to-space"),
    ("pixelunshuffle", "space-to-depth"),
    ("unfold", "im2col patch patches"),
    ("fold", "col2im"),
    ("dropout", "do dropout2d"),
    ("identity", "skip noop pass"),
)  # fmt: skip
_NAMES = (
    # optimisers
    ("adamw", "adam-w"),
    ("sgd", "gd momentum gradient-descent stochastic-gradient-descent"),
    # losses
    ("cross_entropy", "xent crossent softmax categorical logloss log-loss classification"),
    ("mse", "l2 squared mean-squared-error euclidean rmse regression"),
    ("l1", "absolute mean-absolute-error"),
    ("bce_with_logits", "binary binary-cross-entropy sigmoid focal"),
    ("nll", "likelihood negative-log-likelihood"),
    ("huber", "robust"),
    # schemes of torch.nn.init
    ("kaiming_normal", "he kaiming he-normal msra"),
    ("kaiming_uniform", "he kaiming he-uniform"),
    ("xavier_uniform", "glorot xavier glorot-uniform"),
    ("xavier_normal", "glorot xavier glorot-normal"),
    ("normal", "gaussian randn gauss"),
    ("uniform", "rand random"),
    ("zeros", "zero 0 null"),
    ("ones", "one 1"),
    ("eye", "identity"),
    ("trunc_normal", "truncated"),
    # data
    ("digits", "mnist optdigits sklearn images"),
    ("prototypes", "classification random fake synthetic cifar cifar10 cifar100 imagenet blobs"),
    ("linear", "regression"),
    ("reconstruction", "autoencoder copy identity"),
    ("teacher", "distillation student"),
    # schedules, devices, engines, element types
    ("cosine", "cosineannealing cos cosine-annealing onecycle"),
    ("step", "steplr multistep"),
    ("constant", "none const flat fixed"),
    ("bf16", "bfloat16"),
    ("fp16", "float16 half"),
    ("bfloat16", "bf16 brainfloat"),
    ("float16", "fp16 half f16"),
    ("float32", "fp32 single f32 float"),
    ("float64", "fp64 double f64"),
    ("int64", "long i64"),
    ("uint8", "byte u8"),
    ("bool", "boolean mask"),
    # formats
    ("md", "markdown"),
    ("tsv", "csv text"),
    # metrics
    ("accuracy", "acc top1"),
    ("samples_per_s", "speed throughput"),
    # keys of a configuration, arguments of a constructor
    ("lr", "learning-rate"),
    ("optimizer", "optim opt"),
    ("batch_size", "bs batch batchsize"),
    ("steps", "iters iterations max-steps"),
    ("num_classes", "classes n-classes nclasses class-num"),
    ("weight_decay", "wd decay"),
    ("betas", "beta1 beta2"),
    # suffixes of pictures
    (".png", ".jpg .jpeg .bmp .gif .webp"),
    (".svg", ".pdf .eps .ps .html"),
    # models and their libraries
    ("autoencoder", "ae vae"),
    ("lenet", "lenet5 lenet-5"),
    ("hf", "huggingface transformers hub"),
    ("torchvision", "tv vision"),
)  # fmt: skip

# Architectures of which nobody here has one, and which are spelled like others that are here.
STRANGERS = frozenset("convnet efficientdet facenet pointnet segnet unet vnet wavenet".split())


Kind = Literal["command", "option", "layer", "name"]


def _invert(rows: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for meant, typed in rows:
        for word in typed.split():
            found[word] = (*found.get(word, ()), meant)
    return found


@functools.cache
def meanings(kind: Kind) -> Mapping[str, tuple[str, ...]]:
    """Return what each typed word may mean, likeliest first, among names of one kind."""
    return _invert(_TABLES[kind])


_TABLES: dict[Kind, tuple[tuple[str, str], ...]] = {
    "command": _COMMANDS,
    "option": _OPTIONS,
    "layer": _LAYERS,
    "name": _NAMES,
}
