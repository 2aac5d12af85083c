// Elements and words. Text of the document reaches the page through textContent and attributes alone.
const $ = (id) => document.getElementById(id);

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function duration(ns) {
  if (ns === 0) return '0';
  const sign = ns < 0 ? '−' : '';
  const size = Math.abs(ns);
  for (const [unit, name] of [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs']]) {
    if (size < unit * 0.9995) continue;
    const value = size / unit;
    return `${sign}${value >= 99.95 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3))} ${name}`;
  }
  return `${sign}${Math.round(size)} ns`;
}

const count = (value) => Math.round(value).toLocaleString('en');
const share = (part, whole) => {
  const percent = whole > 0 ? (100 * part) / whole : 0;
  return `${percent >= 99.95 || percent === 0 ? Math.round(percent) : percent >= 10 ? percent.toFixed(1) : percent.toFixed(2)} %`;
};
const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
const clock = (date) => (Number.isFinite(date.getTime()) ? date.toISOString().replace('T', ' ').replace('Z', '') + ' UTC' : '');

function link(path, query) {
  const words = Object.entries(query || {}).filter(([, value]) => value);
  const search = new URLSearchParams(words).toString();
  return '#/' + path.map(encodeURIComponent).join('/') + (search ? '?' + search : '');
}

function say(words) { $('said').textContent = words; }

let toastTimer = 0;
function toast(words) {
  const box = $('toast');
  box.textContent = words;
  box.classList.add('shown');
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove('shown'), 2500);
}

async function copy(words, what) {
  try {
    await navigator.clipboard.writeText(words);
  } catch (error) {  // an old browser, or a page that may not
    const area = h('textarea', {class: 'offscreen'});
    area.value = words;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(`Copied ${what}`);
}

// A table with sortable columns: {key, label, title, number, value(row), cell(row)}. Draws `step` rows, and more when asked.
function table({label, columns, rows, sort, descending = true, onsort, href, step = 100}) {
  let shown = step;
  const body = h('tbody');
  const more = h('button', {class: 'more', type: 'button', onclick: () => { shown += 10 * step; fill(); }});
  const heads = columns.map((column) => {
    const button = h('button', {type: 'button', title: column.title, onclick: () => order(column)}, column.label);
    return h('th', {scope: 'col', class: column.number ? 'number' : column.class}, button);
  });
  function order(column) {
    descending = sort === column.key ? !descending : column.number === true;
    sort = column.key;
    if (onsort) onsort(sort, descending);
    fill();
  }
  function fill() {
    const by = columns.find((column) => column.key === sort);
    const sorted = by ? [...rows].sort((a, b) => {
      const x = by.value(a), y = by.value(b);
      return (x < y ? -1 : x > y ? 1 : 0) * (descending ? -1 : 1);
    }) : rows;
    columns.forEach((column, i) => heads[i].setAttribute('aria-sort', column !== by ? 'none' : descending ? 'descending' : 'ascending'));
    body.replaceChildren(...sorted.slice(0, shown).map((row) => {
      const cells = columns.map((column) => h('td', {class: column.number ? 'number' : column.class, 'data-key': column.key,
        'data-value': column.number ? column.value(row) : undefined}, column.cell(row)));
      const to = href && href(row);
      return h('tr', {class: to && 'opens', onclick: to && ((event) => { if (!event.target.closest('a, button')) location.hash = to; })}, cells);
    }));
    more.textContent = `Show more (${count(rows.length - shown)} not shown)`;
    more.hidden = rows.length <= shown;
  }
  fill();
  return h('div', {class: 'table', role: 'region', 'aria-label': label, tabindex: '0'}, h('table', {}, h('thead', {}, h('tr', {}, heads)), body), more);
}

function bar(part, whole, kind = '') {
  return h('span', {class: `bar ${kind}`, 'aria-hidden': 'true'},
    h('span', {style: {width: `${Math.min(100, whole > 0 ? (100 * part) / whole : 0)}%`}}));
}

// Reasons in words, where a chart would be empty.
function empty(title, reasons) {
  return h('section', {class: 'empty'}, h('h2', {}, title), h('ul', {}, reasons.map((reason) => h('li', {}, reason))));
}

// Exclusive choices: [[value, words], ..].
function choice(label, options, chosen, onchoose) {
  return h('div', {class: 'choice', role: 'group', 'aria-label': label}, options.map(([value, words]) =>
    h('button', {type: 'button', 'aria-pressed': String(value === chosen), onclick: () => onchoose(value)}, words)));
}

function fact(name, value, title) {
  return h('div', {class: 'fact', title}, h('dt', {}, name), h('dd', {}, value));
}
