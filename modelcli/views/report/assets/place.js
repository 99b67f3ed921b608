/* Coordinates of the graph: what modelcli/graphs/place.py and layout.py compute, for any set of open
   boxes. Ranks, columns and widths come with the page; a test holds both to the same numbers. */

/** Boxes as the page works with them: what repeats stands in the data once. */
function unfoldGraph(data) {
  const boxes = {};
  for (const [id, [look, parent, path, open, children, names]] of Object.entries(data.boxes)) {
    const its = data.looks[look];
    boxes[id] = {params: 0, macs: 0, bytes: 0, ...its, id, parent: parent || null, path: path || '', open: !!open, children: children || [], names: names || null, inside: its.inside === null ? null : data.insides[its.inside]};
  }
  return {...data, boxes};
}
/** Get the inside of a box ready once: a cell is a number, of a child or, behind them, of a bend. */
function prepareInside(inside, children) {
  if (inside.from) return;
  inside.columnOf = []; inside.rankOf = []; inside.count = children;
  inside.columns = inside.columns.map(([first, side, place, cells]) => ({first, side, place, cells, position: side * place}));
  for (const column of inside.columns) column.cells.forEach((cell, k) => { inside.columnOf[cell] = column; inside.rankOf[cell] = column.first + k; });
  inside.steps = inside.steps.map(([source, target, exit, entry, write]) => ({source, target, exit, entry, write: !!write}));
  inside.from = Array.from({length: inside.ranks}, () => []);
  for (const step of inside.steps) inside.from[inside.rankOf[step.source]].push(step);
  inside.cells = inside.columns.flatMap(column => column.cells);
  inside.isBend = cell => cell >= inside.count;
  inside.exitOf = cell => inside.bends[cell - inside.count];
  inside.owner = exit => inside.exits[exit][0];
  inside.portOf = new Map(inside.ports);
}

