/* The layers: a row a module or function, in the order of execution. */
let layerTable = null;
function drawLayers(panel) {
  const most = {params: 1, macs: 1, bytes: 1};
  for (const row of ROWS) if (!row.children.length) for (const key in most) most[key] = Math.max(most[key], row[key]);
  const number = (key, title) => ({title, num: true, value: row => row[key], text: row => row[key] ? exact(row[key]) : '–', meter: row => row.children.length ? 0 : row[key] / most[key]});
  const columns = [
    {title: 'Layer', mono: true, most: 360, value: row => row.path, text: row => (layerTable && !layerTable.inOrder ? row.path : row.name) || DATA.model, indent: row => row.depth},
    {title: 'Type', classes: 'type', most: 230, value: row => row.type, text: row => row.calls > 1 && row.kind === 'module' ? `${row.type} ×${row.calls}` : row.type},
    {title: 'Input', mono: true, most: 250, value: row => row.ins, text: row => row.ins},
    {title: 'Output', mono: true, most: 230, value: row => row.outs, text: row => row.outs},
    number('params', 'Parameters'), number('macs', 'MACs'), number('bytes', 'Output bytes'),
  ];
  const counted = make('output', {});
  const chosen = make('div', {class: 'chosen', hidden: true});
  const state = {levels: 99, plumbing: false};
  const table = layerTable = new Table(columns, ROWS, {
    label: 'Layers', words: row => `${row.path} ${row.type} ${row.ins} ${row.outs}`.toLowerCase().replaceAll('×', 'x'),
    keep: row => row.depth <= state.levels && (state.plumbing || !row.plumbing),
    classOf: row => [row.idle ? 'idle' : '', row.failed ? 'failed' : ''].filter(Boolean).join(' '),
    counted: (shown, all) => { counted.textContent = `${exact(shown)} of ${exact(all)} rows`; },
    choose: row => {
      chosen.hidden = false;
      chosen.replaceChildren(make('code', {}, row.path || DATA.model), make('span', {class: 'small'}, row.type), copyButton(row.path || DATA.model),
        DATA.graph ? make('button', {type: 'button', onclick: () => { show('graph'); findPath(row.path); }}, 'Show in the graph') : null,
        row.idle ? make('span', {class: 'small'}, 'never ran') : null, row.shared ? make('span', {class: 'small'}, 'shared with an earlier layer') : null);
    },
  });
  TABLES.push(table);
  const deepest = ROWS.reduce((deep, row) => Math.max(deep, row.depth), 0);
  const levels = make('select', {onchange: event => { state.levels = +event.target.value; table.update(); }},
    make('option', {value: '99'}, 'all'), Array.from({length: Math.min(deepest, 8)}, (_, k) => make('option', {value: String(k + 1)}, String(k + 1))));
  const find = make('input', {type: 'search', placeholder: 'name, type or 3x224', autocomplete: 'off', 'aria-label': 'Find a layer', oninput: event => table.filter(event.target.value), onkeydown: event => { if (event.key === 'ArrowDown' || event.key === 'Enter') { event.preventDefault(); table.choose(bestRow(table.rows, event.target.value), true); } }});
  const plumbing = make('input', {type: 'checkbox', onchange: event => { state.plumbing = event.target.checked; table.update(); }});
  panel.append(make('div', {class: 'bar'}, make('label', {class: 'find'}, 'Find ', find), counted, make('span', {class: 'space'}), make('label', {}, 'Levels', levels),
    ROWS.some(row => row.plumbing) ? make('label', {}, plumbing, 'casts and copies') : null), table.element, chosen);
  table.update();
}
/** The row that is meant most likely: one of that name, then one with it in its name. */
function bestRow(rows, query) {
  const word = query.trim().toLowerCase(), tests = [row => row.name.toLowerCase() === word, row => row.path.toLowerCase().endsWith(word), row => row.path.toLowerCase().includes(word)];
  for (const test of tests) { const at = rows.findIndex(test); if (at >= 0) return at; }
  return 0;
}
/** Show a row of the table from elsewhere. */
function showLayer(path) { show('layers'); layerTable.options.keep = null; layerTable.filter(''); layerTable.find(row => row.path === path); }
