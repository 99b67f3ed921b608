'use strict';
/* What every view uses: the data, text into elements, numbers, tabs, the theme. */
const DATA = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);

/** An element with attributes, listeners (on...) and children; a string is always text. */
function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'style') for (const [name, to] of Object.entries(value)) element.style.setProperty(name, to);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}
/** A drawing that was made, and escaped, with the page. */
function drawing(svg, classes = 'drawing') {
  const box = make('div', {class: classes});
  box.innerHTML = svg;
  return box;
}
const exact = n => n.toLocaleString('en');
function short(n, unit = '') {
  for (const [letter, size] of [['P', 1e15], ['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]])
    if (n >= size) return `${+(n / size).toPrecision(3)} ${letter}${unit}`;
  return unit ? `${n} ${unit}` : String(n);
}
const percent = share => share >= .9995 ? '100 %' : share >= .1 ? `${(100 * share).toFixed(0)} %` : `${+(100 * share).toPrecision(2)} %`;
function tell(text) { byId('told').textContent = text; }
function copy(text) {
  const done = () => tell(`copied ${text}`);
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text).then(done, () => copyOld(text, done));
  return copyOld(text, done);
}
function copyOld(text, done) {
  const area = make('textarea', {class: 'away'});
  area.value = text; document.body.append(area); area.select();
  const worked = document.execCommand('copy'); area.remove();
  if (worked) done(); else tell('this browser does not let a page copy');
}
function copyButton(text, label = 'Copy name') {
  const button = make('button', {type: 'button', onclick: () => { copy(text); button.textContent = 'Copied'; setTimeout(() => { button.textContent = label; }, 1500); }}, label);
  return button;
}

/* The rows of the tree; names are put together from the parent's. */
const ROWS = DATA.rows.map(([name, parent, kind, type, ins, outs, params, ownParams, macs, ownMacs, bytes, calls, flags]) => (
  {name, parent, kind: ['module', 'op', 'parameter'][kind], type: DATA.texts[type], ins: DATA.texts[ins], outs: DATA.texts[outs],
    params, ownParams, macs, ownMacs, bytes, calls, idle: !!(flags & 1), plumbing: !!(flags & 2), failed: !!(flags & 4), shared: !!(flags & 8), children: []}));
ROWS.forEach((row, index) => {
  row.index = index;
  const up = row.parent < 0 ? null : ROWS[row.parent];
  row.path = up && up.path ? `${up.path}.${row.name}` : row.name;
  row.depth = up ? up.depth + 1 : 0;
  if (up) up.children.push(index);
});
const KIND_WORDS = [['recurrent', /lstm|gru|rnn/i], ['attention', /attention|attn/i], ['embedding', /embed/i], ['norm', /norm/i],
  ['pool', /pool|upsampl|interpolate/i], ['conv', /conv(?!1d$)/i], ['linear', /linear|^conv1d$|matmul|addmm|bmm|einsum|^mm$|mlp/i],
  ['activation', /relu|gelu|silu|swish|sigmoid|tanh|softmax|mish|elu$/i]];
/** What a layer or function does, told by its class. */
const kindOf = type => (KIND_WORDS.find(([, words]) => words.test(type)) || ['other'])[0];

/* Tabs: a view is drawn when it is first shown. */
const VIEWS = [];
function addView(key, title, draw, {badge = 0, severity = '', shown = null} = {}) { VIEWS.push({key, title, draw, badge, severity, shown, drawn: false}); }
function build() {
  const tabs = byId('tabs'), main = byId('main');
  main.replaceChildren();
  VIEWS.forEach((view, place) => {
    view.tab = make('button', {id: `tab-${view.key}`, role: 'tab', type: 'button', 'aria-controls': `view-${view.key}`, 'aria-selected': 'false', onclick: () => show(view.key), onkeydown: event => walkTabs(event, place)},
      view.title, view.badge ? make('span', {class: `count ${view.severity}`}, String(view.badge)) : null);
    view.panel = make('section', {id: `view-${view.key}`, class: 'panel-view', role: 'tabpanel', 'aria-labelledby': view.tab.id, hidden: true}, make('h2', {class: 'print'}, view.title));
    tabs.append(view.tab); main.append(view.panel);
  });
}
function walkTabs(event, place) {
  const to = {ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: VIEWS.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const view = VIEWS[(to + VIEWS.length) % VIEWS.length];
  show(view.key); view.tab.focus();
}
function show(key) {
  for (const view of VIEWS) {
    const on = view.key === key;
    view.panel.hidden = !on; view.tab.setAttribute('aria-selected', String(on)); view.tab.tabIndex = on ? 0 : -1;
    if (on && !view.drawn) { view.drawn = true; view.draw(view.panel); }
    if (on && view.shown) view.shown();
  }
  try { history.replaceState(null, '', `#${key}`); } catch { /* a frame without an address */ }
}
const isShown = key => VIEWS.some(view => view.key === key && !view.panel.hidden);

function drawHeader() {
  byId('title').textContent = DATA.title;
  byId('subtitle').textContent = DATA.subtitle;
  byId('tiles').append(...DATA.tiles.map(([name, value, whole]) => make('div', {title: whole}, make('dt', {}, name), make('dd', {}, value))));
  byId('banners').append(...DATA.banners.map(({kind, title, lines}) => kind === 'note' ?
    make('div', {class: 'banner note'}, make('details', {}, make('summary', {}, title), lines.map(line => make('p', {}, line)))) :
    make('div', {class: `banner ${kind}`, role: kind === 'wrong' ? 'alert' : 'note'}, make('h2', {}, title), lines.map(line => make('p', {}, line)))));
  byId('theme').addEventListener('click', () => {
    const root = document.documentElement, system = matchMedia('(prefers-color-scheme:dark)').matches;
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : system;
    root.dataset.theme = dark ? 'light' : 'dark';
    tell(dark ? 'light' : 'dark');
  });
}
