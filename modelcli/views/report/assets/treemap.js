/* Where parameters, MACs and memory go: areas, three levels at a time. */
const MOST_CELLS = 160;
const treemap = {key: 'params', at: 0, panel: null};

/** What a row weighs by itself and with all below it. */
function weights(key) {
  const own = {params: row => row.ownParams, macs: row => row.ownMacs, bytes: row => row.children.length ? 0 : row.bytes}[key];
  const self = ROWS.map(own), whole = [...self];
  for (let k = ROWS.length - 1; k > 0; k--) whole[ROWS[k].parent] += whole[k];
  return {self, whole};
}
/** Squarified areas. Source: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000. */
function squarify(items, x, y, width, height) {
  const placed = [];
  let rest = items, left = items.reduce((sum, item) => sum + item.weight, 0);
  while (rest.length && left > 0 && width > 0 && height > 0) {
    const side = Math.min(width, height), scale = width * height / left;
    let sum = 0, best = Infinity, count = 0;
    while (count < rest.length) {
      const next = sum + rest[count].weight * scale, deep = next / side;
      const ratio = Math.max(deep * deep / (rest[count].weight * scale), rest[0].weight * scale / (deep * deep));
      if (count && ratio > best) break;
      sum = next; best = ratio; count++;
    }
    const deep = sum / side;
    let along = 0;
    for (const item of rest.slice(0, count)) {
      const long = item.weight * scale / deep;
      placed.push(width >= height ? {...item, x, y: y + along, width: deep, height: long} : {...item, x: x + along, y, width: long, height: deep});
      along += long; left -= item.weight;
    }
    if (width >= height) { x += deep; width -= deep; } else { y += deep; height -= deep; }
    rest = rest.slice(count);
  }
  return placed;
}
function parts(index, {self, whole}) {
  const found = ROWS[index].children.filter(child => whole[child] > 0).map(child => ({index: child, weight: whole[child]}));
  if (found.length && self[index] > 0) found.push({index, weight: self[index], own: true});
  found.sort((a, b) => b.weight - a.weight);
  if (found.length <= MOST_CELLS) return found;
  const rest = found.slice(MOST_CELLS);
  return [...found.slice(0, MOST_CELLS), {index, weight: rest.reduce((sum, item) => sum + item.weight, 0), more: rest.length}];
}
function drawTreemap(panel) {
  treemap.panel = panel;
  treemap.bar = make('div', {class: 'bar'}); treemap.map = make('div', {class: 'map', role: 'group', 'aria-label': 'Areas; Enter goes into one'});
  const kinds = [...new Set(ROWS.filter(row => !row.children.length && row.ownParams + row.ownMacs > 0).map(row => kindOf(row.type)))];
  treemap.legend = make('div', {class: 'legend'}, DATA.kinds.filter(([kind]) => kinds.includes(kind)).map(([kind, words]) => make('span', {}, make('i', {class: 'swatch', style: {background: `var(--${kind})`}}), words)));
  panel.append(treemap.bar, treemap.map, make('div', {class: 'bar'}, treemap.legend));
  new ResizeObserver(() => paintTreemap()).observe(treemap.map);
  paintTreemap();
}
const SORTS = [['params', 'parameters'], ['macs', 'MACs'], ['bytes', 'activation bytes']];
function paintTreemap(focus = false) {
  const {key, map} = treemap, all = weights(key), total = all.whole[treemap.at];
  const name = (index, from) => { const base = ROWS[from].path; return ROWS[index].path.slice(base ? base.length + 1 : 0) || DATA.model; };
  const label = (item, from) => item.own ? '(its own)' : item.more ? `${exact(item.more)} more` : name(item.index, from);
  const unit = key === 'bytes' ? 'B' : '', heaviest = index => { let at = index; for (;;) { const inner = ROWS[at].children.filter(c => all.whole[c] > 0); if (!inner.length) return kindOf(ROWS[at].type); at = inner.reduce((a, b) => all.whole[b] > all.whole[a] ? b : a); } };
  const cell = (item, from, deep, room) => {
    const row = ROWS[item.index], into = !item.own && !item.more && row.children.some(child => all.whole[child] > 0);
    const told = `${short(item.weight, unit)} · ${percent(item.weight / total)}`, what = `${item.own || item.more ? label(item, from) : row.path || DATA.model}, ${row.type}: ${exact(item.weight)} ${SORTS.find(([k]) => k === key)[1]}, ${percent(item.weight / total)}`;
    const button = make('button', {type: 'button', class: `cell ${room ? `outer deep${deep}` : ''}`, title: what, 'aria-label': what, 'data-index': item.index,
      style: {left: `${item.x}px`, top: `${item.y}px`, width: `${item.width}px`, height: `${item.height}px`, ...(item.width < 18 || item.height < 10 ? {padding: '0'} : {}), '--kind': `var(--${item.more ? 'other' : heaviest(item.index)})`},
      onclick: () => { if (into) { treemap.at = item.index; paintTreemap(true); } else if (!item.more) { showLayer(row.path); } }});
    if (item.width > 40 && item.height > 20) button.append(make('b', {}, label(item, from)));
    const beside = room ? label(item, from).length * 7 + 8 : 0, fits = text => item.width > beside + text.length * 6.6 + 18, figures = [told, short(item.weight, unit)].find(fits);
    if (figures && item.width > 40 && item.height > (room ? 24 : 38)) (room ? button.lastChild : button).append(...(room ? ['  ', make('span', {}, figures)] : [make('span', {}, figures)]));
    return button;
  };
  const cells = [], fill = (index, x, y, width, height, deep) => {
    for (const item of squarify(parts(index, all), x, y, width, height)) {
      if (item.width < 2.5 || item.height < 2.5) continue;
      const open = !item.own && !item.more && deep < 3 && item.width > 90 && item.height > 62, inner = open && parts(item.index, all).length > 0;
      cells.push(cell(item, index, deep, inner));
      if (inner) fill(item.index, item.x + 5, item.y + 25, item.width - 10, item.height - 30, deep + 1);
    }
  };
  fill(treemap.at, 0, 0, map.clientWidth, map.clientHeight, 0);
  map.replaceChildren(...(cells.length ? cells : [make('p', {class: 'empty'}, `nothing here has ${SORTS.find(([k]) => k === key)[1]}`)]));
  const way = [];
  for (let index = treemap.at; index >= 0; index = ROWS[index].parent) way.unshift(index);
  treemap.bar.replaceChildren('Area is', make('span', {class: 'segments', role: 'group', 'aria-label': 'Area is'}, SORTS.map(([k, words]) => make('button', {type: 'button', 'aria-pressed': String(k === key), onclick: () => { treemap.key = k; paintTreemap(); }}, words))),
    make('nav', {class: 'crumbs', 'aria-label': 'Where in the model'}, way.flatMap((index, k) => [k ? ' › ' : '', make('button', {type: 'button', 'aria-current': index === treemap.at ? 'true' : null, onclick: () => { treemap.at = index; paintTreemap(true); }}, ROWS[index].name || DATA.model)])),
    make('span', {class: 'small'}, `${short(total, unit)} in all`));
  if (focus) { const first = map.querySelector('button'); if (first) first.focus(); }
}
