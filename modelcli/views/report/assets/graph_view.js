/* The graph's surroundings: buttons, what is known of a box, keys and pointers, the saved picture. */
function describeBox(box) {
  const name = box.path || box.name, pairs = [['in', box.ins], ['out', box.outs], ['dtype', box.dtypes], ['parameters', box.rowParams ? exact(box.rowParams) + (box.params ? '' : ', counted before') : ''], ['MACs', box.macs ? exact(box.macs) : ''], ['FLOPs', box.macs ? exact(2 * box.macs) : ''], ['output', box.bytes ? short(box.bytes, 'B') : ''], ['in a row', box.repeat > 1 ? `${box.repeat}, figures are of one` : '']].filter(([, value]) => value);
  graph.side.hidden = false;
  graph.side.replaceChildren(...[make('h2', {}, name), make('p', {class: 'small'}, box.failed ? `${box.type}: the forward failed here` : box.type || box.kind),
    make('p', {}, copyButton(name), ' ', ROWS.some(row => row.path === box.path && box.path) ? make('button', {type: 'button', onclick: () => showLayer(box.path)}, 'Show in the table') : null),
    make('dl', {}, pairs.flatMap(([key, value]) => [make('dt', {}, key), make('dd', {}, value)])),
    box.names && box.names.length > 1 ? make('details', {}, make('summary', {}, 'All names'), make('p', {class: 'mono'}, box.names.join(', '))) : null].filter(Boolean));
}
function drawGraph(panel) {
  graph.open = new Set(Object.entries(graph.data.boxes).filter(([, box]) => box.open).map(([id]) => id));
  for (const box of Object.values(graph.data.boxes)) if (box.failed) openAround(box.id);
  graph.totals = totals();
  graph.found = make('output', {});
  const find = make('input', {type: 'search', id: 'find', placeholder: 'name, type or 3x224', autocomplete: 'off', 'aria-label': 'Find a box', oninput: event => searchGraph(event.target.value), onkeydown: event => { if (event.key === 'Enter') { event.preventDefault(); nextHit(event.shiftKey); } else if (event.key === 'ArrowDown' && graph.chosen) { event.preventDefault(); chooseBox(graph.chosen, true); } }});
  const colour = make('select', {onchange: event => { graph.colour = event.target.value; graph.legend.hidden = graph.colour !== 'kind'; paintGraph(); }}, COLOURS.map(([value, words]) => make('option', {value}, words)));
  const button = (label, act, name) => make('button', {type: 'button', onclick: act, 'aria-label': name || null, title: name || null}, label);
  graph.view = vector('g', {});
  graph.svg = vector('svg', {class: 'mc-page', role: 'group', 'aria-label': 'Boxes of the model, in the order of execution'}); graph.svg.append(graph.view);
  graph.canvas = make('div', {class: 'canvas', tabindex: '-1'}); graph.canvas.append(graph.svg);
  const kinds = new Set(Object.values(graph.data.boxes).map(box => box.family));
  graph.legend = make('div', {class: 'legend'}, DATA.kinds.filter(([kind]) => kinds.has(kind)).map(([kind, words]) => make('span', {}, make('i', {class: 'swatch', style: {background: `var(--${kind})`}}), words)));
  graph.side = make('aside', {'aria-live': 'polite', hidden: true});
  panel.append(make('div', {class: 'bar'}, make('label', {class: 'find'}, 'Find ', find), graph.found, make('label', {}, 'Colour', colour), make('span', {class: 'space'}),
    button('Open more', () => openMore()), button('Close all', () => { graph.open = new Set([graph.data.root]); paintGraph(); fitGraph(); }), button('As at first', () => { graph.open = new Set(Object.entries(graph.data.boxes).filter(([, box]) => box.open).map(([id]) => id)); paintGraph(); fitGraph(); }),
    button('−', () => zoomGraph(.8), 'Zoom out'), button('+', () => zoomGraph(1.25), 'Zoom in'), button('Fit', fitGraph), button('Save SVG', saveGraph)),
  make('div', {class: 'split'}, make('div', {class: 'stage'}, graph.canvas, graph.legend), graph.side));
  paintGraph(); listenToPointers(); graph.canvas.addEventListener('keydown', graphKey);
  addEventListener('beforeprint', () => { graph.svg.setAttribute('viewBox', `-10 -10 ${graph.picture.width + 20} ${graph.picture.height + 20}`); graph.view.removeAttribute('transform'); graph.svg.style.setProperty('max-width', `${graph.picture.width + 20}px`); });
  addEventListener('afterprint', () => { graph.svg.removeAttribute('viewBox'); graph.svg.style.removeProperty('max-width'); moveGraph(); });
}
/** Open what is closed one level down, while the picture can still be read. */
function openMore() {
  const shut = graph.picture.boxes.filter(drawn => !drawn.open && opensUp(drawn.box));
  let shown = graph.picture.boxes.length;
  for (const {id, box} of shut) { if (shown > 1500) break; graph.open.add(id); shown += box.children.length; }
  tell(shut.length ? `${shut.length} boxes opened` : 'nothing is closed');
  paintGraph(); fitGraph();
}
function graphKey(event) {
  const at = event.target.closest && event.target.closest('.node'), order = graph.picture.boxes.slice(1).map(drawn => drawn.id);
  if (event.key === '+' || event.key === '=') zoomGraph(1.25);
  else if (event.key === '-') zoomGraph(.8);
  else if (event.key === '0') fitGraph();
  else if (event.key === '/') document.getElementById('find').focus();
  else if (!at) return;
  else {
    const id = at.dataset.id, place = order.indexOf(id), box = graph.data.boxes[id];
    if (event.key === 'Enter' || event.key === ' ') { chooseBox(id); if (opensUp(box)) toggleBox(id); }
    else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') chooseBox(order[Math.max(0, Math.min(order.length - 1, place + (event.key === 'ArrowDown' ? 1 : -1)))], true);
    else if (event.key === 'ArrowRight' && opensUp(box) && !graph.open.has(id)) toggleBox(id);
    else if (event.key === 'ArrowLeft') { if (graph.open.has(id)) toggleBox(id); else if (box.parent && box.parent !== graph.data.root) chooseBox(box.parent, true); }
    else if (event.key === 'Home') chooseBox(order[0], true);
    else if (event.key === 'End') chooseBox(order[order.length - 1], true);
    else if (event.key === 'c' && !event.ctrlKey && !event.metaKey) copy(box.path || box.name);
    else return;
  }
  event.preventDefault();
}
function listenToPointers() {
  const {canvas} = graph, held = new Map();
  let moved = 0, pinch = 0;
  canvas.addEventListener('wheel', event => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) zoomGraph(Math.exp(-event.deltaY * .01), event.clientX - box.left, event.clientY - box.top);
    else { graph.x -= event.shiftKey ? event.deltaY : event.deltaX; graph.y -= event.shiftKey ? 0 : event.deltaY; moveGraph(); }
  }, {passive: false});
  const spread = () => { const [a, b] = [...held.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
  canvas.addEventListener('pointerdown', event => { held.set(event.pointerId, [event.clientX, event.clientY]); moved = held.size > 1 ? 99 : 0; if (held.size === 2) pinch = spread(); });
  addEventListener('pointermove', event => {
    const last = held.get(event.pointerId);
    if (!last) return;
    const x = event.clientX - last[0], y = event.clientY - last[1];
    moved += Math.abs(x) + Math.abs(y); held.set(event.pointerId, [event.clientX, event.clientY]);
    if (held.size === 2) { const now = spread(), box = canvas.getBoundingClientRect(), [a, b] = [...held.values()]; zoomGraph(now / (pinch || now), (a[0] + b[0]) / 2 - box.left, (a[1] + b[1]) / 2 - box.top); pinch = now; }
    if (moved > 4) { graph.x += x / held.size; graph.y += y / held.size; moveGraph(); }
  });
  const drop = event => { held.delete(event.pointerId); };
  addEventListener('pointercancel', drop);
  addEventListener('pointerup', event => {
    if (!held.has(event.pointerId)) return;
    drop(event);
    if (moved > 4) return;
    const node = event.target.closest && event.target.closest('.node');
    if (!node) { graph.chosen = null; graph.side.hidden = true; markGraph(); return; }
    chooseBox(node.dataset.id); if (opensUp(graph.data.boxes[node.dataset.id])) toggleBox(node.dataset.id);
  });
}
/** What is shown, as a picture of its own that carries its style. */
function graphSvg() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme:dark)').matches, theme = dark ? 'dark' : 'light';
  const copyOf = graph.view.cloneNode(true), {width, height} = graph.picture;
  copyOf.removeAttribute('transform');
  for (const element of copyOf.querySelectorAll('*')) for (const name of ['tabindex', 'role', 'aria-expanded', 'aria-label', 'data-id', 'data-ends', 'data-heads']) element.removeAttribute(name);
  for (const element of copyOf.querySelectorAll('.ring.none')) element.remove();
  for (const element of copyOf.querySelectorAll('.on,.hit')) element.classList.remove('on', 'hit');
  const svg = vector('svg', {class: `mc-${theme}`, viewBox: `-24 -24 ${Math.ceil(width + 48)} ${Math.ceil(height + 48)}`, width: Math.ceil(width + 48), height: Math.ceil(height + 48), 'font-family': graph.data.font});
  const style = document.createElementNS(SVG, 'style'), title = document.createElementNS(SVG, 'title'), desc = document.createElementNS(SVG, 'desc');
  style.textContent = graph.data.styles[theme]; title.textContent = DATA.title; desc.textContent = DATA.mark;
  svg.append(title, desc, style, vector('rect', {x: -24, y: -24, width: Math.ceil(width + 48), height: Math.ceil(height + 48), class: 'ground'}), copyOf);
  return new XMLSerializer().serializeToString(svg);
}
function saveGraph() {
  const link = make('a', {download: `${DATA.file}.svg`, href: URL.createObjectURL(new Blob([graphSvg()], {type: 'image/svg+xml'}))});
  link.click(); setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  tell('saved');
}