class Placing {
  constructor(inside, sizes, S) {
    Object.assign(this, {inside, sizes, S, tops: [], ends: [], main: new Map(), covered: new Map(), across: new Map()});
    const loose = this.findLoose();
    this.stack(loose); this.cover(loose); this.pack();
    this.boxes = new Map();
    for (const cell of inside.cells) if (!inside.isBend(cell)) this.boxes.set(cell, [this.at(cell) - sizes[cell].anchor, this.main.get(cell)]);
    this.lines = [];
    for (let rank = 0; rank < inside.ranks; rank++) this.lines.push(...this.route(rank));
    this.length = Math.max(0, ...this.ends);
  }
  at(cell) { return this.across.get(this.inside.columnOf[cell]); }
  findLoose() {
    const {inside} = this, found = new Map();
    for (const column of inside.columns.slice(1)) column.cells.forEach((cell, number) => {
      if (inside.isBend(cell)) return;
      const start = column.first + number;
      let until = start;
      for (const below of column.cells.slice(number + 1)) {
        if (!inside.isBend(below) || inside.owner(inside.exitOf(below)) !== cell || !this.isFree(column, until)) break;
        until++;
      }
      if (until > start) found.set(cell, until);
    });
    return found;
  }
  isFree(column, rank) {
    return this.inside.from[rank].every(step => {
      const a = this.inside.columnOf[step.source].position - column.position, b = this.inside.columnOf[step.target].position - column.position;
      return (a === 0) === (b === 0) && a * b >= 0;
    });
  }
  stack(loose) {
    const {inside, sizes} = this, byRank = Array.from({length: inside.ranks}, () => []), ending = byRank.map(() => []);
    for (const cell of inside.cells) if (!inside.isBend(cell)) byRank[inside.rankOf[cell]].push(cell);
    for (const [box, until] of loose) ending[until].push(box);
    let top = 0;
    for (let rank = 0; rank < inside.ranks; rank++) {
      const high = Math.max(0, ...byRank[rank].filter(box => !loose.has(box)).map(box => sizes[box].main));
      this.tops[rank] = top;
      for (const box of byRank[rank]) this.main.set(box, top + (loose.has(box) ? 0 : (high - sizes[box].main) / 2));
      let end = top + high;
      for (const box of ending[rank]) end = Math.max(end, this.main.get(box) + sizes[box].main);
      this.ends[rank] = end;
      top = end + (rank === inside.ranks - 1 ? 0 : this.S.gap + this.S.track * Math.max(0, this.nets(rank).size - 1));
    }
  }
  cover(loose) {
    for (const [box, until] of loose) {
      const column = this.inside.columnOf[box], bottom = this.main.get(box) + this.sizes[box].main;
      for (let rank = this.inside.rankOf[box] + 1; rank <= until; rank++)
        if (this.tops[rank] < bottom + this.S.lead) this.covered.set(column.cells[rank - column.first], box);
    }
  }
  extent(cell) {
    const box = this.covered.get(cell) ?? cell;
    if (this.inside.isBend(box)) return [this.S.bend / 2, this.S.bend / 2];
    const size = this.sizes[box];
    return [size.anchor, size.across - size.anchor];
  }
  pack() {
    const {inside} = this, edge = {'-1': new Array(inside.ranks).fill(0), 1: new Array(inside.ranks).fill(0)}, used = new Array(inside.ranks).fill(false);
    this.low = 0; this.high = 0;
    for (const column of [...inside.columns].sort((a, b) => a.place - b.place)) {
      let at = 0;
      if (column.side) column.cells.forEach((cell, k) => {
        const rank = column.first + k, inner = this.extent(cell)[column.side > 0 ? 0 : 1];
        const isBox = !inside.isBend(this.covered.get(cell) ?? cell), apart = used[rank] ? (isBox ? this.S.apart : this.S.apart / 2) : 0;
        at = Math.max(at, edge[column.side][rank] + apart + inner);
      });
      if (column.side) at = this.clear(column, at);
      this.across.set(column, at * column.side);
      column.cells.forEach((cell, k) => {
        const rank = column.first + k, [left, right] = this.extent(cell);
        used[rank] = true;
        this.low = Math.min(this.low, at * column.side - left); this.high = Math.max(this.high, at * column.side + right);
        for (const side of column.side ? [column.side] : [-1, 1]) edge[side][rank] = Math.max(edge[side][rank], at + (side > 0 ? right : left));
      });
    }
  }
  clear(column, at) {
    const last = c => c.first + c.cells.length - 1;
    const taken = this.inside.columns.slice(1).filter(other => this.across.has(other) && other.side === column.side && (other.first === last(column) + 1 || last(other) === column.first - 1)).map(other => Math.abs(this.across.get(other)));
    for (const x of taken.sort((a, b) => a - b)) if (Math.abs(x - at) < this.S.bend - .25) at = x + this.S.bend;
    return at;
  }
  nets(rank) {
    const {inside} = this, bent = inside.from[rank].filter(step => inside.columnOf[step.source] !== inside.columnOf[step.target] || Math.abs(this.offset(step.source, inside.exits[step.exit][1]) - this.offset(step.target, step.entry)) >= .25);
    const targets = new Map(), nets = new Map();
    for (const step of bent) { if (!targets.has(step.exit)) targets.set(step.exit, new Set()); targets.get(step.exit).add(`${step.target}\t${step.entry}`); }
    for (const step of bent) {
      const name = targets.get(step.exit).size === 1 && !inside.isBend(step.target) ? `to ${step.target} ${step.entry}` : `from ${step.exit}`;
      if (!nets.has(name)) nets.set(name, []);
      nets.get(name).push(step);
    }
    return nets;
  }
  start(step) {
    const box = this.covered.get(step.source) ?? step.source;
    if (this.inside.isBend(box)) return [this.at(step.source), this.tops[this.inside.rankOf[step.source]]];
    return [this.at(step.source) + this.offset(box, this.inside.exits[step.exit][1]), this.main.get(box) + this.sizes[box].main];
  }
  end(step) {
    if (this.inside.isBend(step.target)) return [this.at(step.target), this.tops[this.inside.rankOf[step.target]]];
    return [this.at(step.target) + this.offset(step.target, step.entry), this.main.get(step.target)];
  }
  offset(cell, place) {
    if (this.inside.isBend(cell)) return 0;
    const size = this.sizes[cell], port = size.ports && size.ports.get(place);
    return (port ?? size.anchor) - size.anchor;
  }
  route(rank) {
    const track = this.tracks(rank);
    return this.inside.from[rank].filter(step => !this.covered.has(step.target)).map(step => {
      const start = this.start(step), end = this.end(step);
      if (Math.abs(start[0] - end[0]) < .25) return {step, points: [start, [start[0], end[1]]]};
      let level = this.ends[rank] + this.S.lead + this.S.track * (track.get(step) ?? 0);
      if (this.covered.has(step.source)) level = Math.max(level, start[1] + this.S.lead / 2);
      return {step, points: [start, [start[0], level], [end[0], level], end]};
    });
  }
  tracks(rank) {
    const spans = [];
    [...this.nets(rank).values()].forEach((steps, number) => {
      const drawn = steps.filter(step => !this.covered.has(step.target)), ends = drawn.flatMap(step => [this.start(step)[0], this.end(step)[0]]);
      if (!ends.length || Math.max(...ends) - Math.min(...ends) < .25) return;
      const middle = drawn.reduce((sum, step) => sum + this.end(step)[0] - this.start(step)[0], 0), from = this.start(drawn[0])[0];
      spans.push({left: middle < 0 ? 1 : 0, order: middle < 0 ? from : -from, number, ends, drawn});
    });
    spans.sort((a, b) => a.left - b.left || a.order - b.order || a.number - b.number);
    const taken = [], found = new Map();
    for (const {ends, drawn} of spans) {
      const low = Math.min(...ends) - this.S.bend / 2, high = Math.max(...ends) + this.S.bend / 2;
      let level = 0;
      taken.forEach((held, n) => { if (held.some(([a, b]) => a < high && low < b)) level = Math.max(level, n + 1); });
      while (taken.length <= level) taken.push([]);
      taken[level].push([low, high]);
      for (const step of drawn) found.set(step, level);
    }
    return found;
  }
}

