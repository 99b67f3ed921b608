/* Views whose content comes ready with the page: feature maps, findings, memory, training. */
function plainTable(given, label, most) {
  const columns = given.columns.map(([title, num, mono], place) => ({title, num, mono, most: most || 380, text: row => row[place][0], value: row => row[place][1]}));
  const rows = given.rows.map(cells => cells.map(cell => Array.isArray(cell) ? cell : [cell, cell]));
  const table = new Table(columns, rows, {label, words: row => row.map(cell => cell[0]).join(' ').toLowerCase()});
  TABLES.push(table);
  return table;
}
/** What is told beside a picture: the word for it, and the words on it. */
const toldList = pairs => make('dl', {class: 'told'}, pairs.flatMap(([key, text]) => [make('dt', {}, key), make('dd', {}, text)]));
function drawMaps(panel) {
  const {svg, table, notes, legend} = DATA.maps;
  const rows = plainTable(table, 'Feature maps', 420), counted = make('output', {});
  rows.options.counted = (shown, all) => { counted.textContent = `${exact(shown)} of ${exact(all)} layers`; };
  const picture = drawing(svg); picture.tabIndex = 0; picture.setAttribute('role', 'group'); picture.setAttribute('aria-label', 'Picture of the feature maps');
  const find = make('input', {type: 'search', placeholder: 'layer or size', 'aria-label': 'Find a feature map', oninput: event => rows.filter(event.target.value)});
  panel.append(make('div', {class: 'maps-top'}, picture, notes.length ? toldList(notes) : null), make('div', {class: 'bar'}, make('label', {class: 'find'}, 'Find ', find), counted, make('span', {class: 'space'}), make('details', {}, make('summary', {}, 'What the columns say'), toldList(legend))), rows.element);
  rows.update();
}
function drawMemory(panel) {
  const box = make('div', {class: 'scrolling'}, drawing(DATA.memory.svg));
  box.append(toldList(DATA.memory.notes));
  panel.append(box);
}
function drawCheck(panel) {
  const {summary, findings, skipped, faults} = DATA.check;
  const box = make('div', {class: 'scrolling'});
  box.append(make('p', {class: 'small'}, summary));
  for (const found of findings) {
    box.append(make('article', {class: `finding ${found.severity}`}, make('h3', {}, make('span', {class: 'rule'}, `${found.severity} ${found.rule}`), found.title, ': ', make('code', {}, found.path || DATA.model)),
      make('p', {}, found.message), make('dl', {}, make('dt', {}, 'Why'), make('dd', {}, found.why), make('dt', {}, 'Instead'), make('dd', {}, found.fix),
        found.place ? [make('dt', {}, 'At'), make('dd', {}, make('code', {}, found.place), ' ', copyButton(found.place, 'Copy'), found.code ? make('pre', {}, found.code) : null)] : null),
      found.row ? make('p', {}, make('button', {type: 'button', onclick: () => showLayer(found.path)}, 'Show the layer')) : null));
  }
  if (!findings.length) box.append(make('p', {}, 'Nothing was found.'));
  if (faults.length) box.append(make('div', {}, faults.map(line => make('p', {}, line))));
  if (skipped.length) box.append(make('details', {}, make('summary', {}, 'Rules that did not run'), skipped.map(line => make('p', {class: 'small'}, line))));
  panel.append(box);
}
function drawTraining(panel) {
  const box = make('div', {class: 'scrolling'});
  for (const run of DATA.training.runs) box.append(make('p', {class: 'small'}, make('b', {}, run.name), ' ', run.told));
  box.append(make('div', {class: 'charts'}, DATA.training.charts.map(svg => drawing(svg))));
  panel.append(box);
}
