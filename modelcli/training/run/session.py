"""A run under way: watched, evaluated, saved, interrupted, continued."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping

from modelcli.config import Resolved, dump_config
from modelcli.errors import ModelcliError, RunFailedError, describe
from modelcli.training.distributed.batches import PartBatches
from modelcli.training.distributed.failures import peer_error
from modelcli.training.engine.choose import choose_engine
from modelcli.training.engine.step import Engine, NonFiniteLossError
from modelcli.training.run.diagnose import (
    describe_culprit,
    explain_memory,
    find_culprit,
    first_nonfinite,
)
from modelcli.training.run.ending import DivergedError, NonFiniteWeightsError, StoppedError
from modelcli.training.run.epochs import Epochs
from modelcli.training.run.evidence import measure_shape
from modelcli.training.run.loop import InterruptedRunError, Loop, Progress
from modelcli.training.run.measure import evaluate
from modelcli.training.run.observer import Observer, Point
from modelcli.training.run.prepare import Run, prepare_memory_format, seed_drawing
from modelcli.training.run.result import Record, make_record
from modelcli.training.run.watch import Watch, Watched
from modelcli.training.store.curves import CurveWriter
from modelcli.training.store.run_dir import RunDir
from modelcli.training.store.saver import Saver


class Session(Observer):
    """Trains a prepared run.

    Args:
        run: what to train.
        observer: is told what happens.
        directory: where to write, or None.
        sources: where the configuration's values came from, for ``config.toml``.
        narrate: tell what the first step does.
        allow_changed: continue although the code, the data or the configuration changed.
    """

    def __init__(
        self,
        run: Run,
        observer: Observer,
        *,
        directory: RunDir | None = None,
        sources: Mapping[str, str] | None = None,
        narrate: bool = False,
        allow_changed: bool = False,
    ) -> None:
        self.run = run
        self._observer = observer
        self._directory = directory
        self._sources = dict(sources or {})
        self._narrate = narrate
        self._watch = Watch(run.trained.model) if run.config.train.watch else None
        self._watched: list[Watched] = []
        self._epochs = Epochs(run)
        self._curves: CurveWriter | None = None
        self._engine: Engine | None = None
        self._progress = Progress()
        self._shape: float | None = None  # what outputs and targets share before the first step
        self._saver: Saver | None = None
        if directory is not None:
            self._saver = Saver(run, directory, observer.note, allow_changed=allow_changed)

    def train(self, *, resume: bool = False) -> Record:
        """Train to the end and return the record.

        Raises:
            DivergedError: the loss stopped being finite.
            RunFailedError: the forward raised, memory ran out, or a disk was full.
            StoppedError: a signal ended the run.
        """
        try:
            with explain_memory(self.run.config.train.batch_size, self.run.fitting):
                return self._train(resume=resume)
        except NonFiniteLossError as error:
            raise self._diverged(error) from None
        except NonFiniteWeightsError as error:
            raise self._diverged_weights(str(error)) from None
        except InterruptedRunError as stop:
            raise self._stopped(stop.signum, self._record_so_far()) from None
        except KeyboardInterrupt:
            if self._saver is None or self._saver.saved_step < self.run.steps:
                raise
            raise self._stopped(signal.SIGINT, None) from None
        except ModelcliError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's forward raises meanwhile
            step = self._progress.step
            doing = f"step {step + 1} of" if step < self.run.steps else "measuring"
            lost = peer_error(error, self.run.world, doing)
            if lost is not None:
                raise lost from error
            raise RunFailedError(
                f"{doing} '{self.run.config.model.target}' failed: {describe(error)}",
                "MODELCLI_DEBUG=1 shows where",
            ) from error

    def _train(self, *, resume: bool) -> Record:
        run, config = self.run, self.run.config
        seed_drawing(config.train.seed, run.world)
        prepare_memory_format(run, self._observer.detail)
        self._engine = choose_engine(
            config.train.engine,
            run.learner,
            accumulate=config.train.accumulate,
            schedule=config.schedule,
            tell=self._observer.note,
        )
        self._shape = measure_shape(run)
        with run.world.together():
            if resume and self._saver is not None:
                self._progress = self._saver.restore()
            self._open_files()
        batches = PartBatches(
            run.data,
            batch_size=config.train.batch_size,
            seed=config.train.seed,
            same=config.train.overfit,
            world=run.world,
        )
        plan = run.plan(narrate=self._narrate)
        loop = Loop(run.learner, self._engine, batches, plan, self, self._progress)
        try:
            loop.run()
        except InterruptedRunError:
            self._save(loop)
            raise
        self._save(loop)
        if self._saver is not None:
            self._saver.export(self._progress.step)
        record = make_record(
            run,
            self._progress,
            engine=self._engine,
            watched=self._watched,
            shape_before=self._shape,
        )
        if self._curves is not None:
            self._curves.close()
        return record

    # What the loop tells.

    def point(self, point: Point) -> None:
        """Pass a point on, and write it down."""
        self._observer.point(point)
        if self._curves is not None:
            self._curves.point(point)

    def tick(self, step: int) -> None:
        """Pass on that time has passed."""
        self._observer.tick(step)

    def detail(self, text: str) -> None:
        """Pass on what only a verbose run says."""
        self._observer.detail(text)

    # When the loop stops, and what is done there.

    def next_stop(self, step: int) -> int:
        """Return the next step at which something is to be done."""
        stops = [self.run.steps]
        end = self._epochs.end(step)
        if self._watch is not None:
            stops.append(end - 1 if step < end - 1 else end)
        if self.run.config.train.epochs is not None:
            stops.append(end)
        if self._saver is not None:
            stops.append(self.run.world.decide(self._saver.next_stop(self._progress)))
        return min(stop for stop in stops if stop > step)

    def at(self, step: int, loop: Loop) -> None:
        """Do what is due after a step."""
        epoch_ends = step == self._epochs.end(step - 1)
        if self._watch is not None:
            if epoch_ends:
                factor = self.run.learner.clip_factor()
                rows = self._watch.look(
                    step=step, epoch=self._epochs.number(step), clip_factor=factor
                )
                self._watched += rows
                self._observer.watched(rows)
            if step + 1 == self._epochs.end(step):
                self._watch.snapshot()
        if epoch_ends and self._epochs.exist and self.run.config.train.epochs is not None:
            self._score(step)
        if self._saver is not None and step < self.run.steps and self._is_due(step):
            self._save(loop)

    def _is_due(self, step: int) -> bool:
        """Tell whether a checkpoint is due, by the clock of the first process."""
        return self._saver is not None and self.run.world.decide(self._saver.is_due(step))

    def _score(self, step: int) -> None:
        data = self.run.data
        if data.held_out is None:
            return
        batch_size = self.run.config.train.batch_size
        self.run.world.share_buffers(self.run.trained.model)
        score = evaluate(self.run.learner, data, data.held_out, batch_size=batch_size)
        self._observer.scored(self._epochs.number(step), score)
        if self._curves is not None:
            self._curves.score(score, step=step, epoch=self._epochs.number(step))

    # The run directory.

    def _open_files(self) -> None:
        if self._directory is None:
            return
        resolved = Resolved(config=self.run.config, sources=self._sources)
        self._directory.write_text("config.toml", dump_config(resolved))
        self._curves = CurveWriter(self._directory, tensorboard=self.run.config.train.tensorboard)

    def _save(self, loop: Loop) -> None:
        """Save the run, if it has a directory; weights that are not finite are no good ones.

        Raises:
            NonFiniteLossError: a loss since the last point is not finite.
            NonFiniteWeightsError: nor are the weights.
        """
        if self._saver is not None and self._saver.saved_step == loop.progress.step:
            return
        loop.progress.pending = loop.read_losses()
        self.run.world.share_buffers(self.run.trained.model)
        found = self.run.world.gather(first_nonfinite(self.run.trained.model))
        broken = next((name for name in found if name is not None), None)
        if broken is not None:
            raise NonFiniteWeightsError(broken)
        if self._saver is not None:
            self._saver.save(loop.progress)

    # How a run ends early.

    def _diverged(self, error: NonFiniteLossError) -> DivergedError:
        done = self._progress.step
        step = error.step or done + 1
        where = describe_culprit(find_culprit(self.run.learner, error.batch))
        if step < done:  # the device was not waited for
            where += f" (looked for after step {done})"
        hint = ""
        if step == 1:
            target = self.run.config.model.target
            hint = f"no weight was changed yet; 'modelcli check {target}' looks for why"
        message = f"the loss is {error.value} at step {step}: {where}"
        return self._diverged_at(message, error.value, hint=hint)

    def _diverged_weights(self, name: str) -> DivergedError:
        step = self._progress.step
        return self._diverged_at(
            f"the weights are not finite after step {step}, though the loss before it was: "
            f"'{name}' is the first",
            math.nan,
        )

    def _diverged_at(self, message: str, loss: float, *, hint: str = "") -> DivergedError:
        if not hint:
            hint = f"try a smaller --lr than {self.run.config.optimizer.lr or 0.0:g}, or --clip 1"
            hint += ", in another --out" if self._directory is not None else ""
        if self._saver is not None and self._saver.saved_step >= 0:
            hint += f"; the checkpoint of step {self._saver.saved_step} is kept"
        assert self._engine is not None
        record = make_record(
            self.run, self._progress, engine=self._engine, watched=self._watched, diverged=loss
        )
        return DivergedError(message, hint, record=record)

    def _record_so_far(self) -> Record | None:
        """Return what an interrupted run came to; None where that cannot be measured now."""
        if not self._progress.points or self._engine is None or self.run.world.launched:
            return None
        try:
            return make_record(
                self.run, self._progress, engine=self._engine, watched=self._watched,
                shape_before=self._shape,
            )  # fmt: skip
        except (Exception, KeyboardInterrupt):  # asked again: it is not waited for
            return None

    def _stopped(self, signum: int, record: Record | None) -> StoppedError:
        where = self._directory.path if self._directory is not None else None
        return StoppedError(
            signum, step=self._progress.step, steps=self.run.steps, directory=where, record=record
        )