/** Lay a graph out from the inside out, then put every box in its place. */
function layOut(graph, open) {
  const S = graph.sizes, placed = new Map(), boxes = [], arrows = [];
  const size = id => {
    const box = graph.boxes[id];
    if (!id) return {across: S.port, main: 0, anchor: S.port / 2};
    if (!box.inside || !open.has(id)) return {across: box.size[0], main: box.size[1], anchor: box.size[0] / 2};
    prepareInside(box.inside, box.children.length);
    const sizes = box.children.map(child => size(child)), inner = new Placing(box.inside, sizes, S), {low, high} = inner;
    const comes = box.inside.ports.filter(([, out]) => !out).map(([child]) => child), leaves = box.inside.ports.some(([, out]) => out);
    let before = 0, after = 0, start = 0, end = 0;
    if (id !== graph.root) {
      end = leaves ? 0 : S.pad;
      before = comes.length ? Math.max(S.pad, box.title + 2 * S.pad - (Math.min(...comes.map(child => inner.boxes.get(child)[0])) - low)) : S.pad;
      after = Math.max(S.pad, box.title + 2 * S.pad - before - (high - low));
      start = comes.length ? S.head : S.head + S.lead;
    }
    const across = before - low, offsets = new Map(box.inside.ports.map(([child]) => [child, across + inner.boxes.get(child)[0] + S.port / 2]));
    placed.set(id, {inner, sizes, across, start, end});
    return {across: before + (high - low) + after, main: start + inner.length + end, anchor: across, ports: offsets};
  };
  const put = (id, depth, x, y, its) => {
    const box = graph.boxes[id], here = placed.get(id);
    boxes.push({id, box, depth, open: !!here, x, y, width: its.across, height: its.main});
    if (!here) return;
    const left = x + here.across, top = y + here.start;
    for (const [child, [a, m]] of here.inner.boxes) if (box.children[child]) put(box.children[child], depth + (id !== graph.root ? 1 : 0), left + a, top + m, here.sizes[child]);
    for (const {step, points} of here.inner.lines) {
      const line = points.map(([a, m]) => [left + a, top + m]), {inside} = box, ends = !inside.isBend(step.target), target = ends ? box.children[step.target] : '';
      if (inside.portOf.get(step.source) === 0) line[0][1] -= here.start;
      if (ends && inside.portOf.get(step.target) === 1) line[line.length - 1][1] += here.end;
      arrows.push({parent: id, exit: step.exit, source: box.children[inside.owner(step.exit)] || '', target: target || '', points: line, head: !!target && !placed.has(target), write: step.write});
    }
  };
  const whole = size(graph.root);
  put(graph.root, 0, 0, 0, whole);
  return {width: whole.across, height: whole.main, boxes, arrows};
}
