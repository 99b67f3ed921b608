/* The graph: boxes that open and close, found, coloured and saved. */
const graph = {data: DATA.graph && unfoldGraph(DATA.graph), open: new Set(), chosen: null, hits: [], colour: 'kind', zoom: 1, x: 0, y: 0, picture: null, fitted: false};
const SVG = 'http://www.w3.org/2000/svg';
const COLOURS = [['kind', 'what it does'], ['params', 'parameters'], ['macs', 'MACs'], ['memory', 'output bytes']];
const COST = {params: box => box.params, macs: box => box.macs, memory: box => box.bytes};
const opensUp = box => !!box.inside;

function totals() {
  const boxes = Object.values(graph.data.boxes), root = graph.data.boxes[graph.data.root];
  return {params: root.params, macs: root.macs, memory: boxes.filter(box => !box.inside).reduce((sum, box) => sum + box.bytes * box.repeat, 0)};
}
function bent(points, cut) {
  const p = points.map(point => [...point]);
  if (cut) { const [a, b] = [p[p.length - 2], p[p.length - 1]], long = Math.max(Math.abs(b[0] - a[0]) + Math.abs(b[1] - a[1]), 1e-6), back = Math.min(4, long) / long; p[p.length - 1] = [b[0] - (b[0] - a[0]) * back, b[1] - (b[1] - a[1]) * back]; }
  const n = v => +v.toFixed(1), far = (a, b) => Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]), to = (a, b, by) => { const long = Math.max(far(a, b), 1e-6); return [a[0] + (b[0] - a[0]) * by / long, a[1] + (b[1] - a[1]) * by / long]; };
  let text = `M${n(p[0][0])} ${n(p[0][1])}`;
  for (let k = 1; k < p.length - 1; k++) {
    const radius = Math.min(7, far(p[k - 1], p[k]) / 2, far(p[k], p[k + 1]) / 2), a = to(p[k], p[k - 1], radius), b = to(p[k], p[k + 1], radius);
    text += `L${n(a[0])} ${n(a[1])}Q${n(p[k][0])} ${n(p[k][1])} ${n(b[0])} ${n(b[1])}`;
  }
  return `${text}L${n(p[p.length - 1][0])} ${n(p[p.length - 1][1])}`;
}
function vector(tag, given, markup = '') {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(given)) if (value !== null && value !== undefined) element.setAttribute(key, value);
  element.innerHTML = markup; // written, and escaped, with the page
  return element;
}
function spoken(box) {
  const costs = [box.params ? `${short(box.params)} parameters` : '', box.macs ? `${short(box.macs)} MACs` : ''].filter(Boolean);
  return [box.path || box.name, box.type, box.repeat > 1 ? `${box.repeat} in a row` : '', box.outs ? `output ${box.outs}` : '', ...costs, box.failed ? 'the forward failed here' : ''].filter(Boolean).join(', ');
}
function boxElement(drawn) {
  const {id, box, depth, open, x, y, width, height} = drawn, group = opensUp(box);
  const element = vector('g', {class: box.failed ? 'node failed' : 'node', 'data-id': id, transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})`, tabindex: '-1', role: group ? 'button' : 'img', 'aria-expanded': group ? String(open) : null, 'aria-label': spoken(box)});
  if (open) {
    const size = `width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="10"`, look = box.failed ? 'g-failed' : `g-box${Math.min(depth, 3)}`;
    element.innerHTML = (box.repeat > 1 ? [8, 4].map(d => `<rect x="${d}" y="${d}" ${size} class="${look}"/>`).join('') : '') + `<rect ${size} class="${look} ring"/>${box.frame}`;
  } else {
    element.innerHTML = box.art;
    const share = graph.colour === 'kind' ? 0 : Math.min(1, COST[graph.colour](box) * box.repeat / (graph.totals[graph.colour] || 1));
    if (box.form === 'card' && share > 0) {
      const heat = vector('rect', {width, height, rx: 8, class: 'g-heat', opacity: (.08 + .5 * Math.sqrt(share)).toFixed(2)});
      const rects = element.querySelectorAll(':scope > rect'); rects[rects.length - 1].after(heat);
      const line = element.querySelector(':scope > .g-line'), told = line && `${line.textContent.split(' · ')[0]} · ${(100 * share).toFixed(1)} %`;
      if (share >= .001 && told && told.length * 6.33 < width - 24) line.textContent = told; // what fits in place of the figures
    }
    element.append(vector('rect', {width, height, rx: box.form === 'card' ? 8 : height / 2, class: 'ring none'}));
  }
  return element;
}
function paintGraph() {
  const picture = graph.picture = layOut(graph.data, graph.open), frames = [], closed = [], trees = new Map(), heads = new Set();
  for (const drawn of picture.boxes.slice(1)) (drawn.open ? frames : closed).push(boxElement(drawn));
  for (const arrow of picture.arrows) {
    const key = `${arrow.parent}\n${arrow.source || arrow.exit}\n${arrow.write}`, tree = trees.get(key) || {arrows: [], write: arrow.write, heads: [], ends: new Set([arrow.source].filter(Boolean))};
    tree.arrows.push(arrow); if (arrow.target) tree.ends.add(arrow.target); trees.set(key, tree);
    if (arrow.head) { const [[px, py], [x, y]] = arrow.points.slice(-2); const head = `M${x.toFixed(1)} ${y.toFixed(1)}${Math.abs(y - py) >= Math.abs(x - px) ? 'l-3.6 -7.5h7.2z' : 'l-7.5 -3.6v7.2z'}`; heads.add(head); tree.heads.push(head); }
  }
  const lines = [...trees.values()].map(tree => vector('path', {d: tree.arrows.map(arrow => bent(arrow.points, arrow.head)).join(''), class: `g-edge${tree.write ? ' g-write' : ''}`, 'data-ends': [...tree.ends].join(' '), 'data-heads': tree.heads.join('')}));
  graph.lit = vector('path', {class: 'g-head on'});
  graph.view.replaceChildren(...frames, ...lines, vector('path', {d: [...heads].join(''), class: 'g-head'}), graph.lit, ...closed);
  graph.nodes = new Map([...frames, ...closed].map(element => [element.dataset.id, element]));
  markGraph(); moveGraph();
}
function markGraph() {
  const found = new Set(graph.hits), order = graph.picture.boxes.slice(1).map(drawn => drawn.id);
  if (!graph.nodes.has(graph.chosen)) graph.chosen = null;
  const stop = graph.chosen || order[0];
  for (const [id, element] of graph.nodes) { element.classList.toggle('on', id === graph.chosen); element.classList.toggle('hit', found.has(id)); element.setAttribute('tabindex', id === stop ? '0' : '-1'); }
  for (const line of graph.view.querySelectorAll('.g-edge')) line.classList.toggle('on', !!graph.chosen && line.dataset.ends.split(' ').includes(graph.chosen));
  graph.lit.setAttribute('d', [...graph.view.querySelectorAll('.g-edge.on')].map(line => line.dataset.heads).join(''));
}
const moveGraph = () => graph.view.setAttribute('transform', `translate(${graph.x.toFixed(2)} ${graph.y.toFixed(2)}) scale(${graph.zoom.toFixed(4)})`);
function zoomGraph(by, x = graph.canvas.clientWidth / 2, y = graph.canvas.clientHeight / 2) {
  const zoom = Math.min(4, Math.max(.04, graph.zoom * by));
  graph.x = x - (x - graph.x) * zoom / graph.zoom; graph.y = y - (y - graph.y) * zoom / graph.zoom; graph.zoom = zoom; moveGraph();
}
/** The whole width, from the top; a picture that is not much too high is shown whole. */
function fitGraph() {
  const {clientWidth: width, clientHeight: height} = graph.canvas, {picture} = graph;
  const wide = (width - 40) / picture.width, high = (height - 40) / picture.height;
  graph.zoom = Math.min(1, wide, high > .62 ? high : 9);
  if (graph.zoom < .45 && graph.zoom < wide) graph.zoom = Math.min(wide, .45);
  graph.zoom = Math.max(graph.zoom, width < 600 ? .62 : .05); // on a phone letters stay legible
  const room = width - picture.width * graph.zoom, first = picture.boxes[1], middle = (first.x + first.width / 2) * graph.zoom;
  graph.x = room >= 40 ? room / 2 : Math.min(20, Math.max(room - 20, width / 2 - middle)); graph.y = 20; moveGraph();
}
function fitGraphOnce() {
  if (graph.fitted || !graph.canvas.clientWidth) return;
  graph.fitted = true; fitGraph();
  const failed = graph.picture.boxes.find(drawn => drawn.box.failed);
  if (failed) { chooseBox(failed.id); fitGraph(); reveal(failed.id, .7); } // what ran leads down to it
}
function centre(id, high = .38) {
  const drawn = graph.picture.boxes.find(each => each.id === id);
  if (!drawn) return;
  if (graph.zoom < .6) graph.zoom = Math.min(1, Math.max(.8, graph.zoom));
  graph.x = graph.canvas.clientWidth / 2 - (drawn.x + Math.min(drawn.width, graph.canvas.clientWidth) / 2) * graph.zoom;
  graph.y = graph.canvas.clientHeight * high - drawn.y * graph.zoom; moveGraph();
}
/** Bring a box that has the focus into sight. */
function reveal(id, high) {
  const element = graph.nodes.get(id), seen = graph.canvas.getBoundingClientRect(), its = element.getBoundingClientRect();
  if (its.top < seen.top || its.left < seen.left || its.left + 40 > seen.right || its.top + 30 > seen.bottom) centre(id, high);
}
function toggleBox(id) {
  const before = graph.nodes.get(id).getBoundingClientRect(), focused = graph.view.contains(document.activeElement);
  if (graph.open.has(id)) graph.open.delete(id); else graph.open.add(id);
  paintGraph();
  const after = graph.nodes.get(id).getBoundingClientRect();
  graph.x += before.left - after.left; graph.y += before.top - after.top; moveGraph();
  if (focused) graph.nodes.get(id).focus({preventScroll: true});
  tell(`${graph.data.boxes[id].name} ${graph.open.has(id) ? 'opened' : 'closed'}`);
}
function chooseBox(id, focus = false) {
  graph.chosen = id; markGraph(); describeBox(graph.data.boxes[id]);
  if (focus) { graph.nodes.get(id).focus({preventScroll: true}); reveal(id); }
}
function openAround(id) { for (let up = graph.data.boxes[id].parent; up; up = graph.data.boxes[up].parent) graph.open.add(up); }
function goTo(id, focus = true) { openAround(id); paintGraph(); chooseBox(id); centre(id); if (focus) graph.nodes.get(id).focus({preventScroll: true}); }
/** Show what stands for a layer: its box, the one it is folded into, or the closest around it. */
function findPath(path) {
  const boxes = Object.entries(graph.data.boxes);
  for (let at = path; at; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    const found = boxes.find(([, box]) => box.path === at) || boxes.find(([, box]) => box.names && box.names.includes(at));
    if (found) return goTo(found[0]);
  }
  return fitGraph();
}
function searchGraph(query) {
  const words = query.trim().toLowerCase().replaceAll('×', 'x').split(/\s+/).filter(Boolean);
  graph.hits = words.length ? Object.entries(graph.data.boxes).filter(([id, box]) => id !== graph.data.root && words.every(word => `${box.path} ${box.name} ${box.type} ${box.ins || ''} ${box.outs || ''}`.toLowerCase().replaceAll('×', 'x').includes(word))).map(([id]) => id) : [];
  graph.found.textContent = words.length ? `${exact(graph.hits.length)} found` : '';
  markGraph();
}
function nextHit(back) {
  if (!graph.hits.length) return;
  const at = graph.hits.indexOf(graph.chosen), to = (at + (back ? -1 : 1) + graph.hits.length) % graph.hits.length;
  goTo(graph.hits[at < 0 ? 0 : to], false);
  graph.found.textContent = `${(at < 0 ? 0 : to) + 1} of ${graph.hits.length}`;
  tell(spoken(graph.data.boxes[graph.chosen]));
}
