/* A table of any length: only the rows in sight are elements. Sort, filter, and walk it by keys. */
const ROW_HEIGHT = 29, SPARE_ROWS = 12, MOST_PRINTED = 3000;

class Table {
  /**
   * @param columns {title, value, text, num, mono, meter, heading}: value sorts, text shows
   * @param rows any records
   * @param options {label, words, choose, classOf}
   */
  constructor(columns, rows, options) {
    this.columns = columns; this.all = rows; this.rows = rows; this.options = options;
    this.sorted = null; this.descending = false; this.query = ''; this.at = -1; this.first = -1;
    this.body = make('tbody');
    this.head = make('tr', {}, columns.map((column, place) => make('th', {scope: 'col', class: column.num ? 'num' : '', 'aria-sort': 'none'},
      make('button', {type: 'button', title: column.title, onclick: () => this.sortBy(place)}, column.title))));
    this.table = make('table', {'aria-label': options.label}, make('colgroup', {}, this.widths().map(width => make('col', {style: {width: `${width}px`}}))), make('thead', {}, this.head), this.body);
    this.element = make('div', {class: 'rows', onscroll: () => this.paint(), onkeydown: event => this.key(event)}, this.table);
    this.element.tabIndex = 0;
    this.element.setAttribute('role', 'region'); this.element.setAttribute('aria-label', options.label);
    this.body.addEventListener('click', event => { const row = event.target.closest('tr[data-at]'); if (row) this.choose(+row.dataset.at); });
    new ResizeObserver(() => { this.first = -1; this.paint(); }).observe(this.element);
  }
  /** Widths are those of the longest cells, so that columns stand still while rows come and go. */
  widths() {
    const most = this.all.length > 20000 ? this.all.slice(0, 20000) : this.all;
    return this.columns.map(column => {
      let longest = column.title.length + 2;
      for (const row of most) { const size = column.text(row).length + (column.indent ? 2 * column.indent(row) : 0); if (size > longest) longest = size; }
      return Math.min(Math.round(longest * (column.mono ? 7.4 : 7.5)) + 26, column.most || 420);
    });
  }
  sortBy(place) {
    if (this.sorted !== place) { this.sorted = place; this.descending = !!this.columns[place].num; }
    else if (this.descending === !!this.columns[place].num) this.descending = !this.descending;
    else this.sorted = null;
    [...this.head.children].forEach((cell, k) => cell.setAttribute('aria-sort', k !== this.sorted ? 'none' : this.descending ? 'descending' : 'ascending'));
    this.update();
    tell(this.sorted === null ? 'in the order of execution' : `sorted by ${this.columns[place].title}`);
  }
  filter(query) { this.query = query.trim().toLowerCase(); this.update(); }
  get inOrder() { return this.sorted === null && !this.query; }
  update() {
    const words = this.query.split(/\s+/).filter(Boolean);
    let rows = words.length ? this.all.filter(row => { const text = this.options.words(row); return words.every(word => text.includes(word)); }) : this.all;
    if (this.options.keep) rows = rows.filter(this.options.keep);
    if (this.sorted !== null) {
      const {value} = this.columns[this.sorted], way = this.descending ? -1 : 1, keys = new Map(rows.map(row => [row, value(row)]));
      const compare = new Intl.Collator('en', {numeric: true}).compare;
      rows = [...rows].sort((a, b) => { const x = keys.get(a), y = keys.get(b); return way * (typeof x === 'number' ? x - y : compare(x, y)); });
    }
    this.rows = rows; this.at = -1; this.first = -1; this.element.scrollTop = 0;
    this.paint();
    if (this.options.counted) this.options.counted(rows.length, this.all.length);
  }
  paint(whole = false) {
    const height = this.element.clientHeight || 600, count = this.rows.length;
    const from = whole ? 0 : Math.max(0, Math.floor(this.element.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const to = whole ? Math.min(count, MOST_PRINTED) : Math.min(count, from + Math.ceil(height / ROW_HEIGHT) + 2 * SPARE_ROWS);
    if (from === this.first && to === this.last && !whole) return;
    this.first = from; this.last = to;
    this.table.setAttribute('aria-rowcount', String(count + 1));
    const focused = this.body.contains(document.activeElement);
    this.body.replaceChildren(this.gap(from), ...this.rows.slice(from, to).map((row, k) => this.row(row, from + k)), this.gap(whole ? 0 : count - to));
    if (whole && to < count) this.body.append(make('tr', {}, make('td', {colspan: this.columns.length}, `${exact(count - to)} more rows are in the page and not on paper`)));
    if (focused) this.focus();
  }
  gap(rows) {
    const cell = make('td', {colspan: this.columns.length, style: {height: `${rows * ROW_HEIGHT}px`}});
    return make('tr', {class: 'gap', 'aria-hidden': 'true', hidden: !rows}, cell);
  }
  row(row, at) {
    const cells = this.columns.map((column, place) => {
      const text = column.text(row), cell = make(place ? 'td' : 'th', {class: [column.num ? 'num' : '', column.mono ? 'mono' : '', column.classes || '', column.num && !column.value(row) ? 'nothing' : ''].filter(Boolean).join(' ') || null, scope: place ? null : 'row', title: text.length > 26 ? text : null}, text);
      if (column.indent && this.inOrder) cell.style.setProperty('padding-left', `${12 + 15 * column.indent(row)}px`);
      if (column.meter) { const share = column.meter(row); if (share > .004) cell.append(make('i', {class: 'meter', style: {width: `${Math.max(2, 100 * Math.min(1, share))}%`}})); }
      return cell;
    });
    const classes = [this.at === at ? 'on' : '', this.options.classOf ? this.options.classOf(row) : ''].filter(Boolean).join(' ');
    return make('tr', {'data-at': at, tabindex: at === this.at ? '0' : '-1', 'aria-rowindex': at + 2, class: classes || null}, cells);
  }
  key(event) {
    if (event.target.closest('thead')) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_HEIGHT) - 2), last = this.rows.length - 1;
    const to = {ArrowDown: this.at + 1, ArrowUp: this.at - 1, PageDown: this.at + page, PageUp: this.at - page, Home: 0, End: last}[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(last, to)), true);
  }
  choose(at, focus = false) {
    this.at = at;
    const top = at * ROW_HEIGHT, room = this.element.clientHeight - 2 * ROW_HEIGHT;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
    this.first = -1; this.paint();
    if (focus) this.focus();
    if (this.options.choose) this.options.choose(this.rows[at]);
  }
  focus() { const row = this.body.querySelector(`tr[data-at="${this.at}"]`); if (row) row.focus({preventScroll: true}); }
  find(test) { const at = this.rows.findIndex(test); if (at >= 0) this.choose(at, true); return at >= 0; }
}
addEventListener('beforeprint', () => { for (const view of VIEWS) if (!view.drawn) { view.drawn = true; view.draw(view.panel); } for (const table of TABLES) table.paint(true); });
addEventListener('afterprint', () => { for (const table of TABLES) { table.first = -1; table.paint(); } });
const TABLES = [];
